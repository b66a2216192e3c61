"""Near-duplicate frames of a fixed camera: nothing in the picture has moved.

A perceptual hash of the whole picture is useless here: with a fixed camera all frames look alike. Two frames
are near-duplicates when no small cell of the picture differs by more than noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from curate.errors import DataError
from curate.scene.plate import check_image
from curate.types import FloatArray, ImageArray, IntArray

__all__ = ["SIGNATURE_SIZE", "frame_signature", "near_duplicates", "signature_distance"]

SIGNATURE_SIZE = (64, 48)
"""Columns and rows of a frame's signature."""


def frame_signature(image: ImageArray) -> ImageArray:
    """(48, 64) uint8 grey means of the cells of an (H, W, 3) RGB frame."""
    check_image(image)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, SIGNATURE_SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def signature_distance(signature: ImageArray, others: ImageArray) -> FloatArray:
    """(K,) grey levels by which the most different cells (the 99.8th percentile) of K signatures differ.

    A change of the light as a whole (the median difference) does not count.
    """
    gaps = others.reshape(len(others), -1).astype(np.int16) - signature.reshape(1, -1).astype(np.int16)
    gaps = np.abs(gaps - np.median(gaps, axis=1, keepdims=True).astype(np.int16))
    rank = int(0.998 * (gaps.shape[1] - 1))
    return np.asarray(np.partition(gaps, rank, axis=1)[:, rank], float)


def near_duplicates(signatures: Sequence[ImageArray], *, limit: float = 6.0, window: int = 50) -> IntArray:
    """For each frame the index of the earlier frame that it repeats, or -1: (N,) int.

    Only frames that are not themselves repetitions are referred to, so each group has one head.

    Args:
        signatures: N arrays from `frame_signature`, in order of time.
        limit: Distance in grey levels up to which frames are near-duplicates.
        window: How many of the last heads a frame is compared with.

    Raises:
        DataError: A signature has another shape.
    """
    result = np.full(len(signatures), -1, np.int64)
    heads: list[int] = []
    for index, signature in enumerate(signatures):
        if signature.shape != SIGNATURE_SIZE[::-1]:
            raise DataError(
                f"expected a signature of shape {SIGNATURE_SIZE[::-1]}, got {signature.shape}",
                item=f"frame {index}",
            )
        recent = heads[-window:]
        if recent:
            distances = signature_distance(signature, np.stack([signatures[head] for head in recent]))
            best = int(distances.argmin())
            if distances[best] <= limit:
                result[index] = recent[best]
                continue
        heads.append(index)
    return result
