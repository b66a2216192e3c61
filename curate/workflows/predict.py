"""Run a trained detector over footage: an annotated video, COCO results, or both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import ConfigError, DataError, ModelError, ProjectError
from curate.files import write_json
from curate.geometry.boxes import xyxy_to_xywh
from curate.geometry.rle import rle_to_coco
from curate.tables import Detections
from curate.types import ImageArray
from curate.workflows.drawing import VideoWriter, draw_detections
from curate.workflows.evaluate import load_detector
from curate.workflows.footage import Footage, Picture, open_footage, without_password
from curate.workflows.progress import Cancelled, Quiet, Reporter
from curate.workflows.project import Project
from curate.workflows.runs import chosen_run

__all__ = ["PredictReport", "images_file", "predict"]

_DIGITS = 2


@dataclass(frozen=True)
class PredictReport:
    """What was done.

    Attributes:
        run: The detector's run.
        source: The footage, without passwords.
        pictures: Pictures looked at.
        detections: Detections at or above the score.
        seconds: Length of the footage looked at.
        ms_per_picture: Median time of the detector alone; None without a picture.
        stopped: Whether it was stopped before the footage ended.
        files: What was written.
    """

    run: str
    source: str
    pictures: int
    detections: int
    seconds: float
    ms_per_picture: float | None
    stopped: bool
    files: tuple[str, ...]


def images_file(results: Path) -> Path:
    """The file beside COCO results that says which picture and class an id means."""
    return results.with_name(f"{results.stem}.images.json")


def predict(
    project: Project,
    source: str,
    *,
    run: str | None = None,
    video: Path | None = None,
    coco: Path | None = None,
    score: float | None = None,
    masks: bool = False,
    every_n: int = 1,
    most_seconds: float | None = None,
    reporter: Reporter | None = None,
) -> PredictReport:
    """Detect on a video, a folder of images or a stream.

    Files appear under their names when they are whole. Stopped early (Ctrl+C, or the reporter), what was seen up
    to then is written: a stream may have no other end.

    Args:
        project: The project.
        source: Video file, folder of images, image, or address of a stream.
        run: Run id or `generic`; the newest training run when None.
        video: MP4 to write, the detections drawn in.
        coco: COCO results to write (a list); `images_file` beside it resolves the ids.
        score: Lowest score kept; `evaluation.score` when None.
        masks: Also predict masks.
        every_n: Take every n-th picture.
        most_seconds: End after so many seconds of footage.
        reporter: Told how far it is.

    Raises:
        ConfigError: Nothing is to be written.
        DataError: The footage cannot be read.
        ModelError: The detector cannot be used.
        ProjectError: A file cannot be written.
    """
    from curate.detectors import SiteDetector, TorchvisionCoco

    if video is None and coco is None:
        raise ConfigError("nothing to write", item="--video, --coco", hint="give at least one of them")
    for path in (video, coco):
        if path is not None and not path.absolute().parent.is_dir():
            raise ProjectError("there is no such folder", file=path.absolute().parent)
    chosen = chosen_run(project, run)
    detector = load_detector(project, chosen)
    if isinstance(detector, TorchvisionCoco):
        raise ModelError("this detector is only there to be compared with", item=f"run {chosen.id}")
    limit = project.config.evaluation.score if score is None else score

    def look(image: ImageArray) -> Detections:
        if isinstance(detector, SiteDetector):
            return detector.predict([image], masks=masks, score=limit)[0]
        return _above(detector.predict([image], masks=masks)[0], limit)

    footage = open_footage(source, every_n=every_n, max_pixels=project.config.frames.max_pixels)
    outputs = _Outputs(tuple(project.config.classes), footage, video, coco)
    progress = reporter or Quiet()
    times: list[float] = []
    stopped, seconds = False, 0.0
    with outputs.discarded_on_failure():
        try:
            for picture in footage.pictures:
                started = time.perf_counter()
                found = look(picture.image)
                times.append(time.perf_counter() - started)
                outputs.add(picture, found)
                seconds = picture.seconds
                _tell(progress, footage, len(times), seconds, most_seconds)
                if progress.should_stop():
                    raise Cancelled
                if most_seconds is not None and seconds >= most_seconds:
                    break
        except (KeyboardInterrupt, Cancelled):
            stopped = True
        if not times:
            raise DataError("not a single picture could be looked at", file=without_password(source))
        files = outputs.finish()
    ms = float(np.median(times)) * 1000
    shown = without_password(source)
    return PredictReport(
        chosen.id, shown, len(times), outputs.detections, round(seconds, 3), ms, stopped, files
    )


def _above(found: Detections, score: float) -> Detections:
    keep = found.scores >= score
    return Detections(found.boxes[keep], found.scores[keep], found.classes[keep])


def _tell(
    progress: Reporter, footage: Footage, done: int, seconds: float, most_seconds: float | None
) -> None:
    shares = [seconds / most_seconds if most_seconds else 0.0, done / footage.count if footage.count else 0.0]
    whole = f" of {footage.count}" if footage.count else f", {seconds:.0f} s of footage"
    progress.update(min(1.0, max(shares)), f"picture {done}{whole}")


class _Outputs:
    """The files that are being written."""

    def __init__(
        self, classes: tuple[str, ...], footage: Footage, video: Path | None, coco: Path | None
    ) -> None:
        self.detections = 0
        self._classes = classes
        self._coco = coco
        self._video_path = video
        self._video = None if video is None else VideoWriter(video.absolute(), footage.rate)
        self._results: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []

    @contextmanager
    def discarded_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self._video is not None:
                self._video.discard()
            raise

    def add(self, picture: Picture, found: Detections) -> None:
        self.detections += len(found)
        if self._video is not None:
            self._video.write(draw_detections(picture.image, found, self._classes))
        if self._coco is not None:
            number = len(self._images) + 1
            height, width = picture.image.shape[:2]
            self._images.append(
                {
                    "id": number,
                    "file_name": picture.name,
                    "height": height,
                    "width": width,
                    "frame": picture.number,
                    "seconds": round(picture.seconds, 4),
                }
            )
            self._results += _coco_results(number, found)

    def finish(self) -> tuple[str, ...]:
        files = []
        if self._video is not None and self._video_path is not None:
            self._video.finish()
            files.append(str(self._video_path))
        if self._coco is not None:
            names = [{"id": index + 1, "name": name} for index, name in enumerate(self._classes)]
            write_json(images_file(self._coco), {"images": self._images, "categories": names})
            write_json(self._coco, self._results)
            files += [str(self._coco), str(images_file(self._coco))]
        return tuple(files)


def _coco_results(image_id: int, found: Detections) -> list[dict[str, Any]]:
    rows = []
    boxes = np.round(xyxy_to_xywh(found.boxes), _DIGITS)
    for index in range(len(found)):
        row: dict[str, Any] = {
            "image_id": image_id,
            "category_id": int(found.classes[index]) + 1,
            "bbox": boxes[index].tolist(),
            "score": round(float(found.scores[index]), 5),
        }
        if found.masks is not None:
            row["segmentation"] = rle_to_coco(found.masks[index])
        rows.append(row)
    return rows
