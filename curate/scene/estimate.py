"""Estimating the empty scene from frames with people in them.

At each pixel the plate is the colour that lasts: candidates are the medians of short windows of time, and the
one wins that is seen in most windows and over the longest time. A plain median over all frames needs the
ground to be visible half of the time and leans towards whoever stands there; the most lasting colour does not.
Who stands from the first to the last frame is part of the plate: these frames alone cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from curate.errors import ImageError
from curate.scene.plate import Plate, check_image
from curate.types import FloatArray, ImageArray

__all__ = ["build_plate", "build_plates", "choose_plate", "estimate_plate", "sample_frames"]

_NEAR = 14.0
"""Grey levels within which two colours are the same thing: about four times the noise of a cheap camera."""
_MIN_SUPPORT = 0.25
"""A pixel whose winning colour is seen in a smaller share of the frames is not valid."""
_MAX_SPREAD = 12.0
"""A pixel that is noisier than this (water, leaves, a flag) is not valid."""
_PRESENT = 1 / 3
"""A colour is there in a window from this share of its frames on."""
_SPAN_WEIGHT = 0.8
_LEAST_SPREAD = 0.5
_CHUNK = 50_000
"""Undecided pixels worked on at a time."""
_MIN_FRAMES = 10
"""A light condition seen in fewer sampled frames gets no plate of its own."""


def sample_frames(frames: Iterable[ImageArray], *, most: int = 120, megabytes: int = 400) -> list[ImageArray]:
    """An even subsample over time of a stream of unknown length, read once.

    Every k-th frame is kept; when the store is full every second one is dropped and k doubles, so that
    memory stays bounded and the sample even.

    Args:
        frames: (H, W, 3) RGB images of one size.
        most: Upper limit of frames kept.
        megabytes: Upper limit of the memory that they take (at least 15 frames are kept).

    Raises:
        ImageError: A frame has another shape than the first, or there is none.
    """
    kept: list[ImageArray] = []
    stride, limit = 1, most
    size: tuple[int, int] | None = None
    for index, image in enumerate(frames):
        check_image(image, size=size, item=f"frame {index}")
        if size is None:
            size = (int(image.shape[1]), int(image.shape[0]))
            limit = max(15, min(most, megabytes * 1_000_000 // image.nbytes))
        if index % stride:
            continue
        if len(kept) == limit:
            kept, stride = kept[::2], stride * 2
            if index % stride:
                continue
        kept.append(image)
    if not kept:
        raise ImageError("a background plate needs at least one frame, got none", hint="ingest footage first")
    return kept


def build_plate(frames: Iterable[ImageArray], *, most: int = 120, windows: int = 15) -> Plate:
    """Background plate of a stream of frames in one light (see `build_plates` for several lights).

    Args:
        frames: (H, W, 3) RGB images of one size, in order of time, read once.
        most: Frames to sample from it.
        windows: Windows of time whose medians are the candidates.

    Raises:
        ImageError: No frames, or frames of different sizes.
    """
    return estimate_plate(sample_frames(frames, most=most), windows=windows)


def estimate_plate(frames: Sequence[ImageArray], *, windows: int = 15) -> Plate:
    """The same from at least one frame in memory, all of one size, in order of time."""
    lit = [_relight(frame, gain) for frame, gain in zip(frames, _light_gains(frames), strict=True)]
    parts = [part.tolist() for part in np.array_split(np.arange(len(lit)), min(windows, len(lit)))]
    candidates = np.stack([_median([lit[index] for index in part]) for part in parts])
    image = _median(list(candidates))
    # Where all windows agree there is nothing to decide: that is nearly everywhere.
    open_rows, open_columns = np.nonzero(_strongest(candidates.max(0) - candidates.min(0)) > _NEAR / 2)
    for start in range(0, len(open_rows), _CHUNK):
        at = (open_rows[start : start + _CHUNK], open_columns[start : start + _CHUNK])
        values = np.stack([frame[at] for frame in lit])
        image[at] = _lasting_colour(values, candidates[(slice(None), *at)], parts)
    image, _, _ = _refine(lit, image)
    image, spread, support = _refine(lit, image)
    valid = (support >= _MIN_SUPPORT) & (spread <= _MAX_SPREAD)
    brightness = float(np.median([_brightness(frame) for frame in frames]))
    return Plate(image, spread, valid, len(frames), brightness)


def build_plates(
    frames: Iterable[ImageArray], *, most: int = 240, most_plates: int = 3, ratio: float = 1.5
) -> list[Plate]:
    """One plate per light condition, darkest first: frames are split where their brightness has a gap.

    Args:
        frames: (H, W, 3) RGB images of one size, in order of time, read once.
        most: Frames to sample from it.
        most_plates: Upper limit of light conditions.
        ratio: Brightness of neighbouring conditions differs by at least this factor. A drift of light without
            a gap stays one condition: the plate and the difference compensate it.

    Raises:
        ImageError: No frames, or frames of different sizes.
    """
    kept = sample_frames(frames, most=most)
    levels = np.log(np.array([_brightness(frame) for frame in kept]) + 4.0)
    order = np.argsort(levels, kind="stable")
    gaps = np.diff(levels[order])
    cuts: list[int] = []
    for cut in np.argsort(-gaps, kind="stable").tolist():
        edges = sorted([0, *cuts, cut + 1, len(kept)])
        enough = min(np.diff(edges)) >= _MIN_FRAMES
        if gaps[cut] >= np.log(ratio) and enough and len(cuts) + 1 < most_plates:
            cuts.append(cut + 1)
    groups = np.split(order, sorted(cuts))
    return [estimate_plate([kept[index] for index in np.sort(group)]) for group in groups]


def choose_plate(image: ImageArray, plates: Sequence[Plate]) -> Plate:
    """The plate of the light that is nearest to the frame's brightness."""
    if not plates:
        raise ImageError("there is no background plate to choose from", hint="run `curate scan`")
    level = np.log(_brightness(image) + 4.0)
    return min(plates, key=lambda plate: abs(float(np.log(plate.brightness + 4.0) - level)))


def _brightness(image: ImageArray) -> float:
    """Median grey level over all channels, 0..255."""
    return float(np.median(image[::4, ::4]))


def _light_gains(frames: Sequence[ImageArray]) -> FloatArray:
    """(T, 3) factors that bring every frame to the light of the median frame."""
    small = np.stack([frame[::8, ::8] for frame in frames]).astype(np.float32) + 1.0
    ratios = np.median(small / np.median(small, axis=0), axis=(1, 2))
    return np.asarray(1.0 / np.clip(ratios, 0.2, 5.0), np.float32)


def _relight(frame: ImageArray, gain: FloatArray) -> ImageArray:
    scale = np.array([*gain.tolist(), 1.0])  # as an OpenCV scalar: one factor a channel
    return np.asarray(cv2.multiply(frame, scale), np.uint8)


def _strongest(image: ImageArray) -> ImageArray:
    """Maximum over the three channels (..., 3); numpy's own max over such a short axis is slow."""
    return np.asarray(np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2]), np.uint8)


def _median(images: list[ImageArray]) -> ImageArray:
    """Per-pixel (lower) median of equal uint8 arrays.

    An odd-even transposition network of whole-image minima and maxima: ten times as fast as np.median here.
    """
    ranked = [image.copy() for image in images]
    for turn in range(len(ranked)):
        for low in range(turn % 2, len(ranked) - 1, 2):
            smaller = np.minimum(ranked[low], ranked[low + 1])
            np.maximum(ranked[low], ranked[low + 1], out=ranked[low + 1])
            ranked[low] = smaller
    return ranked[(len(ranked) - 1) // 2]


def _lasting_colour(values: ImageArray, candidates: ImageArray, parts: list[list[int]]) -> ImageArray:
    """The candidate (K, P, 3) seen in most windows and longest, for P pixels (T, P, 3)."""
    votes = np.zeros(candidates.shape[:2], np.float32)
    for row, candidate in enumerate(candidates):
        away = np.asarray(cv2.absdiff(values, np.broadcast_to(candidate, values.shape).copy()), np.uint8)
        seen = np.asarray(_strongest(away) <= _NEAR)
        shares = np.stack([seen[part].mean(0) for part in parts])
        there = shares >= _PRESENT
        first, last = there.argmax(0), len(parts) - 1 - there[::-1].argmax(0)
        span = np.where(there.any(0), last - first + 1, 0)
        # Windows seen (fully counted from half of their frames on) and the time between the first and the last:
        # the ground was there before somebody came and is there again when he has gone.
        votes[row] = np.minimum(2 * shares, 1).sum(0) + _SPAN_WEIGHT * span + 0.5 * seen.mean(0)
    return np.asarray(candidates[votes.argmax(0), np.arange(candidates.shape[1])])


def _refine(frames: Sequence[ImageArray], image: ImageArray) -> tuple[ImageArray, FloatArray, FloatArray]:
    """Mean, standard deviation (H, W) and share (H, W) of the frames that show the plate's colour."""
    total = np.zeros(image.shape, np.float32)
    squares = np.zeros(image.shape, np.float32)
    count = np.zeros(image.shape[:2], np.float32)
    for frame in frames:
        away = np.asarray(cv2.absdiff(frame, image), np.uint8)
        near = (_strongest(away) <= _NEAR).astype(np.uint8)
        cv2.accumulate(frame, total, near)
        cv2.accumulateSquare(away, squares, near)
        count += near
    several = np.maximum(count, 1.0)
    mean = np.where(count[..., None] > 0, total / several[..., None], image)
    offset = mean - image
    variance = (squares / several[..., None] - offset**2).mean(-1)
    spread = np.sqrt(np.maximum(variance, _LEAST_SPREAD**2)).astype(np.float32)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8), spread, count / len(frames)
