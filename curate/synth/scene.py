"""Putting it together: pixels, instance masks, labels, files."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from curate.annotations import Annotation, Frame
from curate.errors import ProjectError
from curate.geometry.rle import mask_to_rle
from curate.synth.actors import Actor, cast_actors, random_look
from curate.synth.config import SceneConfig
from curate.synth.ground import Camera, paint_ground
from curate.synth.sprites import Look, Sprite, car_sprite, lamp_sprite, tripod_sprite
from curate.types import FloatArray, ImageArray, IntArray

__all__ = ["SceneFrames", "SyntheticScene", "render_scene"]

_MIN_PIXELS = 12
"""Fewer visible pixels are no label: nobody could draw it."""
_TELLABLE = 0.15
"""Below this visible share a label is marked `ignore`."""


@dataclass(frozen=True, slots=True)
class _Item:
    """Something drawn on one frame."""

    sprite: Sprite
    x: float
    row: float
    look: Look
    label: str | None
    track_id: str


class SceneFrames(Sequence[ImageArray]):
    """The images of a scene, rendered when asked for and never kept."""

    def __init__(self, scene: SyntheticScene) -> None:
        self._scene = scene

    def __len__(self) -> int:
        return self._scene.config.frames

    @overload
    def __getitem__(self, index: int) -> ImageArray: ...
    @overload
    def __getitem__(self, index: slice) -> list[ImageArray]: ...
    def __getitem__(self, index: int | slice) -> ImageArray | list[ImageArray]:
        """Image(s) (H, W, 3) RGB."""
        if isinstance(index, slice):
            return [self._scene.image(i) for i in range(*index.indices(len(self)))]
        return self._scene.image(range(len(self))[index])

    def __iter__(self) -> Iterator[ImageArray]:
        return (self._scene.image(i) for i in range(len(self)))


class SyntheticScene:
    """A rendered recording. Everything is computed on demand from the configuration."""

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self.camera = Camera(*config.size)
        rng = np.random.default_rng([config.seed, 1])
        self._ground = paint_ground(self.camera, rng)
        self._still = self._still_items(rng)
        self._actors: list[Actor] = cast_actors(config, self.camera, rng)
        self._drift_phase = float(rng.uniform(0, 2 * np.pi))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the labels."""
        return ("person", "car", "truck") if self.config.trucks else ("person", "car")

    @property
    def frames(self) -> SceneFrames:
        """The images as a lazy sequence."""
        return SceneFrames(self)

    @functools.cached_property
    def plate(self) -> ImageArray:
        """The place without anything that moves, without noise, in the day's mean light. (H, W, 3) RGB."""
        return self._compose(self._still)[0]

    def image(self, index: int) -> ImageArray:
        """Frame `index` with light and noise, (H, W, 3) RGB."""
        clean, _ = self._compose(self._items(index))
        rng = np.random.default_rng([self.config.seed, 2, index])
        lit = clean.astype(np.float32) * self.light(index)
        if self.config.noise:
            lit += rng.standard_normal(lit.shape, dtype=np.float32) * np.float32(self.config.noise)
        return np.asarray(np.clip(np.rint(lit), 0, 255), np.uint8)

    def light(self, index: int) -> np.float32:
        """Gain of the light at this frame, around 1."""
        share = index / max(self.config.frames - 1, 1)
        gain = 1.0 + self.config.light_drift * float(np.sin(2 * np.pi * 1.3 * share + self._drift_phase))
        dusk = self.config.dusk_from is not None and share >= self.config.dusk_from
        return np.float32(gain * (self.config.dusk_gain if dusk else 1.0))

    def instances(self, index: int) -> tuple[IntArray, dict[int, str]]:
        """Map (H, W) of visible labelled objects (0 none) and the track id of each number."""
        items = self._items(index)
        _, owner = self._compose(items)
        labelled = {n: item.track_id for n, item in enumerate(items, start=1) if item.label}
        return np.where(np.isin(owner, list(labelled)), owner, 0), labelled

    def annotations_of(self, index: int, frame_id: str) -> list[Annotation]:
        """Exact labels of one frame: visible mask, tight visible box, occlusion, track."""
        items = self._items(index)
        _, owner = self._compose(items)
        labels = []
        for number, item in enumerate(items, start=1):
            if item.label is None:
                continue
            mask = owner == number
            area = int(mask.sum())
            if area < _MIN_PIXELS:
                continue
            visible = area / max(int((item.sprite.parts > 0).sum()), 1)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            labels.append(
                Annotation(
                    id=f"{self.config.clip}-{index:06d}-{item.track_id}",
                    frame_id=frame_id,
                    label=item.label,
                    bbox_xyxy=(float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0),
                    mask=mask_to_rle(mask),
                    source=self.config.source,
                    track_id=item.track_id,
                    occluded=visible < 0.85,
                    ignore=visible < _TELLABLE,
                )
            )
        return labels

    @functools.cached_property
    def frame_records(self) -> tuple[Frame, ...]:
        """One `Frame` per image, its id the hash of the PNG that `write_images` writes."""
        wide, high = self.config.size
        records = []
        for index in range(self.config.frames):
            digest = hashlib.sha256(self._png(index)).hexdigest()
            name = self._name(index)
            records.append(
                Frame(
                    id=digest[:32], name=name, camera=self.config.clip, clip=self.config.clip, index=index,
                    captured_at=index / self.config.fps, wall_time=False, width=wide, height=high,
                    sha256=digest, path=f"{digest[:2]}/{digest[:32]}.png", source=name,
                )
            )  # fmt: skip
        return tuple(records)

    @functools.cached_property
    def annotations(self) -> tuple[Annotation, ...]:
        """Exact labels of all frames; `frame_id` is the id in `frame_records`."""
        return self.annotations_with([frame.id for frame in self.frame_records])

    def annotations_with(self, frame_ids: Sequence[str]) -> tuple[Annotation, ...]:
        """Exact labels for frames known under other ids (from a video, stored as JPEG), in frame order."""
        if len(frame_ids) != self.config.frames:
            raise ValueError(f"expected {self.config.frames} frame ids, got {len(frame_ids)}")
        return tuple(
            label for index, id_ in enumerate(frame_ids) for label in self.annotations_of(index, id_)
        )

    def write_images(self, folder: Path) -> tuple[Path, ...]:
        """Write every frame as a lossless PNG; returns the paths in order."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for index in range(self.config.frames):
            path = folder / self._name(index)
            path.write_bytes(self._png(index))
            paths.append(path)
        return tuple(paths)

    def write_video(self, path: Path) -> Path:
        """Write an MJPEG video (.avi): every frame is a key frame, in every build of OpenCV.

        Raises:
            ProjectError: The file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(
            str(path), cv2.VideoWriter.fourcc(*"MJPG"), self.config.fps, self.config.size
        )
        try:
            if not writer.isOpened():
                raise ProjectError(
                    "the video cannot be written",
                    file=path,
                    hint="use a name that ends in .avi, in a writable folder",
                )
            for image in self.frames:
                writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()
        return path

    def _name(self, index: int) -> str:
        return f"{self.config.clip}_{index:06d}.png"

    def _png(self, index: int) -> bytes:
        bgr = cv2.cvtColor(self.image(index), cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])

    def _still_items(self, rng: np.random.Generator) -> list[_Item]:
        camera = self.camera
        items = []

        def stand(share_x: float, share_y: float) -> tuple[float, float, float]:
            x, y = share_x * camera.width, share_y * camera.height
            return x, y, camera.pixels_per_metre(y)

        def look(*colours: tuple[int, int, int]) -> Look:
            return Look(np.array([(0, 0, 0), *colours], float), rng.standard_normal((64, 64)) * 3)

        if self.config.parked_car:
            x, y, scale = stand(0.86, 0.41)
            items.append(_Item(car_sprite(x, y, scale, -1.0), x, y, random_look(rng, "car"), "car", "car-0"))
        if self.config.lamp_post:
            x, y, scale = stand(0.55, 0.72)
            post = look((150, 160, 172), (30, 120, 110))
            items.append(_Item(lamp_sprite(x, y, scale), x, y, post, None, "lamp"))
        if self.config.tripod:
            x, y, scale = stand(0.70, 0.86)
            items.append(_Item(tripod_sprite(x, y, scale), x, y, look((22, 22, 24)), None, "tripod"))
        return items

    def _items(self, index: int) -> list[_Item]:
        """Everything on this frame, from far to near."""
        time = index / self.config.fps
        moving = []
        for actor in self._actors:
            placed = actor.sprite(self.camera, time)
            if placed is not None:
                moving.append(_Item(placed[0], placed[1], placed[2], actor.look, actor.label, actor.track_id))
        return sorted([*self._still, *moving], key=lambda item: item.row)

    def _compose(self, items: Sequence[_Item]) -> tuple[ImageArray, IntArray]:
        """Clean image and the number (1-based position in `items`) of what is seen at each pixel."""
        image = self._ground.copy()
        owner = np.zeros(image.shape[:2], np.int32)
        if self.config.shadows:
            image = self._shade(image, items)
        for number, item in enumerate(items, start=1):
            sprite = item.sprite
            high, wide = sprite.parts.shape
            top, left = max(sprite.top, 0), max(sprite.left, 0)
            foot, right = min(sprite.top + high, image.shape[0]), min(sprite.left + wide, image.shape[1])
            if foot <= top or right <= left:
                continue
            cut = np.s_[top - sprite.top : foot - sprite.top, left - sprite.left : right - sprite.left]
            inside = sprite.parts[cut] > 0
            image[top:foot, left:right][inside] = item.look.paint(sprite)[cut][inside]
            owner[top:foot, left:right][inside] = number
        # A lens: one pixel of blur mixes the colours at the outlines as a real camera does.
        return np.asarray(cv2.GaussianBlur(image, (3, 3), 0.6)), owner

    def _shade(self, image: ImageArray, items: Sequence[_Item]) -> ImageArray:
        """Darken the ground right of every foot by up to 35 %."""
        shade = np.zeros(image.shape[:2], np.uint8)
        for item in items:
            high, wide = item.sprite.parts.shape
            centre = (round(item.x + 0.3 * high), round(item.row))
            axes = (max(2, round(0.42 * max(high, wide * 0.6))), max(1, round(0.07 * high)))
            cv2.ellipse(shade, centre, axes, 0, 0, 360, 90, -1)
        soft: FloatArray = cv2.blur(shade, (5, 5)).astype(np.float32)
        return np.asarray(image * (1 - soft / 255)[..., None], np.uint8)


def render_scene(config: SceneConfig | None = None) -> SyntheticScene:
    """Make a scene; nothing is rendered until its frames or labels are asked for."""
    return SyntheticScene(config or SceneConfig())
