"""What a label's geometry is compared with, and how closely."""

from __future__ import annotations

import numpy as np

from curate.annotations import Annotation
from curate.geometry.polygons import polygons_to_mask
from tests.app.sample_site import SIZE

CLOSE = 0.011


def near(found, expected) -> bool:
    """Coordinates to a hundredth of a pixel."""
    return np.allclose(np.array(found, float), np.array(expected, float), atol=CLOSE, rtol=0)


def box_of(*corners) -> tuple[float, float, float, float]:
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def exterior(label: Annotation, part: int = 0):
    return label.mask[part].exterior


def pixels(label: Annotation):
    return polygons_to_mask(label.mask, SIZE[1], SIZE[0])


def overlap(first: Annotation, second: Annotation) -> float:
    a, b = pixels(first), pixels(second)
    return float((a & b).sum() / (a | b).sum())
