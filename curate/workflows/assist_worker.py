"""What the editor's helper process does: masks for clicks, detections, the difference to the empty scene.

It reads one JSON request a line from its standard input and answers one a line, in any order, with the request's
number. It ends when its input does, so it never outlives the server.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import cv2
import numpy as np

from curate.annotations import Frame
from curate.assist import EmbeddingCache, FrameEmbedding, Segmenter
from curate.errors import CurateError, DataError
from curate.geometry.polygons import mask_to_polygons, polygons_bbox
from curate.store.serialize import mask_to_dict
from curate.types import MaskArray
from curate.workflows.assist_overlays import Overlays
from curate.workflows.files import write_atomically
from curate.workflows.project import Project
from curate.workflows.tracks import TRACE_TOLERANCE, parked

__all__ = ["AssistWorker", "main", "tidy"]

_NICE = 5
"""Pages and clicks must stay quick while a frame is being read."""
_EMBEDDINGS = 12
_SPECK = 0.05
"""Parts of a mask smaller than this share of its largest part are noise, unless somebody clicked on them."""
_DIFFERENCE_RGB = (255, 70, 220)
_DIFFERENCE_ALPHA = 190


class AssistWorker:
    """Answers requests by name; `handle` never raises a `CurateError`, it answers with it.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._reader = _FrameReader(project)
        self._prompter = Segmenter()
        self._overlays = Overlays(project, lambda frame, box: self.segment(frame, box)["mask"])
        self._lock = threading.Lock()
        self._operations: Mapping[str, Callable[..., dict[str, Any]]] = {
            "ready": self.ready,
            "segment": self.segment,
            "detect": self.detect,
            "outline": self.outline,
            "difference": self.difference,
            "parked": self.parked,
        }

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request: {"id", "result"} or {"id", "error", "hint"}."""
        fields = {name: value for name, value in request.items() if name not in ("id", "op")}
        try:
            operation = self._operations.get(str(request.get("op")))
            if operation is None:
                raise DataError(f"no such operation: {request.get('op')!r}")
            return {"id": request.get("id"), "result": operation(**fields)}
        except CurateError as error:
            return {"id": request.get("id"), "error": error.message, "hint": error.hint}
        except Exception as error:  # One bad request must not take the others' process away.
            return {"id": request.get("id"), "error": f"{type(error).__name__}: {error}", "hint": ""}

    def ready(self, frame: str, ahead: Sequence[str] = ()) -> dict[str, Any]:
        """Read a frame for the segmenter, and afterwards those that come next; true when the first is there."""
        return {"ready": self._reader.prepare(frame, list(ahead)) is not None}

    def segment(
        self,
        frame: str,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
        positive: Sequence[bool] = (),
    ) -> dict[str, Any]:
        """The outline of what clicks and a box mean, as polygons."""
        embedding = self._reader.get(frame)
        clicks = [(float(x), float(y)) for x, y in points]
        prompt = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        found = self._prompter.segment(embedding, box=prompt, points=clicks, positive=list(positive))
        mask = tidy(found.mask, [click for click, wanted in zip(clicks, positive, strict=True) if wanted])
        polygons = mask_to_polygons(mask, tolerance=TRACE_TOLERANCE)
        if not polygons:
            return {"mask": None, "bbox_xyxy": None, "quality": found.quality}
        return {
            "mask": mask_to_dict(polygons),
            "bbox_xyxy": list(polygons_bbox(polygons)),
            "quality": found.quality,
        }

    def detect(self, frame: str, run: str) -> dict[str, Any]:
        """What the bundled detector or a trained run sees on a frame; see `Overlays.detect`."""
        return {"shapes": self._overlays.detect(frame, run)}

    def outline(self, frame: str, run: str, shapes: Sequence[int]) -> dict[str, Any]:
        """Masks for some of them; see `Overlays.outlines`."""
        return {"masks": self._overlays.outlines(frame, run, [int(index) for index in shapes])}

    def difference(self, frame: str) -> dict[str, Any]:
        """A picture of what differs from the empty scene: the name of a PNG in the cache folder."""
        from curate.scene.difference import foreground
        from curate.scene.estimate import choose_plate
        from curate.workflows.scene import background_plates, plates_digest

        with self._lock:
            plates = background_plates(self._project)
            stamp = hashlib.sha256(plates_digest(self._project).encode()).hexdigest()[:12]
            name = f"difference/{stamp}-{_known(self._project, frame).id}.png"
            path = self._project.cache_dir / name
            if not path.exists():
                image = self._project.frame_image(_known(self._project, frame))
                share = foreground(image, choose_plate(image, plates))
                layer = np.empty((*share.shape, 4), np.uint8)
                layer[..., :3] = _DIFFERENCE_RGB[::-1]
                layer[..., 3] = (share * _DIFFERENCE_ALPHA).astype(np.uint8)
                write_atomically(path, cv2.imencode(".png", layer)[1].tobytes())
        return {"file": name}

    def parked(self, frame: str, source: str) -> dict[str, Any]:
        """Ids of labels of the last labelled frame before whose things still stand there."""
        return {"labels": [label.id for label in parked(self._project, frame, source)]}


class _FrameReader:
    """Encoded frames; one is read at a time, the one asked for last first."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._cache = EmbeddingCache(project.cache_dir / "segmenter")
        self._done: OrderedDict[str, FrameEmbedding] = OrderedDict()
        self._failed: dict[str, CurateError] = {}
        self._wanted: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def prepare(self, frame: str, ahead: list[str]) -> FrameEmbedding | None:
        """Read this frame, then those ahead; None when the user has gone elsewhere meanwhile."""
        with self._news:
            self._wanted = [key for key in dict.fromkeys([frame, *ahead]) if key not in self._done]
            self._failed.pop(frame, None)
            self._news.notify_all()
            return self._wait(frame)

    def get(self, frame: str) -> FrameEmbedding:
        """The encoded frame, read now if need be.

        Raises:
            NotFoundError: There is no such frame.
            ImageError: Its picture is missing or broken.
            DataError: Another frame was asked for before this one was read.
        """
        with self._news:
            if frame not in self._done:
                self._wanted = [frame, *(key for key in self._wanted if key != frame)]
                self._failed.pop(frame, None)
                self._news.notify_all()
            found = self._wait(frame)
        if found is None:
            raise DataError("another frame was opened before this one was read", hint="click again")
        return found

    def _wait(self, frame: str) -> FrameEmbedding | None:
        self._news.wait_for(lambda: frame in self._done or frame in self._failed or frame not in self._wanted)
        if frame in self._failed:
            raise self._failed.pop(frame)
        if frame in self._done:
            self._done.move_to_end(frame)
        return self._done.get(frame)

    def _read(self) -> None:
        # On Linux this is the thread's own priority, and that of the threads which the encoder starts from here.
        os.nice(_NICE)
        encoder = Segmenter()
        while True:
            with self._news:
                self._news.wait_for(lambda: bool(self._wanted))
                frame = self._wanted[0]
            try:
                image = self._project.frame_image(_known(self._project, frame))
                embedding = self._cache.get(encoder, frame, image)
            except CurateError as error:
                self._settle(frame, None, error)
            else:
                self._settle(frame, embedding, None)

    def _settle(self, frame: str, embedding: FrameEmbedding | None, error: CurateError | None) -> None:
        with self._news:
            if embedding is not None:
                self._done[frame] = embedding
                while len(self._done) > _EMBEDDINGS:
                    self._done.popitem(last=False)
            elif error is not None:
                self._failed[frame] = error
            self._wanted = [key for key in self._wanted if key != frame]
            self._news.notify_all()


def tidy(mask: MaskArray, clicks: Sequence[tuple[float, float]] = ()) -> MaskArray:
    """An (H, W) mask without specks: small parts that nobody clicked on, and pinholes, are taken out."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return mask
    # Only the window around it, with a free border so that all around it is one part.
    top, left = int(rows[0]), int(columns[0])
    window = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(window, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = np.concatenate([[False], areas >= _SPECK * areas.max()])
    for x, y in clicks:
        row, column = int(y) - top + 1, int(x) - left + 1
        if 0 <= row < window.shape[0] and 0 <= column < window.shape[1]:
            keep[pieces[row, column]] = True
    keep[0] = False
    kept = keep[pieces]
    _, ground, holes, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    pinhole = holes[:, cv2.CC_STAT_AREA] < max(4.0, 0.01 * float(areas.max()))
    pinhole[0] = False  # what is kept is the ground of the second search
    pinhole[ground[0, 0]] = False
    kept |= pinhole[ground]
    result = np.zeros_like(mask)
    result[top : rows[-1] + 1, left : columns[-1] + 1] = kept[1:-1, 1:-1]
    return result


def _known(project: Project, frame_id: str) -> Frame:
    return project.store.frame(frame_id)


def main(folder: str, requests: IO[str], answers: IO[str]) -> None:
    """Serve until the input ends.

    Args:
        folder: Of the project.
        requests: One JSON object a line.
        answers: The same.
    """
    worker = AssistWorker(Project.open(folder))
    writing = threading.Lock()

    def answer(request: dict[str, Any]) -> None:
        text = json.dumps(worker.handle(request))
        with writing:
            answers.write(text + "\n")
            answers.flush()

    # Clicks have a thread of their own: they never wait for a detector. Waiting for a frame blocks no other wait.
    with ThreadPoolExecutor(1) as clicks, ThreadPoolExecutor(2) as others, ThreadPoolExecutor(8) as waits:
        pools = {"segment": clicks, "ready": waits}
        for line in requests:
            request = json.loads(line)
            pools.get(request.get("op"), others).submit(answer, request)


if __name__ == "__main__":
    # What a library prints must not be taken for an answer.
    output, sys.stdout = sys.stdout, sys.stderr
    try:
        main(sys.argv[1], sys.stdin, output)
    finally:
        os._exit(0)  # The reader thread may be in the middle of a frame.
