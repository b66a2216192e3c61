"""Splitting one camera's frames by time: blocks, folds with a gap, gold.

Neighbouring frames of a fixed camera are near-duplicates; a random split would put the same people, in the
same pose, on both sides. Everything here therefore goes by block of time and leaves a gap between the sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.errors import DataError
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["assign_folds", "near_in_time", "pick_gold_blocks", "time_blocks", "training_frames"]


def time_blocks(times: FloatArray, clips: Sequence[str], block_seconds: float) -> IntArray:
    """Number each frame's block of time: (N,) ints from 0, in the order of clips (sorted) and time.

    Args:
        times: (N,) seconds, `Frame.captured_at`.
        clips: N recording names; a block never spans two.
        block_seconds: Length. A rest shorter than half a block joins the block before it.
    """
    times = np.asarray(times, float)
    names = np.asarray(clips, dtype=object)
    blocks = np.zeros(len(times), np.int64)
    first = 0
    for clip in sorted(set(clips)):
        members = np.flatnonzero(names == clip)
        offset = times[members] - times[members].min()
        count = max(1, round((offset.max() + 1e-9) / block_seconds))
        blocks[members] = first + np.minimum(offset // block_seconds, count - 1).astype(np.int64)
        first += count
    _, dense = np.unique(blocks, return_inverse=True)
    return np.asarray(dense, np.int64)


def assign_folds(blocks: IntArray, folds: int, *, runs_per_fold: int = 2) -> IntArray:
    """Give each frame a fold, (N,) ints in [0, folds), by runs of consecutive blocks.

    Each fold gets up to `runs_per_fold` separate runs: enough to see early and late footage, few enough that
    the gaps at the seams cost little.

    Raises:
        DataError: There are fewer blocks than folds.
    """
    blocks = np.asarray(blocks)
    unique = np.unique(blocks)
    if len(unique) < folds:
        raise DataError(
            f"{folds} folds need at least {folds} blocks of time, got {len(unique)}",
            item="split",
            hint="ingest more footage, or lower split.block_seconds or split.folds in site.yaml",
        )
    runs = folds * max(1, min(runs_per_fold, len(unique) // folds))
    run_of_block = (np.arange(len(unique)) * runs) // len(unique)
    return np.asarray((run_of_block % folds)[np.searchsorted(unique, blocks)], np.int64)


def near_in_time(
    times: FloatArray, clips: Sequence[str], members: BoolArray, gap_seconds: float
) -> BoolArray:
    """(N,) True for frames at most `gap_seconds` from a member frame of the same clip (members included)."""
    times = np.asarray(times, float)
    names = np.asarray(clips, dtype=object)
    near = np.array(members, bool)
    for clip in set(clips):
        inside = np.flatnonzero(names == clip)
        marks = np.sort(times[inside][near[inside]])
        if not len(marks):
            continue
        at = np.searchsorted(marks, times[inside])
        left = np.abs(times[inside] - marks[np.clip(at - 1, 0, len(marks) - 1)])
        right = np.abs(times[inside] - marks[np.clip(at, 0, len(marks) - 1)])
        near[inside] |= np.minimum(left, right) <= gap_seconds
    return near


def training_frames(
    fold_of: IntArray, fold: int, times: FloatArray, clips: Sequence[str], gap_seconds: float
) -> BoolArray:
    """(N,) True for the frames that may train the detector which judges `fold`.

    Raises:
        DataError: The gap leaves nothing.
    """
    keep = ~near_in_time(times, clips, np.asarray(fold_of) == fold, gap_seconds)
    if not keep.any():
        raise DataError(
            f"no frame is left to train against fold {fold}",
            item="split",
            hint="lower split.gap_seconds or raise split.block_seconds in site.yaml",
        )
    return np.asarray(keep)


def pick_gold_blocks(blocks: IntArray, share: float) -> BoolArray:
    """Choose whole blocks for a test set, (N,) True for its frames.

    With 20 blocks or more they are spread evenly over the footage; with fewer, the last ones are taken, so
    that only one seam needs a gap.

    Args:
        blocks: (N,) block of each frame.
        share: Wanted share of the blocks in (0, 1); at least one block, and one is always left to train on.

    Raises:
        DataError: There are fewer than two blocks.
    """
    unique = np.unique(blocks)
    if len(unique) < 2:
        raise DataError(
            "a test set needs at least two blocks of time, got 1",
            item="split",
            hint="ingest more footage or lower split.block_seconds in site.yaml",
        )
    count = min(max(1, round(share * len(unique))), len(unique) - 1)
    if len(unique) >= 20:
        chosen = unique[np.floor((np.arange(count) + 0.5) * len(unique) / count).astype(int)]
    else:
        chosen = unique[-count:]
    return np.asarray(np.isin(blocks, chosen))
