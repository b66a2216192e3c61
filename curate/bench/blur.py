"""Which share of the people and vehicles that are labelled is blurred by `privacy.blur`, on clear pictures."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from curate.annotations import Annotation, Frame
from curate.config import Blur
from curate.detectors.classes import coco_sources
from curate.errors import DataError
from curate.geometry.polygons import to_mask
from curate.types import MaskArray
from curate.workflows.blur import Blurrer
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = ["BlurBench", "bench_blur"]

_COVERED = 0.95
"""Share of a head's pixels that has to be blurred."""
_HEAD, _PLATE = 1 / 6, 1 / 2
"""What is asked for: a person's top sixth, a vehicle's lower half; less than `curate.workflows.blur` takes."""
_HEIGHTS = (0, 30, 60, 120, 100_000)


@dataclass
class BlurBench:
    """What was measured.

    Attributes:
        setting: Of `privacy.blur`.
        source: Label source.
        frames: Pictures.
        counts: (what, number of them, number covered), such as ("people of 60 to 119 px", 265, 265).
        area: Mean share of a picture that is blurred.
        milliseconds: A picture, median: looking and blurring, without coding.
    """

    setting: Blur
    source: str
    frames: int
    counts: list[tuple[str, int, int]] = field(default_factory=list)
    area: float = 0.0
    milliseconds: float = 0.0

    @property
    def markdown(self) -> str:
        """A table for docs/benchmarks.md."""
        rows = [f"| {what} | {number} | {covered / number:.3f} |" for what, number, covered in self.counts]
        tail = f"{self.frames} pictures of {self.source}, {self.area:.3f} of each blurred, {self.milliseconds:.0f} ms"
        return "\n".join([f"| {self.setting} | labelled | covered |", "|---|---|---|", *rows, "", tail])


def bench_blur(
    project: Project, *, source: str, setting: Blur = "heads_and_plates", reporter: Reporter | None = None
) -> BlurBench:
    """Look at every labelled frame as ingest would, and compare with the labels.

    A head is the top sixth of a person's mask (without one, the middle half of the box's top sixth), covered when
    95 % of its pixels are blurred; a plate is somewhere in the lower half of a vehicle's box, covered when
    95 % of that is.

    Args:
        project: Its pictures must be clear.
        source: Labels that hold everybody, such as "gold".
        setting: Of `privacy.blur`.
        reporter: Told how far it is.

    Raises:
        DataError: The source has no people or vehicles, or a picture of it is blurred already.
    """
    reporter = reporter or Quiet()
    names = {
        name: kind
        for name, covered in zip(project.config.classes, coco_sources(project.config.classes), strict=True)
        for kind in [_kind(covered)]
        if kind
    }
    store = project.store
    frames = store.frames(ids=store.labelled_frame_ids(source))
    if store.frame_origins(frame_ids=[frame.id for frame in frames]):
        raise DataError("its pictures were blurred when they came in: nothing can be measured", item=source)
    blurrer = Blurrer(setting, project.config.train.device, project.config.frames.max_pixels)
    seen: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    areas, times = [], []
    for number, (frame, labels) in enumerate(store.labels_by_frame(frames, source)):
        reporter.update(number / len(frames), f"frame {number + 1} of {len(frames)}")
        image = project.frame_image(frame)
        start = time.perf_counter()
        regions = blurrer.regions(image)
        times.append((time.perf_counter() - start) * 1000)
        blurred = np.zeros(image.shape[:2], bool)
        for x1, y1, x2, y2 in np.concatenate([np.floor(regions[:, :2]), np.ceil(regions[:, 2:])], 1).astype(
            int
        ):
            blurred[y1:y2, x1:x2] = True
        areas.append(blurred.mean())
        for label in labels:
            if label.label in names and label.counts:
                what = _what(names[label.label], label)
                part = _part(names[label.label], label, frame)
                seen[what] += 1
                hit[what] += bool(part.any() and blurred[part].mean() >= _COVERED)
    if not seen:
        raise DataError(f"source {source!r} has no label of people or vehicles", item="--source")
    counts = [(what, seen[what], hit[what]) for what in sorted(seen)]
    return BlurBench(setting, source, len(frames), counts, float(np.mean(areas)), float(np.median(times)))


def _kind(covered: tuple[str, ...]) -> str:
    if "person" in covered:
        return "people"
    return "vehicles" if {"car", "truck", "bus", "motorcycle"} & set(covered) else ""


def _what(kind: str, label: Annotation) -> str:
    if kind == "vehicles":
        return kind
    height = label.bbox_xyxy[3] - label.bbox_xyxy[1]
    low, high = next((a, b) for a, b in pairwise(_HEIGHTS) if height < b)
    return (
        f"{kind} of {low:3d} px and more" if high == _HEIGHTS[-1] else f"{kind} of {low:3d} to {high - 1} px"
    )


def _part(kind: str, label: Annotation, frame: Frame) -> MaskArray:
    """(H, W) the pixels that have to be blurred."""
    x1, y1, x2, y2 = label.bbox_xyxy
    part = np.zeros((frame.height, frame.width), bool)
    if kind == "vehicles":
        part[int((y1 + y2) * _PLATE) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
        return part
    tall = max(2.0, (y2 - y1) * _HEAD)
    mask = to_mask(label.mask, frame.height, frame.width) if label.mask else part
    if mask.any():
        part = mask.copy()
        part[int(np.flatnonzero(mask.any(1))[0] + np.ceil(tall)) :] = False
        return part
    quarter = (x2 - x1) / 4
    part[int(y1) : int(np.ceil(y1 + tall)), int(x1 + quarter) : int(np.ceil(x2 - quarter))] = True
    return part
