"""Training frames in memory, and the batches drawn from them.

Everything random is a function of the seed and the number of the step. A run that resumes at step n
therefore needs no random state: it sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from curate.detectors.balance import EpochOrder, repeat_factors
from curate.detectors.config import TrainConfig, TrainingSample
from curate.detectors.ignored import area_sums
from curate.detectors.labels import CanvasLabels, MaskCrop, crop_mask
from curate.detectors.letterbox import Canvas, difference_channels, fit_canvas, letterbox, shrink
from curate.detectors.light import Light, draw_light, relight
from curate.detectors.paste import Cutout, PasteBank, cut_out, paste_objects
from curate.detectors.seeds import step_generator
from curate.errors import ImageError, TrainingError
from curate.geometry.rle import rle_to_mask
from curate.types import FloatArray, ImageArray, IntArray

__all__ = ["Batch", "FrameCache", "Item", "load_image"]

_CACHE_BYTES = 2 << 30
# A label that the shift pushed out of the picture to less than this share is ignored, not learnt.
_VISIBLE_SHARE = 0.4
_MIN_SIDE = 2.0


@dataclass(frozen=True)
class Item:
    """One augmented frame's labels, in input pixels.

    Attributes:
        boxes: (N, 4) float32.
        classes: (N,).
        ignore: (K, 4) float32.
        masks: One per box.
        to_frame: (4,) and (4,) factors and offsets from input to frame pixels; mirrored input has
            negative factors in x.
        ignored: Summed-area table of the regions that are not judged (see `area_sums`); None without any.
        light: How its pixels change on the device; None to leave them.
    """

    boxes: FloatArray
    classes: IntArray
    ignore: FloatArray
    masks: tuple[MaskCrop | None, ...]
    to_frame: tuple[FloatArray, FloatArray]
    ignored: Tensor | None = None
    light: Light | None = None

    def mask_target(self, index: int, box: FloatArray, size: int) -> FloatArray:
        """(size, size) share of foreground of label `index` over a box in input pixels."""
        crop = self.masks[index]
        if crop is None:
            raise TrainingError("this label has no mask")
        factor, offset = self.to_frame
        frame_box = box * factor + offset
        mirrored = frame_box[0] > frame_box[2]
        if mirrored:
            frame_box = frame_box[[2, 1, 0, 3]]
        sampled = crop.sample(frame_box, size)
        return sampled[:, ::-1] if mirrored else sampled


@dataclass(frozen=True)
class Batch:
    """uint8 canvases (B, h, w, 3 or 6) and their labels."""

    canvases: Tensor
    items: tuple[Item, ...]

    def pixels(self, device: torch.device) -> Tensor:
        """(B, h, w, 3 or 6) floats in [0, 255] on a device, every frame in its own light and weather."""
        return relight(self.canvases.to(device, non_blocking=True), [item.light for item in self.items])

    def parts(self, count: int) -> list[Batch]:
        """The batch in `count` parts of about the same size; never more than it has frames."""
        bounds = np.linspace(0, len(self.items), min(count, len(self.items)) + 1).round().astype(int).tolist()
        return [Batch(self.canvases[low:high], self.items[low:high]) for low, high in pairwise(bounds)]


def load_image(sample: TrainingSample) -> ImageArray:
    """(H, W, 3) RGB frame of a sample.

    Raises:
        ImageError: The file cannot be decoded.
    """
    if not isinstance(sample.image, Path):
        return sample.image()
    data = cv2.imread(str(sample.image), cv2.IMREAD_COLOR)
    if data is None:
        raise ImageError("the frame cannot be decoded", file=sample.image, item=sample.key)
    return np.asarray(cv2.cvtColor(data, cv2.COLOR_BGR2RGB), np.uint8)


class FrameCache:
    """Frames letterboxed once and kept as bytes, up to 2 GB; the rest is decoded whenever it is drawn.

    Args:
        samples: Labelled frames.
        config: Settings of the run.
        plate: (H, W, 3) background plate, if its channels are used.
    """

    def __init__(
        self, samples: Sequence[TrainingSample], config: TrainConfig, plate: ImageArray | None
    ) -> None:
        self._samples = samples
        self._config = config
        self._plate = plate
        self._frames: dict[int, tuple[ImageArray, Canvas]] = {}
        self._masks: dict[int, tuple[MaskCrop | None, ...]] = {}
        self._bytes = 0
        self._sources = [
            (at, label)
            for at, sample in enumerate(samples)
            for label, mask in enumerate(sample.masks)
            if mask is not None and config.paste > 0
        ]
        classes = [sample.classes for sample in samples]
        self._bank = PasteBank([sample.boxes for sample in samples], classes)
        self._order = EpochOrder(repeat_factors(classes, config.balance), config.seed)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The batch of a step (from 0), or the share of one of several processes of it."""
        mine = list(enumerate(self._indices(step)))[rank::ranks]
        drawn = [self._augmented(index, step, slot) for slot, index in mine]
        height = max(canvas.shape[0] for canvas, _ in drawn)
        width = max(canvas.shape[1] for canvas, _ in drawn)
        canvases = np.zeros((len(drawn), height, width, drawn[0][0].shape[2]), np.uint8)
        for target, (canvas, _) in zip(canvases, drawn, strict=True):
            target[: canvas.shape[0], : canvas.shape[1]] = canvas
        return Batch(torch.from_numpy(canvases), tuple(item for _, item in drawn))

    def _indices(self, step: int) -> list[int]:
        """Samples of a step: batches run on over the end of an epoch."""
        size = self._config.batch_size
        return [self._order.frame(position) for position in range(step * size, (step + 1) * size)]

    def _frame(self, index: int) -> tuple[ImageArray, Canvas]:
        if index in self._frames:
            return self._frames[index]
        image = load_image(self._samples[index])
        canvas = fit_canvas(image.shape[0], image.shape[1], self._config.input_size)
        frame = letterbox(image, canvas, self._plate), canvas
        if self._bytes + frame[0].nbytes <= _CACHE_BYTES:
            self._frames[index] = frame
            self._bytes += frame[0].nbytes
        return frame

    def _mask_crops(self, index: int) -> tuple[MaskCrop | None, ...]:
        if index not in self._masks:
            sample = self._samples[index]
            crops = [crop_mask(rle_to_mask(mask)) if mask is not None else None for mask in sample.masks]
            self._masks[index] = tuple(crops) or (None,) * len(sample.boxes)
        return self._masks[index]

    def _augmented(self, index: int, step: int, slot: int) -> tuple[ImageArray, Item]:
        image, canvas = self._frame(index)
        sample = self._samples[index]
        labels = CanvasLabels(
            sample.boxes * canvas.scale,
            sample.classes,
            sample.ignore_boxes * canvas.scale,
            self._mask_crops(index),
            tuple(region * canvas.scale[:2] for region in sample.ignore_regions),
        )
        factor: FloatArray = np.ones(4)
        offset: FloatArray = np.zeros(4)
        light = None
        if self._config.augment:
            random = step_generator(self._config.seed, 2, step, slot)
            if self._sources:
                image, labels = self._paste(
                    image, canvas, labels, step_generator(self._config.seed, 4, step, slot)
                )
            image, factor, offset = _transform(image, canvas, self._config, random)
            light = draw_light(random, self._config.weather)
        moved = _move(labels.boxes, factor, offset)
        clipped = np.clip(moved, 0, [image.shape[1], image.shape[0]] * 2)
        sides = clipped[:, 2:] - clipped[:, :2]
        share = sides.prod(1) / np.maximum((moved[:, 2:] - moved[:, :2]).prod(1), 1e-6)
        kept = (share >= _VISIBLE_SHARE) & (sides.min(1, initial=np.inf) >= _MIN_SIDE)
        ignore = np.concatenate([_move(labels.ignore, factor, offset), clipped[~kept & (sides.min(1) > 0)]])
        scale = canvas.scale * factor
        item = Item(
            clipped[kept].astype(np.float32),
            labels.classes[kept],
            ignore.astype(np.float32),
            tuple(mask for mask, keep in zip(labels.masks, kept, strict=True) if keep),
            (1 / scale, -offset / scale),
            area_sums([region * factor[:2] + offset[:2] for region in labels.regions], *image.shape[:2]),
            light,
        )
        return image, item

    def _paste(
        self, image: ImageArray, canvas: Canvas, labels: CanvasLabels, random: np.random.Generator
    ) -> tuple[ImageArray, CanvasLabels]:
        """Objects of other frames copied in; labels that they cover are hidden or no longer judged."""
        chosen = random.integers(len(self._sources), size=random.poisson(self._config.paste))
        cutouts = [self._cutout(*self._sources[int(at)]) for at in chosen]
        content = image[: canvas.content_height, : canvas.content_width]
        pasted, labels = paste_objects(content[..., :3], labels, cutouts, self._bank, canvas.scale, random)
        result = image.copy()
        inside = result[: canvas.content_height, : canvas.content_width]
        inside[..., :3] = pasted
        if self._plate is not None:
            inside[..., 3:] = difference_channels(pasted, shrink(self._plate, canvas))
        return result, labels

    def _cutout(self, index: int, label: int) -> Cutout | None:
        mask = self._mask_crops(index)[label]
        image, canvas = self._frame(index)
        klass = int(self._samples[index].classes[label])
        return None if mask is None else cut_out(image[..., :3], mask, klass, canvas)


def _move(boxes: FloatArray, factor: FloatArray, offset: FloatArray) -> FloatArray:
    moved = boxes * factor + offset
    return np.concatenate(
        [np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], axis=1
    )


def _transform(
    image: ImageArray, canvas: Canvas, config: TrainConfig, random: np.random.Generator
) -> tuple[ImageArray, FloatArray, FloatArray]:
    """Mirror, zoom and shift of a canvas; and x' = factor * x + offset for x1 y1 x2 y2."""
    mirror = random.random() < 0.5 and config.mirror
    zoom = 1 + random.uniform(-config.zoom, config.zoom)
    size = np.array([canvas.content_width, canvas.content_height], float)
    shift = random.uniform(-config.shift, config.shift, 2) * size + size * (1 - zoom) / 2
    factor = np.array([-zoom if mirror else zoom, zoom])
    offset = np.array([shift[0] + zoom * size[0] if mirror else shift[0], shift[1]])
    # warpAffine works on pixel centres, boxes on pixel edges: half a pixel lies between the two.
    centre = offset + (factor - 1) / 2
    matrix = np.array([[factor[0], 0, centre[0]], [0, factor[1], centre[1]]])
    target = (image.shape[1], image.shape[0])
    parts = [
        cv2.warpAffine(np.ascontiguousarray(image[..., start : start + 3]), matrix, target)
        for start in range(0, image.shape[2], 3)
    ]
    return np.concatenate(parts, axis=2), np.tile(factor, 2), np.tile(offset, 2)
