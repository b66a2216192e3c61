"""The two ways to write a mask down: polygons with holes, and COCO run lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from curate.types import Ring

__all__ = ["Mask", "Polygon", "Rle"]


@dataclass(frozen=True, slots=True)
class Polygon:
    """One exterior ring and any number of holes (interior rings)."""

    exterior: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Rle:
    """A mask as COCO's run lengths: column-major, starting with a run of zeros.

    Attributes:
        height: Pixels.
        width: Pixels.
        counts: Run lengths; they sum to height * width.
    """

    height: int
    width: int
    counts: tuple[int, ...]


Mask: TypeAlias = tuple[Polygon, ...] | Rle
"""Either polygons (their union is the object) or an RLE."""
