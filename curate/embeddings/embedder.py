"""Feature vectors of label crops and whole frames: EfficientNet-Lite0 (ImageNet) through onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from curate.errors import DataError, ImageError, ModelError
from curate.types import FloatArray, ImageArray

__all__ = ["Embedder", "crop_square"]

_SIDE = 224
_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


def crop_square(image: ImageArray, box: FloatArray, *, margin: float = 0.0, side: int = _SIDE) -> ImageArray:
    """Square crop (side, side, 3) around a box, its shape kept: what is beside a tall person comes along.

    Args:
        image: (H, W, 3) RGB.
        box: (4,) x1, y1, x2, y2; may reach out of the image (the border is repeated there).
        margin: Further context on each side as a share of the longer side. None measured best on real people:
            the square already shows what is beside a tall box.
        side: Pixels of the result.

    Raises:
        DataError: The box is not finite, has no area, or lies outside the image.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    height, width = image.shape[:2]
    if not np.isfinite([x1, y1, x2, y2]).all() or x2 <= x1 or y2 <= y1:
        raise DataError(f"a crop needs a finite box with x2 > x1 and y2 > y1, got {(x1, y1, x2, y2)}")
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        raise DataError(f"the box {(x1, y1, x2, y2)} lies outside the image of {width} x {height} pixels")
    length = max(x2 - x1, y2 - y1) * (1 + 2 * margin)
    scale = side / length
    left, top = (x1 + x2 - length) / 2, (y1 + y2 - length) / 2
    # Pixel centres sit at +0.5 in our coordinates and at 0 in OpenCV's.
    move = np.array([[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5]], float)
    source = image
    if scale < 0.5:
        # warpAffine looks at four pixels only: shrink by whole factors first, or the crop would be aliased.
        factor = int(1 / scale)
        source = np.asarray(cv2.blur(image, (factor | 1, factor | 1)), np.uint8)
    crop = cv2.warpAffine(source, move, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


class Embedder:
    """Turns images into vectors of 1280 numbers.

    Args:
        weights: The ONNX file; input (B, 3, 224, 224), ImageNet normalisation, output (B, D).
        threads: Of onnxruntime.
        batch: Images per call.

    Raises:
        ModelError: The file is missing or is not such a model.
    """

    def __init__(self, weights: Path, *, threads: int = 2, batch: int = 16) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        broken = (
            states.NoSuchFile,
            states.InvalidProtobuf,
            states.InvalidGraph,
            states.Fail,
            states.InvalidArgument,
        )
        try:
            self._session = onnxruntime.InferenceSession(
                str(weights), options, providers=["CPUExecutionProvider"]
            )
        except broken as error:
            raise ModelError(f"the embedding model cannot be read: {error}", file=weights) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or list(inputs[0].shape)[1:] != [3, _SIDE, _SIDE] or len(outputs[0].shape) != 2:
            raise ModelError(
                f"expected a model from (B, 3, {_SIDE}, {_SIDE}) to (B, D), "
                f"got {[item.shape for item in inputs]} to {[item.shape for item in outputs]}",
                file=weights,
            )
        self._input = inputs[0].name
        self._batch = max(1, batch)
        self.dims = int(outputs[0].shape[1])
        """Length of a vector."""

    def embed(self, pictures: Iterable[ImageArray]) -> FloatArray:
        """(N, D) float32 features of (224, 224, 3) RGB pictures, N of them streamed in batches."""
        rows = [self._run(batch) for batch in _batches(pictures, self._batch)]
        return np.concatenate(rows) if rows else np.zeros((0, self.dims), np.float32)

    def crops(self, image: ImageArray, boxes: FloatArray, *, margin: float = 0.0) -> FloatArray:
        """(N, D) float32 features of the boxes (N, 4) of one image, with context.

        Raises:
            DataError: A box has no area or lies outside the image.
        """
        table = np.asarray(boxes, float).reshape(-1, 4)
        return self.embed(crop_square(image, box, margin=margin) for box in table)

    def crops_of(
        self, images: Iterable[ImageArray], boxes: Sequence[FloatArray], *, margin: float = 0.0
    ) -> FloatArray:
        """The same for many images at once, batched across them; rows in the order of images and boxes."""
        return self.embed(
            crop_square(image, box, margin=margin)
            for image, table in zip(images, boxes, strict=True)
            for box in np.asarray(table, float).reshape(-1, 4)
        )

    def frames(self, images: Iterable[ImageArray]) -> FloatArray:
        """(N, D) float32 features of whole frames, squeezed to a square."""
        return self.embed(
            np.asarray(cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
            for image in images
        )

    def _run(self, batch: list[ImageArray]) -> FloatArray:
        for picture in batch:
            if picture.shape != (_SIDE, _SIDE, 3) or picture.dtype != np.uint8:
                raise ImageError(
                    f"expected ({_SIDE}, {_SIDE}, 3) of uint8, got {picture.shape} of {picture.dtype}"
                )
        values = (np.stack(batch).astype(np.float32) - _MEAN) / _STD
        tensor = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return np.asarray(self._session.run(None, {self._input: tensor})[0], np.float32)


def _batches(items: Iterable[ImageArray], size: int) -> Iterator[list[ImageArray]]:
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk
