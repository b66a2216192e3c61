"""Heads and number plates, or all of people and vehicles, made unrecognisable before a picture is stored.

No model of faces or plates is bundled, so none is looked for. The bundled COCO detector looks for people and vehicles,
far below the score at which one would believe it, since a miss is worse than a blur too many; a head is taken to be in
the upper part of a person's box, a plate in the lower part of a vehicle's. Whom the detector does not see stays clear:
`curate bench blur` measures how many those are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from curate.assist import COCO_DETECTOR, weights_path
from curate.config import Blur
from curate.detectors import GenericDetector
from curate.formats.media import MediaItem, decode_image, encode_like
from curate.geometry import clip_boxes
from curate.tables import Detections
from curate.types import FloatArray, ImageArray

__all__ = ["SCORE", "Blurrer", "blur_regions", "regions_to_blur"]

SCORE = 0.05
"""Lowest score that is blurred; chosen, like the shares below, on the sample's working frames (docs/benchmarks.md)."""
_PEOPLE = ("person",)
_VEHICLES = ("car", "truck", "bus", "motorcycle")
_CLASSES = (*_PEOPLE, *_VEHICLES)
_LARGEST_INPUT, _STRIDE = 1280, 32
_HEAD, _PLATE = 0.25, 0.5
"""Shares of a box: a person's upper part that holds the head, a vehicle's lower part that holds the plate."""
_MARGIN = 0.1
"""Of the box's width and height, on each side: a low score goes with a loose box."""
_CELLS = 4
"""Cells across the shorter side of a region: a head is about half as wide as a person, so it keeps two by two."""


@dataclass
class Blurrer:
    """Blurs pictures as `privacy.blur` says.

    Attributes:
        setting: "heads_and_plates" or "people_and_vehicles".
        device: See `train.device`.
        max_pixels: See `frames.max_pixels`.
    """

    setting: Blur
    device: str
    max_pixels: int

    _detectors: dict[int, GenericDetector] = field(default_factory=dict, init=False, repr=False)

    @property
    def way(self) -> Mapping[str, Any]:
        """How it is blurred, for the records."""
        return {"setting": self.setting, "model": COCO_DETECTOR, "score": SCORE}

    def regions(self, image: ImageArray) -> FloatArray:
        """(R, 4) boxes in pixels that are to be blurred in a (H, W, 3) RGB image."""
        height, width = image.shape[:2]
        size = _input_size(height, width)
        if size not in self._detectors:
            self._detectors[size] = GenericDetector(
                weights_path(COCO_DETECTOR), _CLASSES, input_size=size, device=self.device
            )
        found = self._detectors[size].predict([image])[0]
        return regions_to_blur(found, self.setting, height, width)

    def blur(self, item: MediaItem) -> tuple[MediaItem, int]:
        """The picture as it is to be stored, and how many regions were blurred.

        It is always encoded anew, and without anything but pixels: what a camera writes beside them (a thumbnail, a
        place) would give away what was blurred.

        Raises:
            ImageError: The picture cannot be decoded.
        """
        image = decode_image(item.data, max_pixels=self.max_pixels, name=item.source)
        regions = self.regions(image)
        data = encode_like(item.data, blur_regions(image, regions), name=item.source)
        return replace(item, data=data), len(regions)


def regions_to_blur(found: Detections, setting: Blur, height: int, width: int) -> FloatArray:
    """(R, 4) boxes in pixels: of each detection above `SCORE` the part that the setting means, with a margin.

    Args:
        found: Detections whose classes are person, car, truck, bus, motorcycle.
        setting: "heads_and_plates" or "people_and_vehicles".
        height: Of the picture.
        width: Of the picture.
    """
    kept = found.scores >= SCORE
    boxes, people = found.boxes[kept].copy(), found.classes[kept] < len(_PEOPLE)
    sizes = boxes[:, 2:] - boxes[:, :2]
    if setting == "heads_and_plates":
        boxes[people, 3] = boxes[people, 1] + _HEAD * sizes[people, 1]
        boxes[~people, 1] = boxes[~people, 3] - _PLATE * sizes[~people, 1]
    boxes[:, :2] -= _MARGIN * sizes
    boxes[:, 2:] += _MARGIN * sizes
    return clip_boxes(boxes, width, height)


def blur_regions(image: ImageArray, regions: FloatArray) -> ImageArray:
    """A copy of a (H, W, 3) image whose regions hold four cells across at most, smoothed; the rest is as it was.

    Each cell is the mean of its pixels: what was inside is gone, not hidden. From many pictures of one moving person
    something finer than a cell could in principle be put together again.

    Args:
        image: uint8.
        regions: (R, 4) boxes in pixels inside the image; what they touch is blurred.
    """
    result = image.copy()
    for x1, y1, x2, y2 in np.concatenate([np.floor(regions[:, :2]), np.ceil(regions[:, 2:])], 1).astype(int):
        part = image[y1:y2, x1:x2]
        height, width = part.shape[:2]
        if not height or not width:
            continue
        cell = max(1.0, min(height, width) / _CELLS)
        cells = (max(1, round(width / cell)), max(1, round(height / cell)))
        coarse = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        smooth = cv2.GaussianBlur(
            cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), (0, 0), cell / 2
        )
        result[y1:y2, x1:x2] = smooth
    return result


def _input_size(height: int, width: int) -> int:
    """The picture's own size where that is bearable: small people count."""
    return min(_LARGEST_INPUT, -(-max(height, width) // _STRIDE) * _STRIDE)
