"""What a synthetic scene is made of."""

from __future__ import annotations

from dataclasses import dataclass

from curate.errors import ConfigError

__all__ = ["SceneConfig"]


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """One recording of the fixed camera; equal configurations give equal pixels.

    Attributes:
        seed: Everything random follows from it.
        frames: How many.
        size: Width and height in pixels, at least 64 x 48.
        fps: Frames per second of the scene's time.
        persons: People walking through at any time (each slot is filled again when its person has left).
        cars: Cars driving through at any time.
        trucks: Trucks driving through at any time; with any there is a third class.
        standers: People who walk in, stand for `stand_share` of the recording and walk on.
        stand_share: 0..1, the share of the recording for which each of them stands.
        parked_car: A car that stands in every frame, labelled.
        lamp_post: A post that people pass behind (an occluder, not labelled).
        tripod: A thin standing object with the outline of a person (not labelled).
        shadows: Soft shadows on the ground, not part of any mask.
        noise: Standard deviation of the sensor noise in grey levels.
        light_drift: Relative amplitude of the slow change of the light.
        dusk_from: Share of the recording after which the light falls to `dusk_gain`, or None.
        dusk_gain: Brightness after dusk relative to the day.
        clip: Name of the recording; frames are called "<clip>_000012.png".
        source: Label source that the exact labels carry.
    """

    seed: int = 0
    frames: int = 100
    size: tuple[int, int] = (320, 240)
    fps: float = 5.0
    persons: int = 4
    cars: int = 1
    trucks: int = 0
    standers: int = 1
    stand_share: float = 0.4
    parked_car: bool = True
    lamp_post: bool = True
    tripod: bool = True
    shadows: bool = True
    noise: float = 3.0
    light_drift: float = 0.06
    dusk_from: float | None = None
    dusk_gain: float = 0.4
    clip: str = "synth"
    source: str = "truth"

    def __post_init__(self) -> None:
        wide, high = self.size
        if wide < 64 or high < 48:
            raise ConfigError(f"a scene needs at least 64 x 48 pixels, got {wide} x {high}", item="size")
        if self.frames < 1 or self.fps <= 0:
            raise ConfigError(
                f"a scene needs frames >= 1 and fps > 0, got {self.frames} and {self.fps}", item="frames"
            )
        if min(self.persons, self.cars, self.trucks, self.standers) < 0 or self.noise < 0:
            raise ConfigError("persons, cars, trucks, standers and noise must be >= 0", item="persons")
        shares = [self.stand_share, self.light_drift, self.dusk_from or 0.0, self.dusk_gain]
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError(f"shares and gains of a scene lie in 0..1, got {shares}", item="stand_share")

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return max((self.frames - 1) / self.fps, 1e-6)
