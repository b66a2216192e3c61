"""Light and weather of training frames, changed for whole batches on the device that trains.

A fixed camera sees one place in every light and weather, but a week of labels has only some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from curate.types import FloatArray

__all__ = ["Light", "draw_light", "relight"]

_LIGHT = 0.2
# Optical depth of the haze at the top of the picture (the farthest ground), the share of it at the bottom, and the
# grey level of the air.
_HAZE, _NEAR, _AIR = (0.3, 1.2), 0.2, 205.0
# Standard deviation of a dark camera's noise in grey levels, and how far its light falls.
_NOISE, _DUSK = (3.0, 10.0), (0.4, 0.8)
# Share of pixels at which a drop begins, the length of its streak as a share of the height, brightness, opacity.
_DROPS, _STREAK, _RAIN, _OPACITY = (0.002, 0.008), (0.02, 0.05), 210.0, 0.35


@dataclass(frozen=True)
class Light:
    """How one frame's pixels change.

    Attributes:
        gain: Factor of all channels.
        contrast: Factor around the middle grey, after the gain.
        tint: (3,) factors of the channels, after the contrast.
        haze: Optical depth at the top of the picture; 0 for clear air.
        rain: Share of the pixels at which a streak begins; 0 for none.
        streak: Length of a streak as a share of the height.
        noise: Standard deviation in grey levels; 0 for none.
        seed: Of what differs from pixel to pixel.
    """

    gain: float
    contrast: float
    tint: FloatArray
    haze: float = 0.0
    rain: float = 0.0
    streak: float = 0.0
    noise: float = 0.0
    seed: int = 0

    @property
    def clear(self) -> bool:
        """Whether there is no weather in it."""
        return not (self.haze or self.rain or self.noise)


def draw_light(random: np.random.Generator, weather: float) -> Light:
    """Brighter or darker, harder or softer, warmer or colder; in a share of the frames haze, rain or a dark evening.

    Args:
        random: Of the frame in its step.
        weather: Share of the frames that have weather, in [0, 1].
    """
    gain = 1 + random.uniform(-_LIGHT, _LIGHT)
    contrast = 1 + random.uniform(-_LIGHT, _LIGHT)
    tint = 1 + random.uniform(-_LIGHT / 4, _LIGHT / 4, 3)
    if random.random() >= weather:
        return Light(gain, contrast, tint)
    kind, seed = int(random.integers(3)), int(random.integers(1 << 62))
    if kind == 0:
        return Light(gain, contrast, tint, haze=random.uniform(*_HAZE), seed=seed)
    if kind == 1:
        drops, streak = random.uniform(*_DROPS), random.uniform(*_STREAK)
        return Light(gain, contrast, tint, rain=drops, streak=streak, seed=seed)
    return Light(gain * random.uniform(*_DUSK), contrast, tint, noise=random.uniform(*_NOISE), seed=seed)


def relight(canvases: Tensor, lights: Sequence[Light | None]) -> Tensor:
    """(B, h, w, 3 or 6) bytes to floats in [0, 255], the first three channels in each frame's light.

    Difference channels stay: the plate would be made anew in another light.

    Args:
        canvases: On the device that computes.
        lights: One per frame; None leaves a frame as it is.
    """
    pixels = canvases.float()
    given = [light or Light(1.0, 1.0, np.ones(3)) for light in lights]
    if all(light is None for light in lights):
        return pixels
    slope = _column([light.gain * light.contrast for light in given], pixels)
    offset = _column([128 * (1 - light.contrast) for light in given], pixels)
    tint = _column([light.tint for light in given], pixels)
    image = pixels[..., :3]
    image.mul_(slope).add_(offset).clamp_(0, 255).mul_(tint).clamp_(max=255)
    for frame, light in zip(image, given, strict=True):
        if not light.clear:
            _change_weather(frame, light)
    return pixels


def _column(values: Sequence[float] | Sequence[FloatArray], like: Tensor) -> Tensor:
    table = torch.tensor(np.array(values, np.float32), device=like.device)
    return table.reshape(len(values), 1, 1, -1)


def _change_weather(frame: Tensor, light: Light) -> None:
    """Haze, rain and noise of one frame (h, w, 3), in place."""
    random = torch.Generator(frame.device).manual_seed(light.seed)
    height, width = frame.shape[:2]
    if light.haze:
        # Koschmieder's law (1924): what is far fades into the air. Of one camera's picture the top is the farthest.
        depth = torch.linspace(1.0, _NEAR, height, device=frame.device)
        seen = torch.exp(-light.haze * depth)[:, None, None]
        frame.mul_(seen).add_(_AIR * (1 - seen))
    if light.rain:
        length = max(3, round(light.streak * height))
        drops = torch.rand((1, 1, height, width), generator=random, device=frame.device) < light.rain
        streaks = functional.max_pool2d(
            functional.pad(drops.float(), (0, 0, length - 1, 0)), (length, 1), stride=1
        )
        share = streaks[0, 0, :, :, None] * _OPACITY
        frame.lerp_(torch.full_like(frame, _RAIN), share)
    if light.noise:
        noise = torch.randn(frame.shape, generator=random, device=frame.device)
        frame.add_(noise, alpha=light.noise).clamp_(0, 255)
