"""Promptable segmentation on the CPU: a mask for a box or clicks (MobileSAM, Zhang et al. 2023).

Encoding a frame takes a second or two, a prompt about 0.1 s: encodings are cached on disk (`EmbeddingCache`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from curate.assist.weights import SEGMENTER_DECODER, SEGMENTER_ENCODER, weights_path
from curate.errors import DataError
from curate.files import write_atomically
from curate.types import BoxTuple, FloatArray, ImageArray, MaskArray

__all__ = ["EmbeddingCache", "FrameEmbedding", "SegmentedMask", "Segmenter"]

_SIDE = 1024
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_STD = np.array([58.395, 57.12, 57.375], np.float32)


@dataclass(frozen=True)
class FrameEmbedding:
    """An encoded image (or a window of one).

    Attributes:
        features: (1, 256, 64, 64) float16.
        height: Pixels of the whole frame.
        width: Pixels of the whole frame.
        window: x1, y1, x2, y2 of the part that was encoded, whole pixels.
    """

    features: FloatArray
    height: int
    width: int
    window: tuple[int, int, int, int]


@dataclass(frozen=True)
class SegmentedMask:
    """A mask and the segmenter's own estimate of its IoU in [0, 1]."""

    mask: MaskArray
    quality: float


class Segmenter:
    """The bundled promptable segmenter.

    Args:
        threads: Threads of one call; 0 leaves it to onnxruntime.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self._options = ort.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.log_severity_level = 3

    # Each half is loaded when first needed: who only encodes, or only answers prompts, has only that.
    @cached_property
    def _encoder(self) -> ort.InferenceSession:
        return self._session(SEGMENTER_ENCODER)

    @cached_property
    def _decoder(self) -> ort.InferenceSession:
        return self._session(SEGMENTER_DECODER)

    def _session(self, name: str) -> ort.InferenceSession:
        return ort.InferenceSession(
            str(weights_path(name)), self._options, providers=["CPUExecutionProvider"]
        )

    def embed(self, image: ImageArray, window: BoxTuple | None = None) -> FrameEmbedding:
        """Encode an (H, W, 3) RGB image, or a window of it, at the encoder's full size.

        Args:
            image: The whole frame.
            window: x1, y1, x2, y2 in pixels; None for the whole frame.

        Raises:
            DataError: The window lies outside the frame.
        """
        height, width = image.shape[:2]
        x1, y1, x2, y2 = (0, 0, width, height) if window is None else (round(value) for value in window)
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
        if x2 <= x1 or y2 <= y1:
            raise DataError(f"the window {window} holds no pixel of the {width} x {height} frame")
        scale = _SIDE / max(x2 - x1, y2 - y1)
        size = (max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale)))
        part = np.ascontiguousarray(image[y1:y2, x1:x2])
        resized = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
        padded = np.zeros((_SIDE, _SIDE, 3), np.float32)
        padded[: size[1], : size[0]] = (resized - _MEAN) / _STD
        features = self._encoder.run(None, {"input": padded.transpose(2, 0, 1)[None]})[0]
        return FrameEmbedding(np.asarray(features, np.float16), height, width, (x1, y1, x2, y2))

    def segment(
        self,
        embedding: FrameEmbedding,
        *,
        box: BoxTuple | None = None,
        points: Sequence[tuple[float, float]] = (),
        positive: Sequence[bool] = (),
    ) -> SegmentedMask:
        """The object meant by a box, by clicks, or by both.

        Args:
            embedding: From `embed`.
            box: x1, y1, x2, y2 in pixels of the frame.
            points: (x, y) clicks in pixels of the frame.
            positive: For each click, True "this is the object", False "this is not".

        Raises:
            DataError: No prompt, or clicks and verdicts of unlike number.
        """
        if len(points) != len(positive):
            raise DataError(
                f"expected one verdict per click, got {len(points)} clicks, {len(positive)} verdicts"
            )
        if box is None and not points:
            raise DataError("a prompt needs a box or at least one click")
        x1, y1, x2, y2 = embedding.window
        scale = _SIDE / max(x2 - x1, y2 - y1)
        coords = [((x - x1) * scale, (y - y1) * scale) for x, y in points]
        labels = [float(verdict) for verdict in positive]
        if box is not None:
            coords += [
                ((box[0] - x1) * scale, (box[1] - y1) * scale),
                ((box[2] - x1) * scale, (box[3] - y1) * scale),
            ]
            labels += [2.0, 3.0]
        else:  # SAM's export wants a padding point when there is no box.
            coords.append((0.0, 0.0))
            labels.append(-1.0)
        masks, quality, _ = self._decoder.run(
            None,
            {
                "image_embeddings": embedding.features.astype(np.float32),
                "point_coords": np.array([coords], np.float32),
                "point_labels": np.array([labels], np.float32),
                "mask_input": np.zeros((1, 1, 256, 256), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
                "orig_im_size": np.array([y2 - y1, x2 - x1], np.float32),
            },
        )
        whole = np.zeros((embedding.height, embedding.width), bool)
        whole[y1:y2, x1:x2] = masks[0, 0] > 0
        return SegmentedMask(whole, float(np.clip(quality[0, 0], 0, 1)))


class EmbeddingCache:
    """Encoded frames on disk, one .npy of 2 MB per key (the frame id), oldest dropped first.

    Args:
        folder: Where; created.
        max_files: Keep at most so many.
    """

    def __init__(self, folder: Path, *, max_files: int = 500) -> None:
        self._folder = folder
        self._max_files = max_files
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, segmenter: Segmenter, key: str, image: ImageArray) -> FrameEmbedding:
        """The cached encoding of a whole frame, made now if it is not there or broken."""
        path = self._folder / f"{key}.npy"
        height, width = image.shape[:2]
        window = (0, 0, width, height)
        try:
            features = np.load(path, allow_pickle=False)
            if features.shape == (1, 256, 64, 64) and features.dtype == np.float16:
                os.utime(path)
                return FrameEmbedding(features, height, width, window)
        except (OSError, ValueError, EOFError):
            pass  # Not there, or cut short by a crash: made anew below.
        embedding = segmenter.embed(image)
        buffer = io.BytesIO()
        np.save(buffer, embedding.features)
        write_atomically(path, buffer.getvalue())
        self._drop_oldest()
        return embedding

    def __contains__(self, key: str) -> bool:
        return (self._folder / f"{key}.npy").exists()

    def _drop_oldest(self) -> None:
        files = sorted(self._folder.glob("*.npy"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(0, len(files) - self._max_files)]:
            file.unlink(missing_ok=True)
