"""Pictures to predict on, one after the other: a video, a folder of images, one image, or a stream's address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer

from curate.errors import DataError
from curate.formats.media import IMAGE_SUFFIXES, decode_image, natural_key
from curate.types import ImageArray

__all__ = ["SCHEMES", "Footage", "Picture", "open_footage", "without_password"]

SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "srt", "udp")
"""Addresses that are read as a stream."""
_TIMEOUT = (15.0, 15.0)
_FALLBACK_RATE = Fraction(25)


@dataclass(frozen=True)
class Picture:
    """One picture: name, number in the footage, seconds from its start, (H, W, 3) RGB pixels."""

    name: str
    number: int
    seconds: float
    image: ImageArray


@dataclass(frozen=True)
class Footage:
    """What is to be looked at.

    Attributes:
        name: Short, for files and messages.
        pictures: Every n-th picture; can be run through once.
        count: How many there will be; None when nobody knows (a stream).
        rate: Pictures per second of the result.
        live: Whether it is a stream, which may never end.
    """

    name: str
    pictures: Iterator[Picture]
    count: int | None
    rate: Fraction
    live: bool


def open_footage(source: str, *, every_n: int = 1, max_pixels: int) -> Footage:
    """Open a video file, a folder of images, an image, or a stream (`rtsp://...`, `http://...`).

    Args:
        source: Path or address.
        every_n: Take every n-th picture.
        max_pixels: Larger pictures are refused.

    Raises:
        DataError: There is nothing that can be read.
    """
    if urlsplit(source).scheme.lower() in SCHEMES:
        return _video(source, Path(urlsplit(source).path).stem or "stream", every_n, max_pixels, live=True)
    path = Path(source)
    if "://" in source:
        raise DataError(f"expected a file, a folder or an address of {', '.join(SCHEMES)}", file=source)
    if not path.exists():
        raise DataError("there is no such file or folder", file=source)
    if path.is_dir():
        files = [entry for entry in path.rglob("*") if entry.is_file() and _is_image(entry)]
        files = sorted(files, key=lambda entry: natural_key(entry.relative_to(path)))[::every_n]
        if not files:
            raise DataError(f"the folder holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})", file=source)
        return Footage(
            path.resolve().name, _images(files, path, every_n, max_pixels), len(files), Fraction(2), False
        )
    if _is_image(path):
        return Footage(path.stem, _images([path], path.parent, 1, max_pixels), 1, Fraction(1), False)
    return _video(source, path.stem, every_n, max_pixels, live=False)


def without_password(source: str) -> str:
    """The source as it may be shown: a stream's address without user, password and query."""
    parts = urlsplit(source)
    if parts.scheme.lower() not in SCHEMES:
        return source
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _images(files: list[Path], root: Path, every_n: int, max_pixels: int) -> Iterator[Picture]:
    for at, path in enumerate(files):
        image = decode_image(path, max_pixels=max_pixels)
        yield Picture(path.relative_to(root).as_posix(), at * every_n, float(at), image)


def _video(source: str, name: str, every_n: int, max_pixels: int, *, live: bool) -> Footage:
    shown = without_password(source)
    options = {"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {}
    try:
        container = av.open(source, timeout=_TIMEOUT if live else None, options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or "it cannot be opened"
        raise DataError(f"not a video or stream that can be read: {reason}", file=shown) from error
    if not container.streams.video:
        container.close()
        raise DataError("it holds no video", file=shown)
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        container.close()
        raise DataError(f"{width} x {height} is more than the allowed {max_pixels:,} pixels", file=shown)
    rate = Fraction(stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)
    count = -(-stream.frames // every_n) if stream.frames and not live else None
    return Footage(name, _decoded(container, name, shown, every_n, rate), count, rate / every_n, live)


def _decoded(
    container: InputContainer, name: str, shown: str, every_n: int, rate: Fraction
) -> Iterator[Picture]:
    """Every n-th frame; a damaged packet costs its frame, a stream that breaks off ends the footage."""
    number = 0
    origin: float | None = None
    with container:
        packets = container.demux(container.streams.video[0])
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                break
            except (av.InvalidDataError, av.PatchWelcomeError):
                continue
            except (av.FFmpegError, OSError):
                break
            for frame in frames:
                taken, at = number % every_n == 0, number
                number += 1
                if not taken or not isinstance(frame, av.VideoFrame):
                    continue
                seconds = frame.time if frame.time is not None else float(at / rate)
                origin = seconds if origin is None else origin
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield Picture(f"{name}_{at:06d}", at, max(0.0, seconds - origin), image)
    if not number:
        raise DataError("it holds no frame that can be decoded", file=shown)
