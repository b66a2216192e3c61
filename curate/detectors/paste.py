"""Copy-paste augmentation for a fixed camera: objects cut out by their masks, put where such objects were seen.

The idea is Ghiasi et al.'s (Simple Copy-Paste, 2021). A fixed camera adds what is plausible: an object goes to
a foot point at which an object of its class was labelled on some frame, scaled to the size that it had there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from curate.detectors.labels import CanvasLabels, MaskCrop
from curate.detectors.letterbox import Canvas
from curate.geometry import box_iou
from curate.types import FloatArray, ImageArray, IntArray

__all__ = ["Cutout", "PasteBank", "cut_out", "paste_objects"]

_SCALES = (0.6, 1.6)
_TRIES = 4
_FREE_IOU = 0.3
# Of a label's area: covered by more than the second share it is hidden, by more than the first doubtful.
_TOUCHED, _DOUBTFUL, _HIDDEN = 0.02, 0.35, 0.8
_MIN_SIDE = 6


@dataclass(frozen=True)
class Cutout:
    """An object cut out of a frame: (h, w, 3) pixels, (h, w) opacity in [0, 1], its class."""

    pixels: ImageArray
    opacity: FloatArray
    klass: int


def cut_out(image: ImageArray, mask: MaskCrop, klass: int, canvas: Canvas) -> Cutout | None:
    """The object under a mask; None when too little of it is left at the size of the canvas.

    Args:
        image: (h, w, 3) canvas.
        mask: In pixels of the frame.
        klass: Index of its class.
        canvas: How the frame lies in the canvas.
    """
    height, width = mask.pixels.shape
    low = np.round(np.array([mask.x, mask.y]) * canvas.scale[:2]).astype(int)
    high = np.round(np.array([mask.x + width, mask.y + height]) * canvas.scale[:2]).astype(int)
    high = np.minimum(high, [canvas.content_width, canvas.content_height])
    size = high - low
    if size.min() < _MIN_SIDE:
        return None
    opacity = cv2.resize(
        mask.pixels.astype(np.float32), (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA
    )
    return Cutout(image[low[1] : high[1], low[0] : high[0]], np.asarray(opacity), klass)


class PasteBank:
    """Where objects of each class have been seen, and how large they were there.

    Args:
        boxes: Labels of every frame, (N_f, 4) in one frame's pixels.
        classes: Their classes, (N_f,).
    """

    def __init__(self, boxes: Sequence[FloatArray], classes: Sequence[IntArray]) -> None:
        every = np.concatenate([np.zeros((0, 4)), *boxes])
        labels = np.concatenate([np.zeros(0, np.int64), *classes])
        self._places = {int(klass): every[labels == klass] for klass in np.unique(labels)}

    def place(self, klass: int, random: np.random.Generator) -> FloatArray:
        """A box (4,) of that class on some frame, shifted by up to half of its sides across, a tenth along."""
        known = self._places[klass]
        box = known[int(random.integers(len(known)))]
        width, height = box[2] - box[0], box[3] - box[1]
        shift = np.array([random.uniform(-0.5, 0.5) * width, random.uniform(-0.1, 0.1) * height])
        return np.asarray(box + np.tile(shift, 2))


def paste_objects(
    image: ImageArray,
    labels: CanvasLabels,
    cutouts: Sequence[Cutout | None],
    bank: PasteBank,
    scale: FloatArray,
    random: np.random.Generator,
) -> tuple[ImageArray, CanvasLabels]:
    """Copy objects into a frame.

    Args:
        image: (h, w, 3) content of the canvas; not changed.
        labels: Of the frame.
        cutouts: What is to be pasted.
        bank: Plausible places.
        scale: (4,) canvas pixels per frame pixel.
        random: Random numbers.

    Returns:
        The frame, and its labels: those pasted come last, without masks; a label that was covered goes to the
        regions that are not judged, or away when hardly anything of it is seen, and a label touched loses
        its mask.
    """
    result = image.copy()
    covered = np.zeros(len(labels.boxes))
    boxes, classes = labels.boxes, [int(klass) for klass in labels.classes]
    for cutout in cutouts:
        place = None if cutout is None else _free_place(cutout, image.shape, boxes, bank, scale, random)
        if cutout is None or place is None:
            continue
        box = _draw(result, cutout, place, mirror=bool(random.random() < 0.5))
        if box is None:
            continue
        covered = np.maximum(covered, _covered_share(labels.boxes, box))
        boxes = np.concatenate([boxes, box[None]])
        classes.append(cutout.klass)
    old = len(labels.boxes)
    kept = np.concatenate([covered < _DOUBTFUL, np.ones(len(boxes) - old, bool)])
    doubtful = labels.boxes[(covered >= _DOUBTFUL) & (covered < _HIDDEN)]
    masks = [mask if share < _TOUCHED else None for mask, share in zip(labels.masks, covered, strict=True)]
    masks += [None] * (len(boxes) - old)
    return result, CanvasLabels(
        boxes[kept],
        np.array(classes, np.int64)[kept],
        np.concatenate([labels.ignore, doubtful]),
        tuple(mask for mask, keep in zip(masks, kept, strict=True) if keep),
        labels.regions,
    )


def _free_place(
    cutout: Cutout,
    shape: tuple[int, ...],
    taken: FloatArray,
    bank: PasteBank,
    factor: FloatArray,
    random: np.random.Generator,
) -> FloatArray | None:
    """Where the cutout goes, (4,): its own proportions, the height of an object seen there; None if all is taken."""
    height, width = cutout.opacity.shape
    for _ in range(_TRIES):
        seen = bank.place(cutout.klass, random) * factor
        scale = (seen[3] - seen[1]) / height
        if not _SCALES[0] <= scale <= _SCALES[1]:
            continue
        new_width, new_height = width * scale, height * scale
        foot_x = (seen[0] + seen[2]) / 2
        box = np.array([foot_x - new_width / 2, seen[3] - new_height, foot_x + new_width / 2, seen[3]])
        if box[0] < 0 or box[1] < 0 or box[2] > shape[1] or box[3] > shape[0]:
            continue
        if not len(taken) or box_iou(box[None], taken).max() < _FREE_IOU:
            return box
    return None


def _draw(image: ImageArray, cutout: Cutout, box: FloatArray, *, mirror: bool) -> FloatArray | None:
    """Blend the cutout into the image; the box that it got on the pixel grid, None if it became too small."""
    x1, y1 = np.floor(box[:2]).astype(int)
    x2, y2 = np.minimum(np.ceil(box[2:]).astype(int), [image.shape[1], image.shape[0]])
    if min(x2 - x1, y2 - y1) < _MIN_SIDE:
        return None
    size = (int(x2 - x1), int(y2 - y1))
    shrink = cv2.INTER_AREA if size[1] < cutout.opacity.shape[0] else cv2.INTER_LINEAR
    pixels = cv2.resize(cutout.pixels, size, interpolation=shrink).astype(np.float32)
    opacity = cv2.resize(cutout.opacity.astype(np.float32), size, interpolation=shrink)
    if mirror:
        pixels, opacity = pixels[:, ::-1], opacity[:, ::-1]
    region = image[y1:y2, x1:x2]
    share = opacity[..., None]
    region[:] = (region * (1 - share) + pixels * share).round().astype(np.uint8)
    return np.array([x1, y1, x2, y2], float)


def _covered_share(boxes: FloatArray, box: FloatArray) -> FloatArray:
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray((high - low).clip(0).prod(1) / np.maximum(area, 1e-6))
