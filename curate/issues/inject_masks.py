"""Wrong masks, as people and tools draw them: too fat, too thin, moved, coarse, cut, merged, leaking."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from curate.geometry.iou import mask_iou
from curate.geometry.polygons import mask_to_polygons, polygons_to_mask, simplify_polygons
from curate.geometry.shapes import Rle
from curate.issues.masks import Window, crop_rle, mask_bounds, paste_rle
from curate.types import FloatArray, MaskArray

__all__ = ["MASK_ERRORS", "corrupt_mask", "followed_box", "remap_mask"]

_TARGET = (0.55, 0.78)
_STRENGTHS = 14


def _dilate(mask: MaskArray, strength: float, rng: np.random.Generator) -> MaskArray:
    return np.asarray(ndimage.binary_dilation(mask, iterations=max(1, round(strength * 8))))


def _erode(mask: MaskArray, strength: float, rng: np.random.Generator) -> MaskArray:
    return np.asarray(ndimage.binary_erosion(mask, iterations=max(1, round(strength * 8))))


def _shift(mask: MaskArray, strength: float, rng: np.random.Generator) -> MaskArray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    angle = rng.uniform(0, 2 * np.pi)
    size = (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
    move = (round(size[0] * strength * np.sin(angle)), round(size[1] * strength * np.cos(angle)))
    return np.asarray(ndimage.shift(mask.astype(np.uint8), move, order=0)).astype(bool)


def _simplify(mask: MaskArray, strength: float, rng: np.random.Generator) -> MaskArray:
    """Few corners: the outline that somebody in a hurry clicks."""
    tolerance = strength * 0.5 * float(np.sqrt(mask.sum()))
    return polygons_to_mask(simplify_polygons(mask_to_polygons(mask), tolerance), *mask.shape)


def _clip(mask: MaskArray, strength: float, rng: np.random.Generator) -> MaskArray:
    """One side cut off straight: legs behind a bumper, a head left out."""
    result = mask.copy()
    axis = int(rng.integers(2))
    lines = np.flatnonzero(mask.any(1 - axis))
    cut = round(len(lines) * min(strength, 0.6))
    gone = lines[:cut] if rng.random() < 0.5 else lines[len(lines) - cut :]
    if axis:
        result[:, gone] = False
    else:
        result[gone] = False
    return result


def _leak(mask: MaskArray, strength: float, rng: np.random.Generator) -> MaskArray:
    """A blob of background that ran out over the edge."""
    edge = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    y, x = edge[rng.integers(len(edge))]
    radius = max(2.0, 1.2 * strength * float(np.sqrt(mask.sum())))
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return np.asarray(mask | ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2))


MASK_ERRORS: dict[str, Callable[[MaskArray, float, np.random.Generator], MaskArray]] = {
    "dilate": _dilate,
    "erode": _erode,
    "shift": _shift,
    "simplify": _simplify,
    "clip": _clip,
    "leak": _leak,
}
"""Name -> function of a mask crop with room around it, a strength in (0, 1] and random numbers."""


def corrupt_mask(rle: Rle, neighbours: Sequence[Rle], rng: np.random.Generator) -> tuple[str, Rle]:
    """Spoil a mask so that its IoU with the right one falls to between 0.55 and 0.78 or just below.

    Args:
        rle: The right mask, not empty.
        neighbours: Masks of other objects on the frame, for "merge".
        rng: Random numbers.

    Returns:
        What was done (a key of `MASK_ERRORS`, or "merge") and the wrong mask, never empty.
    """
    names = list(rng.permutation([*MASK_ERRORS, "merge"]))
    if names[0] == "merge":
        merged = _merge(rle, neighbours)
        if merged is not None:
            return "merge", merged
        names.remove("merge")
    window = _room(rle)
    mask = crop_rle(rle, window)
    target = float(rng.uniform(*_TARGET))
    for name in (str(name) for name in names if name != "merge"):
        seed = int(rng.integers(2**32))
        for strength in np.linspace(0.06, 1.0, _STRENGTHS):
            # The same seed at every strength: the direction stays, only the amount grows.
            wrong = MASK_ERRORS[name](mask, float(strength), np.random.default_rng(seed))
            overlap = mask_iou(mask, wrong)
            if overlap <= target:
                if wrong.any() and overlap >= 0.3:
                    return name, paste_rle(wrong, window, rle.height, rle.width)
                break
    # A mask of a few pixels has no room for subtlety: its box is filled, or its first column cut.
    wrong = np.zeros_like(mask)
    y1, x1 = np.argwhere(mask).min(0)
    y2, x2 = np.argwhere(mask).max(0) + 1
    wrong[y1:y2, x1:x2] = True
    if mask_iou(mask, wrong) > _TARGET[1]:
        wrong[:, x1 : max(x1 + 1, (x1 + x2) // 2)] = False
        if not wrong.any():
            wrong[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = True
    return "clip", paste_rle(wrong, window, rle.height, rle.width)


def _room(rle: Rle) -> Window:
    """The mask's window with as much space around as the mask is large, within the frame."""
    bounds = mask_bounds(rle)
    x1, y1, x2, y2 = bounds or (0, 0, rle.width, rle.height)
    space = max(8, max(x2 - x1, y2 - y1) // 2)
    return max(0, x1 - space), max(0, y1 - space), min(rle.width, x2 + space), min(rle.height, y2 + space)


def _merge(rle: Rle, neighbours: Sequence[Rle]) -> Rle | None:
    """United with the nearest neighbour whose box comes within a few pixels; None when nobody is near."""
    own = np.array(mask_bounds(rle), float)
    reach = 0.25 * float(np.hypot(own[2] - own[0], own[3] - own[1]))
    best: tuple[float, Rle] | None = None
    for other in neighbours:
        bounds = mask_bounds(other)
        if bounds is None or (other.height, other.width) != (rle.height, rle.width):
            continue
        apart = np.maximum(
            0, [bounds[0] - own[2], own[0] - bounds[2], bounds[1] - own[3], own[1] - bounds[3]]
        )
        distance = float(np.hypot(apart[:2].max(), apart[2:].max()))
        if distance <= reach and (best is None or distance < best[0]):
            best = (distance, other)
    if best is None:
        return None
    window = (0, 0, rle.width, rle.height)
    mask = crop_rle(rle, window)
    merged = mask | crop_rle(best[1], window)
    if mask_iou(mask, merged) > _TARGET[1]:
        return None
    return paste_rle(merged, window, rle.height, rle.width)


def followed_box(box: FloatArray, old: Rle, new: Rle) -> FloatArray:
    """(4,) the box that follows a mask, as far from its bounds as the old box was from the old mask's.

    So nothing in how box and mask lie to each other tells which labels were touched.

    Args:
        box: (4,) the old box.
        old: Mask that it belonged to.
        new: Mask that it is to follow. With either empty the old box stays.
    """
    before, after = mask_bounds(old), mask_bounds(new)
    box = np.asarray(box, float)
    if before is None or after is None:
        return box
    moved = np.array(after, float) + box - np.array(before, float)
    moved = np.clip(moved, 0, [new.width, new.height, new.width, new.height])
    return moved if (moved[2:] - moved[:2] >= 1).all() else np.array(after, float)


def remap_mask(rle: Rle, old: FloatArray, new: FloatArray, width: int, height: int) -> Rle | None:
    """The mask moved and stretched as its box was (nearest pixel); None when nothing is left of it.

    Args:
        rle: The mask.
        old: (4,) its box.
        new: (4,) the box it goes to.
        width: Pixels of the target frame.
        height: Pixels of the target frame.
    """
    x1, y1 = max(0, int(np.floor(new[0]))), max(0, int(np.floor(new[1])))
    x2, y2 = min(width, int(np.ceil(new[2]))), min(height, int(np.ceil(new[3])))
    if x2 <= x1 or y2 <= y1:
        return None
    scale_x = (old[2] - old[0]) / max(new[2] - new[0], 1e-6)
    scale_y = (old[3] - old[1]) / max(new[3] - new[1], 1e-6)
    columns = np.floor(old[0] + (np.arange(x1, x2) + 0.5 - new[0]) * scale_x).astype(int)
    rows = np.floor(old[1] + (np.arange(y1, y2) + 0.5 - new[1]) * scale_y).astype(int)
    inside_x = (columns >= 0) & (columns < rle.width)
    inside_y = (rows >= 0) & (rows < rle.height)
    full = crop_rle(rle, (0, 0, rle.width, rle.height))
    crop = full[np.ix_(rows.clip(0, rle.height - 1), columns.clip(0, rle.width - 1))]
    crop = crop & inside_y[:, None] & inside_x[None]
    return paste_rle(crop, (x1, y1, x2, y2), height, width) if crop.any() else None
