"""What detectors see on a frame, for the editor's overlays: computed once and kept, outlined when somebody looks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.assist import COCO_DETECTOR, weights_path
from curate.errors import DataError
from curate.geometry.polygons import mask_to_polygons
from curate.geometry.rle import rle_to_mask
from curate.store.serialize import mask_to_dict
from curate.workflows.assist_client import BUNDLED
from curate.workflows.files import read_json, write_json
from curate.workflows.project import Project
from curate.workflows.tracks import TRACE_TOLERANCE

__all__ = ["MOST_OUTLINES", "Overlays"]

MOST_OUTLINES = 32
"""Shapes outlined by one request: about 0.1 s each."""
_LEAST_SCORE = 0.05
_MOST_DETECTIONS = 300
_MOST_DETECTORS = 2


class Overlays:
    """Detections of the bundled detector and of trained runs, with outlines from the segmenter where they have none.

    Args:
        project: The project.
        outline: (frame id, box) -> the mask of the thing in the box as the editor takes it, or None.
    """

    def __init__(
        self, project: Project, outline: Callable[[str, Sequence[float]], dict[str, Any] | None]
    ) -> None:
        self._project = project
        self._outline = outline
        self._detectors: OrderedDict[str, Any] = OrderedDict()
        self._detecting = threading.Lock()
        self._outlining = threading.Lock()

    def detect(self, frame: str, run: str) -> list[dict[str, Any]]:
        """What the bundled detector or a trained run sees on a frame, most sure first: {label, bbox_xyxy, mask, score}.

        Raises:
            NotFoundError: There is no such frame or run.
        """
        path = self.kept_at(frame, run)
        with self._detecting:
            if not path.exists():
                write_json(path, self._detections(frame, run))
        shapes: list[dict[str, Any]] = read_json(path)
        return shapes

    def outlines(self, frame: str, run: str, shapes: Sequence[int]) -> list[dict[str, Any] | None]:
        """Masks of some of the shapes that `detect` gave: its own, or the segmenter's outline of its box.

        Args:
            frame: Of the detections.
            run: Of the detections.
            shapes: Their places in the list of `detect`, at most `MOST_OUTLINES`.

        Returns:
            One for each, None where nothing stands out inside the box.

        Raises:
            NotFoundError: There is no such frame or run.
            DataError: There is no such shape, too many were asked for, or another frame was opened meanwhile.
        """
        found = self.detect(frame, run)
        if len(shapes) > MOST_OUTLINES or not all(0 <= index < len(found) for index in shapes):
            raise DataError(
                f"expected up to {MOST_OUTLINES} of the {len(found)} shapes, got {list(shapes)[:50]}"
            )
        path = self.kept_at(frame, run).with_suffix(".masks.json")
        with self._outlining:
            kept: dict[str, Any] = read_json(path) if path.exists() else {}
            fresh = [index for index in shapes if str(index) not in kept and not found[index]["mask"]]
            try:
                for index in fresh:
                    kept[str(index)] = self._outline(frame, found[index]["bbox_xyxy"])
            finally:  # Also what was done before somebody went on to another frame.
                if fresh:
                    write_json(path, kept)
        return [found[index]["mask"] or kept[str(index)] for index in shapes]

    def kept_at(self, frame: str, run: str) -> Path:
        """The file in which the detections are kept."""
        key = hashlib.sha256(json.dumps([run, self._project.config.classes]).encode()).hexdigest()[:16]
        return self._project.cache_dir / "overlays" / key / f"{self._project.store.frame(frame).id}.json"

    def _detections(self, frame: str, run: str) -> list[dict[str, Any]]:
        detector = self._detector(run)
        image = self._project.frame_image(self._project.store.frame(frame))
        masked = bool(getattr(detector, "has_masks", False))
        found = detector.predict([image], masks=masked)[0]
        height, width = image.shape[:2]
        shapes = []
        for index in np.argsort(-found.scores)[:_MOST_DETECTIONS]:
            box = np.clip(found.boxes[index], 0, [width, height, width, height]).round(2).tolist()
            if found.scores[index] < _LEAST_SCORE or box[2] - box[0] < 1 or box[3] - box[1] < 1:
                continue
            polygons = (
                mask_to_polygons(rle_to_mask(found.masks[index]), tolerance=TRACE_TOLERANCE)
                if found.masks is not None
                else ()
            )
            shapes.append(
                {
                    "label": detector.classes[int(found.classes[index])],
                    "bbox_xyxy": box,
                    "mask": mask_to_dict(polygons) if polygons else None,
                    "score": round(float(found.scores[index]), 4),
                }
            )
        return shapes

    def _detector(self, run: str) -> Any:
        if run not in self._detectors:
            from curate.detectors import GenericDetector
            from curate.workflows.evaluate import load_detector

            config = self._project.config
            self._detectors[run] = (
                GenericDetector(weights_path(COCO_DETECTOR), config.classes, device=config.train.device)
                if run == BUNDLED
                else load_detector(self._project, self._project.store.run(run))
            )
            while len(self._detectors) > _MOST_DETECTORS:
                self._detectors.popitem(last=False)
        return self._detectors[run]
