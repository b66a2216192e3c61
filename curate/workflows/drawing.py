"""Detections drawn onto pictures, and the video that is made of them."""

from __future__ import annotations

import contextlib
import uuid
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from curate.errors import ProjectError
from curate.geometry.rle import rle_to_mask
from curate.tables import Detections
from curate.types import ImageArray

__all__ = ["VideoWriter", "draw_detections"]

# Colour-blind safe (Okabe and Ito), RGB.
_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_MASK_SHARE = 0.4
_CODECS = ("libx264", "mpeg4")


def draw_detections(image: ImageArray, found: Detections, classes: tuple[str, ...]) -> ImageArray:
    """A copy of the (H, W, 3) RGB picture with every detection's box, class, score and mask."""
    picture = image.copy()
    for index in range(len(found)):
        klass = int(found.classes[index])
        colour = _COLOURS[klass % len(_COLOURS)]
        if found.masks is not None:
            inside = rle_to_mask(found.masks[index])
            blended = picture[inside] * (1 - _MASK_SHARE) + np.array(colour) * _MASK_SHARE
            picture[inside] = blended.astype(np.uint8)
        x1, y1, x2, y2 = (round(float(value)) for value in found.boxes[index])
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2)
        text = f"{classes[klass]} {found.scores[index]:.2f}"
        # OpenCV's font knows ASCII only.
        text = text.encode("ascii", "replace").decode()
        (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
        top = max(height + base, y1)
        cv2.rectangle(picture, (x1, top - height - base), (x1 + width, top), colour, cv2.FILLED)
        cv2.putText(
            picture,
            text,
            (x1, top - base // 2 - 1),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return picture


class VideoWriter:
    """An MP4 that appears under its name when it is whole; the size is that of the first picture.

    Args:
        path: The file; its folder exists.
        rate: Pictures per second.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._path = path
        # The muxer asks the name for the format.
        self._temporary = path.with_name(f".{uuid.uuid4().hex}.tmp.mp4")
        self._rate = rate
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

    def write(self, image: ImageArray) -> None:
        """Add an (H, W, 3) RGB picture.

        Raises:
            ProjectError: The file cannot be written.
        """
        try:
            container, stream = self._open(image)
            if image.shape[:2] != (stream.height, stream.width):
                image = np.asarray(cv2.resize(image, (stream.width, stream.height)), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            self.discard()
            raise self._failure(error) from error

    def _open(self, image: ImageArray) -> tuple[av.container.OutputContainer, av.VideoStream]:
        if self._container is None or self._stream is None:
            codec = next(name for name in _CODECS if name in av.codecs_available)
            self._container = av.open(str(self._temporary), "w", format="mp4")
            stream = self._container.add_stream(codec, rate=self._rate.limit_denominator(65_535))
            if not isinstance(stream, av.VideoStream):
                raise ProjectError(f"{codec} is no video codec here", file=self._path)
            # Chroma is halved, so both sides have to be even.
            stream.height, stream.width = (side // 2 * 2 for side in image.shape[:2])
            stream.pix_fmt = "yuv420p"
            self._stream = stream
        return self._container, self._stream

    def finish(self) -> None:
        """Complete the file and give it its name.

        Raises:
            ProjectError: The file cannot be written.
        """
        if self._container is None or self._stream is None:
            return
        try:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            self._container.close()
            self._temporary.replace(self._path)
        except (av.FFmpegError, OSError) as error:
            self.discard()
            raise self._failure(error) from error

    def discard(self) -> None:
        """Drop what was written so far."""
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()
        self._container = self._stream = None
        self._temporary.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> ProjectError:
        reason = getattr(error, "strerror", "") or error
        return ProjectError(
            f"the video cannot be written: {reason}", file=self._path, hint="check the folder and the disk"
        )
