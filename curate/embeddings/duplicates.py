"""Near-duplicate crops: the same object at the same place in the same light, once more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.embeddings.index import CropIndex
from curate.errors import DataError
from curate.types import FloatArray, IntArray

__all__ = ["duplicate_crops"]

_NEAREST = 32


def duplicate_crops(
    vectors: FloatArray, frames: Sequence[str] | None = None, *, limit: float = 0.97
) -> IntArray:
    """For each crop the earlier crop that it repeats, or its own row: (N,) int. Each group has one head.

    A crop joins the most similar of its 32 nearest that is a head and comes before it; a group has at most one crop of
    a frame, however alike others are: they are two objects.

    Args:
        vectors: (N, D) features after `Reducer`, in order of time.
        frames: N frame ids; None: every crop has a frame of its own.
        limit: Cosine similarity in (0, 1] from which a crop teaches nothing new.

    Raises:
        DataError: Lengths differ, or vectors are not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    count = len(vectors)
    if frames is not None and len(frames) != count:
        raise DataError(f"expected one frame per crop, got {len(frames)} for {count} crops")
    heads = np.arange(count)
    if count < 2:
        return heads
    index = CropIndex.build(vectors, [str(row) for row in range(count)])
    near, similar = index.search(vectors, min(_NEAREST, count))
    names = [str(row) for row in range(count)] if frames is None else list(frames)
    members = {(row, names[row]) for row in range(count)}
    for row in range(count):
        taken = (near[row] >= 0) & (near[row] < row) & (similar[row] >= limit)
        for other in near[row][taken].tolist():
            if heads[other] == other and (other, names[row]) not in members:
                heads[row] = other
                members.add((other, names[row]))
                break
    return heads
