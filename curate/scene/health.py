"""Is a frame worth labelling? Blur, exposure, frozen picture, no picture, moved camera.

`measure_frame` turns pixels into numbers (cache them); `judge_frames` compares the numbers of a camera
with its own distribution and gives verdicts, so that a camera that is always a bit soft is not all blurred.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from curate.scene.fit import plate_fits
from curate.scene.plate import Plate, check_image
from curate.types import FloatArray, ImageArray

__all__ = ["FrameNumbers", "FrameVerdict", "frame_health", "judge_frames", "measure_frame"]

_LEAST_FRAMES = 8
"""With fewer frames there is no distribution to compare sharpness with."""


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """What was measured on one frame.

    Attributes:
        sharpness: Variance of the Laplacian of the grey picture.
        brightness: Median grey level, 0..255.
        contrast: Standard deviation of the grey picture.
        dark: Share of pixels at grey level <= 4.
        bright: Share of pixels at grey level >= 251.
        stripes: 0..1, share of the picture's variance that depends on the column only (colour bars: near 1).
        change: Mean absolute difference to the frame before, grey levels; None for the first.
        plate_score: Agreement with the plate's edges, 0..1; None without a plate.
        plate_shift: Pixels by which the picture has moved against the plate; None without a plate.
    """

    sharpness: float
    brightness: float
    contrast: float
    dark: float
    bright: float
    stripes: float
    change: float | None
    plate_score: float | None
    plate_shift: float | None


@dataclass(frozen=True, slots=True)
class FrameVerdict:
    """Numbers and what follows from them.

    Attributes:
        numbers: As measured.
        faults: Of "offline", "frozen", "moved", "dark", "overexposed", "blurred"; empty for a good frame.
        severity: 0..1, 0 for a good frame.
        reason: One sentence with the numbers; empty for a good frame.
    """

    numbers: FrameNumbers
    faults: tuple[str, ...]
    severity: float
    reason: str


def measure_frame(
    image: ImageArray, previous: ImageArray | None = None, plate: Plate | None = None
) -> FrameNumbers:
    """Numbers of one (H, W, 3) RGB frame, given the frame before it and a plate of its light, if any.

    Raises:
        ImageError: The image is not RGB uint8, or its size is not the plate's or the previous frame's.
    """
    check_image(image)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    levels = grey.astype(np.float32)
    spread = float(levels.std())
    columns = image.astype(np.float32).mean(0)
    column_variance = float(columns.var(0).mean())
    total_variance = float(image.reshape(-1, 3).astype(np.float32).var(0).mean())
    change = None
    if previous is not None:
        check_image(previous, size=(int(image.shape[1]), int(image.shape[0])))
        change = float(cv2.absdiff(image, previous).mean())
    score = shift = None
    if plate is not None:
        fit = plate_fits(image, plate)
        score, shift = fit.score, float(np.hypot(*fit.shift))
    return FrameNumbers(
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        brightness=float(np.median(grey)),
        contrast=spread,
        dark=float((grey <= 4).mean()),
        bright=float((grey >= 251).mean()),
        stripes=column_variance / total_variance if total_variance > 1.0 else 0.0,
        change=change,
        plate_score=score,
        plate_shift=shift,
    )


def judge_frames(
    numbers: Sequence[FrameNumbers], *, most_shift: float = 2.0, least_plate_score: float = 0.4
) -> list[FrameVerdict]:
    """A verdict for every frame of one camera.

    * offline: uniform (contrast under 4 grey levels) or colour bars (95 % of the variance by column).
    * frozen: bit for bit the frame before it, though the camera's frames usually differ (sensor noise).
    * moved: shifted against the plate by more than `most_shift` pixels, or with edges that do not agree.
    * dark, overexposed: more than 60 % of the pixels at the end of the scale.
    * blurred: log sharpness more than 5 robust deviations and a factor of 2 below the camera's median.
    """
    sharpness = np.log(np.array([max(frame.sharpness, 1e-3) for frame in numbers]))
    alive = np.array([not _offline(frame) for frame in numbers], bool)
    limit = _blur_limit(sharpness[alive])
    moving = [frame.change for frame in numbers if frame.change is not None]
    usually_changes = bool(moving) and float(np.median(moving)) > 0.05
    verdicts = []
    for frame, value in zip(numbers, sharpness.tolist(), strict=True):
        found: list[tuple[str, float, str]] = []
        if _offline(frame):
            found.append(
                ("offline", 1.0, f"no picture: contrast {frame.contrast:.1f}, stripes {frame.stripes:.0%}")
            )
        else:
            found += _exposure(frame)
            if value < limit:
                factor = float(np.exp(np.median(sharpness[alive]) - value))
                severity = float(np.clip(1 - 1 / factor, 0.5, 0.95))
                found.append(
                    ("blurred", severity, f"{factor:.1f} times less sharp than this camera's median")
                )
            found += _moved(frame, most_shift, least_plate_score)
        if frame.change == 0 and usually_changes:
            found.append(("frozen", 0.9, "identical to the frame before it"))
        reason = "; ".join(text for _, _, text in found)
        severity = max((value for _, value, _ in found), default=0.0)
        verdicts.append(FrameVerdict(frame, tuple(name for name, _, _ in found), severity, reason))
    return verdicts


def frame_health(images: Iterable[ImageArray], plate: Plate | None = None) -> list[FrameVerdict]:
    """Measure and judge a stream of (H, W, 3) RGB frames in order of time, holding two at a time.

    Raises:
        ImageError: A frame is not RGB uint8, or sizes differ.
    """
    numbers = []
    previous: ImageArray | None = None
    for image in images:
        numbers.append(measure_frame(image, previous, plate))
        previous = image
    return judge_frames(numbers)


def _offline(frame: FrameNumbers) -> bool:
    return frame.contrast < 4.0 or frame.stripes > 0.95


def _blur_limit(sharpness: FloatArray) -> float:
    """Log sharpness below which a frame of this camera is blurred."""
    if len(sharpness) < _LEAST_FRAMES:
        return -np.inf
    middle = float(np.median(sharpness))
    deviation = 1.4826 * float(np.median(np.abs(sharpness - middle)))
    return min(middle - 5 * deviation, middle - float(np.log(2)))


def _exposure(frame: FrameNumbers) -> list[tuple[str, float, str]]:
    if frame.dark > 0.6:
        return [("dark", frame.dark, f"{frame.dark:.0%} of the pixels are black")]
    if frame.bright > 0.6:
        return [("overexposed", frame.bright, f"{frame.bright:.0%} of the pixels are white")]
    return []


def _moved(frame: FrameNumbers, most_shift: float, least_score: float) -> list[tuple[str, float, str]]:
    if frame.plate_shift is None or frame.plate_score is None:
        return []
    if frame.plate_shift > most_shift:
        return [("moved", 0.9, f"the picture has moved by {frame.plate_shift:.1f} pixels against the plate")]
    if frame.plate_score < least_score:
        return [("moved", 0.7, f"only {frame.plate_score:.0%} of the plate's edges agree")]
    return []
