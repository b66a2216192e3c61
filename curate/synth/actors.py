"""Who moves where and when: seeded paths on the ground, in metres and seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.synth.config import SceneConfig
from curate.synth.ground import Camera
from curate.synth.sprites import Look, Sprite, car_sprite, person_sprite, truck_sprite
from curate.types import FloatArray

__all__ = ["Actor", "cast_actors", "random_look"]

_VEHICLES = {"car": car_sprite, "truck": truck_sprite}


@dataclass(frozen=True, slots=True)
class Actor:
    """One tracked object.

    Attributes:
        track_id: "person-3".
        label: "person", "car" or "truck".
        metres: Height of a person; 1 for a vehicle.
        times: (K,) seconds at which the path's corners are reached, increasing.
        ground: (K, 2) the corners, metres right and away (see `Camera.to_ground`).
        look: Colours.
    """

    track_id: str
    label: str
    metres: float
    times: FloatArray
    ground: FloatArray
    look: Look

    def place(self, camera: Camera, time: float) -> tuple[float, float] | None:
        """Foot pixel at this time, or None when the actor is not in the scene."""
        if not self.times[0] <= time <= self.times[-1]:
            return None
        right = float(np.interp(time, self.times, self.ground[:, 0]))
        return camera.to_pixel(right, float(np.interp(time, self.times, self.ground[:, 1])))

    def sprite(self, camera: Camera, time: float) -> tuple[Sprite, float, float] | None:
        """Sprite, foot column and foot row at this time; None when the actor is elsewhere."""
        foot = self.place(camera, time)
        if foot is None:
            return None
        leg = int(np.clip(np.searchsorted(self.times, time, side="right") - 1, 0, len(self.times) - 2))
        step = self.ground[leg + 1] - self.ground[leg]
        scale = camera.pixels_per_metre(foot[1])
        if self.label in _VEHICLES:
            return _VEHICLES[self.label](*foot, scale, 1.0 if step[0] >= 0 else -1.0), *foot
        stride = 1.0 if float(np.hypot(*step)) > 1e-6 else 0.0
        return person_sprite(*foot, self.metres * scale, 5.0 * time + self.metres * 50, stride), *foot


def random_look(rng: np.random.Generator, label: str) -> Look:
    """Clothes of a person or paint of a vehicle."""
    texture = rng.standard_normal((64, 64)) * 4.0
    if label in _VEHICLES:
        paint = rng.choice(
            np.array([[200, 40, 36], [36, 60, 160], [226, 226, 230], [34, 34, 38], [230, 190, 40]])
        )
        rows = [[0, 0, 0], paint, [40, 48, 58], [24, 24, 26]]
    else:
        skin = rng.choice(np.array([[224, 184, 160], [150, 104, 78], [90, 60, 46]]))
        rows = [[0, 0, 0], skin, rng.uniform(20, 235, 3), rng.uniform(20, 110, 3), [28, 26, 26]]
    return Look(np.asarray(rows, float), texture)


def _edge_point(camera: Camera, rng: np.random.Generator, side: int, low: float, high: float) -> FloatArray:
    """A ground point just outside the left (-1) or right (+1) border, its foot row between two shares."""
    row = rng.uniform(low, high) * camera.height
    margin = 2.6 * camera.pixels_per_metre(row)
    column = camera.width + margin if side > 0 else -margin
    return np.asarray(camera.to_ground(column, row))


def _walk(
    corners: list[FloatArray], speed: float, start: float, waits: dict[int, float]
) -> tuple[FloatArray, FloatArray]:
    """Times and corners of a path at constant speed that waits at some corners."""
    times, ground = [start], [corners[0]]
    for index, corner in enumerate(corners[1:], start=1):
        times.append(times[-1] + max(float(np.hypot(*(corner - ground[-1]))), 0.1) / speed)
        ground.append(corner)
        if index in waits:
            times.append(times[-1] + waits[index])
            ground.append(corner)
    return np.asarray(times), np.asarray(ground)


def _passers(
    config: SceneConfig, camera: Camera, rng: np.random.Generator, label: str, slots: int
) -> list[Actor]:
    """Fill each slot with one actor after the other until the recording is over."""
    low, high = (0.5, 0.64) if label in _VEHICLES else (0.34, 0.97)
    actors: list[Actor] = []
    for _ in range(slots):
        time: float | None = None
        while time is None or time < config.duration:
            side = int(rng.choice([-1, 1]))
            ends = [_edge_point(camera, rng, turn, low, high) for turn in (side, -side)]
            if label in _VEHICLES:
                ends[1][1] = ends[0][1]  # vehicles keep their lane: same distance from the camera
            speed = rng.uniform(4.0, 6.5) if label in _VEHICLES else rng.uniform(1.1, 1.7)
            times, ground = _walk(ends, speed, 0.0, {})
            # The first of a slot is already under way at time 0, the next ones come after a pause.
            times = times + (-rng.uniform(0.1, 0.7) * times[-1] if time is None else time)
            metres = 1.0 if label in _VEHICLES else rng.uniform(1.55, 1.9)
            actors.append(Actor("", label, float(metres), times, ground, random_look(rng, label)))
            time = float(times[-1] + rng.uniform(0.2, 2.0))
    return actors


def _standers(config: SceneConfig, camera: Camera, rng: np.random.Generator) -> list[Actor]:
    """People who stop on the open ground for `stand_share` of the recording."""
    actors = []
    for _ in range(config.standers):
        spot = np.asarray(
            camera.to_ground(rng.uniform(0.15, 0.85) * camera.width, rng.uniform(0.72, 0.95) * camera.height)
        )
        corners = [_edge_point(camera, rng, -1, 0.72, 0.95), spot, _edge_point(camera, rng, 1, 0.72, 0.95)]
        wait = config.stand_share * config.duration
        times, ground = _walk(corners, 1.4, 0.0, {1: wait})
        begin = rng.uniform(0, max(config.duration - wait, 0.0))
        times = times + begin - times[1]
        actors.append(
            Actor("", "person", float(rng.uniform(1.6, 1.85)), times, ground, random_look(rng, "person"))
        )
    return actors


def cast_actors(config: SceneConfig, camera: Camera, rng: np.random.Generator) -> list[Actor]:
    """Everybody who moves in this recording, with track ids by class."""
    actors = _standers(config, camera, rng)
    actors += _passers(config, camera, rng, "person", config.persons)
    actors += _passers(config, camera, rng, "car", config.cars)
    actors += _passers(config, camera, rng, "truck", config.trucks)
    return [
        Actor(f"{actor.label}-{number}", actor.label, actor.metres, actor.times, actor.ground, actor.look)
        for number, actor in enumerate(actors, start=1)
    ]
