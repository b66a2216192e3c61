"""Precision and recall from matched detections: 101-point AP for many weightings of time blocks at once.

AP follows COCO: precision made non-increasing from the right, read at 101 recalls, averaged. Precision only
rises at a true positive, so the curve is kept there alone: per block the true and false positives so far.
Weighting a block by w is the same as having it w times, which makes every bootstrap a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["RECALLS", "BlockCurve", "average_precision", "block_curve", "false_per_frame", "recall_at_false"]

RECALLS: FloatArray = np.linspace(0.0, 1.0, 101)
_CHUNK = 2_000_000


@dataclass(frozen=True)
class BlockCurve:
    """A precision-recall curve at its P true positives, split over B blocks.

    Attributes:
        true: (B, P) true positives so far, in order of falling score.
        false: (B, P) false positives so far.
        positives: (B,) objects that count.
    """

    true: FloatArray
    false: FloatArray
    positives: FloatArray


def block_curve(
    scores: FloatArray,
    true: BoolArray,
    false: BoolArray,
    blocks: IntArray,
    positives: FloatArray,
    *,
    whole_ties: bool = False,
) -> BlockCurve:
    """Curve of one class at one threshold.

    Args:
        scores: (D,) in canonical order.
        true: (D,) true positives.
        false: (D,) false positives; what is neither is ignored.
        blocks: (D,) block of each detection.
        positives: (B,) objects that count, per block.
        whole_ties: Take equal scores in one step, as a threshold does; else one by one, as COCO does.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[true[order] | false[order]]
    hit, block = true[order], blocks[order]
    step = np.zeros((len(order), len(positives)))
    step[np.arange(len(order)), block] = 1.0
    true_so_far = np.cumsum(step * hit[:, None], axis=0)
    false_so_far = np.cumsum(step * ~hit[:, None], axis=0)
    at = np.flatnonzero(hit)
    if whole_ties:
        falling = -scores[order]
        at = np.unique(np.searchsorted(falling, falling[at], side="right") - 1)
    parts = [np.ascontiguousarray(part[at].T) for part in (true_so_far, false_so_far)]
    return BlockCurve(parts[0], parts[1], np.asarray(positives, float))


def _weighted(curve: BlockCurve, weights: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    # Not a BLAS product: the matrices are thin, and its threads stall when the machine is busy.
    true, false = (np.einsum("rb,bp->rp", weights, part) for part in (curve.true, curve.false))
    return true, false, np.rint(weights @ curve.positives).astype(np.int64)


def _recalls_reached(true: FloatArray, positives: IntArray) -> IntArray:
    """(R, P) how many of the 101 recalls `true` of `positives` (R,) objects reach, from a table."""
    totals, row = np.unique(positives, return_inverse=True)
    cases = [np.searchsorted(RECALLS, np.arange(n + 1) / max(n, 1), side="right") for n in totals.tolist()]
    starts = np.cumsum([0, *(len(case) for case in cases)])[:-1]
    return np.asarray(np.concatenate(cases)[true.astype(np.int64) + starts[row][:, None]])


def average_precision(curve: BlockCurve, weights: FloatArray) -> FloatArray:
    """(R,) 101-point AP in [0, 1]; NaN where no object counts.

    Args:
        curve: P true positives, B blocks.
        weights: (R, B) whole numbers: how often each block is there.
    """
    result = np.zeros(len(weights))
    size = max(1, _CHUNK // max(1, curve.true.shape[1]))
    for start in range(0, len(weights), size):
        part = slice(start, start + size)
        true, false, positives = _weighted(curve, weights[part])
        area = np.zeros(len(true))
        if true.shape[1]:
            precision = true / np.maximum(true + false, 1.0)
            envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            # Each recall is read at the first true positive that reaches it. Recall 0 belongs to the first
            # detection of all, where the envelope is that of the first true positive.
            first = np.diff(_recalls_reached(true, positives), axis=1, prepend=0)
            area = np.einsum("rp,rp->r", envelope, first.astype(float)) / len(RECALLS)
        result[part] = np.where(positives > 0, area, np.nan)
    return result


def false_per_frame(
    curve: BlockCurve, weights: FloatArray, recalls: Sequence[float], frames: FloatArray
) -> FloatArray:
    """(R, K) false positives per frame at the highest threshold that reaches each of K recalls; NaN if none.

    Args:
        curve: Made with `whole_ties`.
        weights: (R, B) weights of the blocks.
        recalls: K recalls.
        frames: (B,) frames of each block.
    """
    true, false, positives = _weighted(curve, weights)
    recall = true / np.maximum(positives, 1)[:, None]
    per_frame = false / np.maximum(weights @ frames, 1e-12)[:, None]
    result = np.full((len(weights), len(recalls)), np.nan)
    for column, wanted in enumerate(recalls):
        reached = recall >= wanted
        rows = np.flatnonzero(reached.any(axis=1))
        if not len(rows):
            continue  # Also the case without any detection: there is no column to choose from.
        result[rows, column] = per_frame[rows, reached[rows].argmax(axis=1)]
    return result


def recall_at_false(
    curve: BlockCurve, weights: FloatArray, limits: Sequence[float], frames: FloatArray
) -> FloatArray:
    """(R, K) largest recall with at most each of K numbers of false positives per frame; NaN without objects.

    Args:
        curve: Made with `whole_ties`.
        weights: (R, B) weights of the blocks.
        limits: K false positives per frame.
        frames: (B,) frames of each block.
    """
    true, false, positives = _weighted(curve, weights)
    per_frame = false / np.maximum(weights @ frames, 1e-12)[:, None]
    recall = true / np.maximum(positives, 1)[:, None]
    columns = [np.where(per_frame <= limit, recall, 0.0).max(axis=1, initial=0.0) for limit in limits]
    result = np.stack(columns, 1) if columns else np.zeros((len(weights), 0))
    return np.where((positives > 0)[:, None], result, np.nan)
