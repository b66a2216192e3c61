"""Labels from the bundled generic detector, masks from the bundled segmenter: a cheap first label source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from curate.annotations import Annotation, Frame
from curate.assist import COCO_DETECTOR, EmbeddingCache, Segmenter, weights_path
from curate.detectors import GenericDetector
from curate.errors import ConfigError, DataError
from curate.geometry.boxes import clip_boxes
from curate.geometry.polygons import mask_to_polygons
from curate.geometry.shapes import Polygon
from curate.store import Role
from curate.types import ImageArray
from curate.workflows.coverage import covered_frames, mark_covered
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project

__all__ = ["POLYGON_TOLERANCE", "PrelabelReport", "prelabel"]

POLYGON_TOLERANCE = 0.7
"""Pixels by which traced masks are simplified: fewer vertices to drag, below what anybody sees."""

_BATCH = 20


@dataclass(frozen=True)
class PrelabelReport:
    """Frames looked at, frames skipped because they had prelabels already, and labels written."""

    frames: int
    skipped: int
    labels: int


def prelabel(
    project: Project,
    *,
    source: str | None = None,
    score: float | None = None,
    masks: bool = True,
    frames: list[Frame] | None = None,
    reporter: Reporter | None = None,
) -> PrelabelReport:
    """Write the generic detector's boxes (and masks) as labels of their own source.

    A frame that has labels of this source already is skipped: running it again goes on after a crash or labels
    only what is new.

    Args:
        project: The project.
        source: Label source to write; the working source when None.
        score: Lowest score kept; `labels.prelabel_score` when None.
        masks: Also outline each box with the segmenter.
        frames: Only these; all frames when None.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        ConfigError: The source would be the gold set.
        DataError: There are no frames.
    """
    project.expect_role(Role.REVIEWER)
    source = source or project.config.labels.working
    if source == "gold":
        raise ConfigError("a model's output cannot be the gold set", item="source")
    todo = project.store.frames(include_excluded=False) if frames is None else frames
    if not todo:
        raise DataError("there are no frames to label", hint="run `curate ingest` first")
    done = covered_frames(project, source)
    fresh = [frame for frame in todo if frame.id not in done]
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    labeller = _Labeller(
        project, source, project.config.labels.prelabel_score if score is None else score, masks
    )
    written = 0
    for start in range(0, len(fresh), _BATCH):
        rows: list[Annotation] = []
        for offset, frame in enumerate(fresh[start : start + _BATCH], start=start):
            progress.update(
                offset / len(fresh), f"frame {offset + 1} of {len(fresh)}, {written + len(rows)} labels"
            )
            rows += labeller.label(frame)
        with project.store.begin():
            written += project.store.add_annotations(rows, actor=source)
            mark_covered(project, source, [frame.id for frame in fresh[start : start + _BATCH]])
    progress.update(1.0, f"{written} labels on {len(fresh)} frames")
    return PrelabelReport(len(fresh), len(todo) - len(fresh), written)


class _Labeller:
    def __init__(self, project: Project, source: str, score: float, masks: bool) -> None:
        self._project = project
        self._source = source
        self._score = score
        classes = project.config.classes
        self._detector = GenericDetector(
            weights_path(COCO_DETECTOR), classes, device=project.config.train.device
        )
        self._segmenter = Segmenter() if masks else None
        self._cache = EmbeddingCache(project.cache_dir / "segmenter")

    def label(self, frame: Frame) -> list[Annotation]:
        """The labels of one frame; their ids follow from source, frame and rank, so they are never doubled."""
        image = self._project.frame_image(frame)
        found = self._detector.predict([image])[0]
        keep = found.scores >= self._score
        boxes = np.round(clip_boxes(found.boxes[keep], frame.width, frame.height), 2)
        rows = []
        for rank, (box, score, index) in enumerate(
            zip(boxes, found.scores[keep], found.classes[keep], strict=True)
        ):
            if box[2] - box[0] < 1 or box[3] - box[1] < 1:
                continue
            x1, y1, x2, y2 = (float(value) for value in box)
            key = f"{self._source}/{frame.id}/{rank}"
            rows.append(
                Annotation(
                    id=hashlib.sha256(key.encode()).hexdigest()[:20],
                    frame_id=frame.id,
                    label=self._detector.classes[int(index)],
                    bbox_xyxy=(x1, y1, x2, y2),
                    mask=self._mask(frame, image, (x1, y1, x2, y2)),
                    source=self._source,
                    score=round(float(score), 4),
                )
            )
        return rows

    def _mask(
        self, frame: Frame, image: ImageArray, box: tuple[float, float, float, float]
    ) -> tuple[Polygon, ...] | None:
        if self._segmenter is None:
            return None
        embedding = self._cache.get(self._segmenter, frame.id, image)
        mask = self._segmenter.segment(embedding, box=box).mask
        return mask_to_polygons(mask, tolerance=POLYGON_TOLERANCE) or None
