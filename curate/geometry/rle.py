"""COCO run-length masks: column-major, the first run is zeros; and their compressed string form.

The run lengths are computed here with numpy; the string form and the IoU of many masks are
faster-coco-eval's (the C++ code of pycocotools' mask API).
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from curate.errors import FormatError
from curate.geometry.shapes import Rle
from curate.types import BoxTuple, FloatArray, MaskArray

__all__ = [
    "mask_to_rle",
    "rle_area",
    "rle_from_coco",
    "rle_iou",
    "rle_to_bbox",
    "rle_to_coco",
    "rle_to_mask",
]

_MAX_PIXELS = 2**31 - 1
"""The C code behind the string form counts in 32 bits."""


def mask_to_rle(mask: MaskArray) -> Rle:
    """(H, W) boolean mask to run lengths."""
    mask = np.asarray(mask, bool)
    if mask.ndim != 2:
        raise FormatError(f"a mask needs shape (H, W), got {mask.shape}")
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], edges, [flat.size]])
    counts = np.diff(bounds).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    return Rle(int(mask.shape[0]), int(mask.shape[1]), tuple(int(count) for count in counts))


def rle_to_mask(rle: Rle) -> MaskArray:
    """Run lengths to an (H, W) boolean mask."""
    counts = np.asarray(rle.counts, np.int64)
    if counts.sum() != rle.height * rle.width or (counts < 0).any():
        raise FormatError(
            f"run lengths must be >= 0 and sum to {rle.height} x {rle.width}, got {int(counts.sum())}"
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((rle.height, rle.width), order="F")


def rle_area(rle: Rle) -> int:
    """Pixels inside."""
    return int(sum(rle.counts[1::2]))


def rle_to_bbox(rle: Rle) -> BoxTuple | None:
    """Tight box of the pixels inside, in pixel edges; None for an empty mask."""
    bounds = np.cumsum(np.asarray((0, *rle.counts), np.int64))
    starts, stops = bounds[1:-1:2], bounds[2::2]
    inside = stops > starts
    starts, lasts = starts[inside], stops[inside] - 1
    if not len(starts):
        return None
    # A run that goes on into the next column touches the foot of one column and the top of the next.
    one_column = starts // rle.height == lasts // rle.height
    top = np.where(one_column, starts % rle.height, 0).min()
    foot = np.where(one_column, lasts % rle.height, rle.height - 1).max()
    left, right = starts[0] // rle.height, lasts[-1] // rle.height
    return (float(left), float(top), float(right + 1), float(foot + 1))


def rle_to_coco(rle: Rle) -> dict[str, Any]:
    """COCO's compressed form: {"size": [h, w], "counts": str}."""
    from faster_coco_eval.core import mask as mask_api

    packed = mask_api.frPyObjects(
        {"size": [rle.height, rle.width], "counts": list(rle.counts)}, rle.height, rle.width
    )
    counts = packed["counts"]
    return {
        "size": [rle.height, rle.width],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }


def rle_from_coco(value: Any, *, item: str = "segmentation") -> Rle:
    """COCO's {"size": [h, w], "counts": list of runs or compressed str} to run lengths.

    Raises:
        FormatError: The value is not such a mapping, its runs do not fill the image, or the image has
            2**31 pixels or more.
    """
    try:
        height, width = (index(side) for side in value["size"])
        counts = value["counts"]
        runs = _unpack_counts(counts) if isinstance(counts, str | bytes) else [index(run) for run in counts]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise FormatError(
            'an RLE needs {"size": [height, width], "counts": runs or compressed string}', item=item
        ) from error
    if height <= 0 or width <= 0 or height * width > _MAX_PIXELS:
        raise FormatError(f"an RLE of {height} x {width} pixels cannot be", item=item)
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise FormatError(
            f"run lengths must be >= 0 and sum to {height} x {width}, got {sum(runs)}", item=item
        )
    return Rle(height, width, tuple(runs))


def _unpack_counts(text: str | bytes) -> list[int]:
    """Decode pycocotools' string: 5 bits a character, sign-extended, deltas from the fourth run on.

    Done here, not by the C code, because that reads past the end of a string cut short.
    """
    data = text.encode("ascii") if isinstance(text, str) else text
    runs: list[int] = []
    position = 0
    while position < len(data):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(data):
                raise ValueError("compressed run lengths end in the middle of a number")
            char = data[position] - 48
            if not 0 <= char < 64 or shift > 60:
                raise ValueError("not a compressed run length")
            value |= (char & 0x1F) << shift
            more = bool(char & 0x20)
            position += 1
            shift += 5
            if not more and char & 0x10:
                value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
    return runs


def rle_iou(a: Sequence[Rle], b: Sequence[Rle]) -> FloatArray:
    """Mask IoU matrix (N, M) in [0, 1]."""
    if not a or not b:
        return np.zeros((len(a), len(b)))
    from faster_coco_eval.core import mask as mask_api

    packed_a = [rle_to_coco(rle) for rle in a]
    packed_b = [rle_to_coco(rle) for rle in b]
    return np.asarray(mask_api.iou(packed_a, packed_b, [0] * len(packed_b)), float).reshape(len(a), len(b))
