"""A made-up junction as arrays: people who walk, a parked car, and what detectors and plate say about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from curate.annotations import Issue, IssueType
from curate.geometry.shapes import Rle
from curate.issues import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    FrameTable,
    LabelEvidence,
    LabelTable,
)

WIDTH, HEIGHT, FRAMES = 640, 480, 60
CLASSES = ("person", "car")
SEEN = 0.9
USUAL_FOREGROUND = 0.6


@dataclass(frozen=True)
class Row:
    """One label with all that is known about it."""

    frame: int
    box: tuple[float, float, float, float]
    klass: int = 0
    person: float = SEEN
    car: float = 0.02
    foreground: float = USUAL_FOREGROUND
    refined: tuple[float, float, float, float] | None = None
    source: float = float("nan")
    size_z: float = 0.3
    agreement: float = 0.95
    location: float = 0.85
    name: str = ""


@dataclass(frozen=True)
class Seen:
    """One out-of-fold detection."""

    frame: int
    box: tuple[float, float, float, float]
    score: float = SEEN
    klass: int = 0
    foreground: float = USUAL_FOREGROUND
    size_z: float = 0.3


def ellipse(box: tuple[float, float, float, float]) -> Rle:
    """An ellipse that fills a box."""
    from curate.geometry.rle import mask_to_rle

    x1, y1, x2, y2 = box
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    across = (columns + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
    down = (rows + 0.5 - (y1 + y2) / 2) / ((y2 - y1) / 2)
    return mask_to_rle(across**2 + down**2 <= 1)


def frames_table(count: int = FRAMES) -> FrameTable:
    index = np.arange(count)
    return FrameTable(
        tuple(f"{i:032x}" for i in index), index * 0.5, ("clip",) * count, index // 10, (index // 10) % 2,
        np.full(count, WIDTH), np.full(count, HEIGHT),
    )  # fmt: skip


def build(rows: list[Row], seen: list[Seen], count: int = FRAMES) -> FinderInputs:
    boxes = np.array([row.box for row in rows], float).reshape(-1, 4)
    own = np.array([[row.person, row.car] for row in rows], float).reshape(-1, 2)
    labels = LabelTable(
        ids=tuple(row.name or f"label-{index:04d}" for index, row in enumerate(rows)),
        revisions=np.zeros(len(rows), np.int64),
        frames=np.array([row.frame for row in rows], np.int64),
        boxes=boxes,
        classes=np.array([row.klass for row in rows], np.int64),
        source_scores=np.array([row.source for row in rows], float),
    )
    evidence = LabelEvidence(
        class_probs=np.concatenate([own, 1 - own.sum(1, keepdims=True)], 1),
        refined_boxes=np.array([row.refined or row.box for row in rows], float).reshape(-1, 4),
        location_scores=np.array([row.location for row in rows], float),
        foreground=np.array([row.foreground for row in rows], float),
        size_z=np.array([[row.size_z, row.size_z] for row in rows], float).reshape(-1, 2),
        neighbour_agreement=np.array([row.agreement for row in rows], float),
    )
    detections = DetectionTable(
        np.array([item.frame for item in seen], np.int64),
        np.array([item.box for item in seen], float).reshape(-1, 4),
        np.array([item.score for item in seen], float),
        np.array([item.klass for item in seen], np.int64),
    )
    about = DetectionEvidence(
        np.array([item.foreground for item in seen], float),
        np.array([[item.size_z] * 2 for item in seen], float).reshape(-1, 2),
    )
    return FinderInputs(frames_table(count), labels, detections, evidence, about)


def world(count: int = FRAMES) -> tuple[list[Row], list[Seen]]:
    """Four people who cross, and a parked car that the plate has swallowed: no errors at all."""
    rng = np.random.default_rng(7)
    rows, seen = [], []
    for frame in range(count):
        for walker in range(4):
            x, y = 20 + 8.5 * frame + 13 * walker, 90 + 75 * walker
            box = (x, y, x + 26, y + 66)
            if x + 26 >= WIDTH:
                continue
            jitter = rng.normal(0, 0.8, 4)
            found = tuple(float(v) for v in np.array(box) + jitter)
            rows.append(
                Row(frame, box, refined=found, foreground=USUAL_FOREGROUND + float(rng.normal(0, 0.05)))
            )
            seen.append(Seen(frame, found, score=SEEN + float(rng.normal(0, 0.02))))
        car = (500.0, 20.0, 580.0, 70.0)
        found = tuple(float(v) for v in np.array(car) + rng.normal(0, 0.8, 4))
        rows.append(Row(frame, car, klass=1, person=0.02, car=SEEN, refined=found, foreground=0.01))
        seen.append(Seen(frame, found, klass=1, foreground=0.01))
    return rows, seen


def first(issues: list[Issue], kind: IssueType) -> Issue:
    found = [issue for issue in issues if issue.type is kind]
    assert found, f"no {kind} among {[(i.type.value, round(i.probability, 2)) for i in issues[:5]]}"
    return found[0]


class Kit:
    """What tests build worlds from."""

    row, seen = Row, Seen
    build, world, frames = staticmethod(build), staticmethod(world), staticmethod(frames_table)
    ellipse, replace, first = staticmethod(ellipse), staticmethod(replace), staticmethod(first)
    classes, width, height = CLASSES, WIDTH, HEIGHT


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
