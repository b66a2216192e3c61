"""What the readers of frames hand out, and the limits they keep."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IMAGE_SUFFIXES", "JPEG_QUALITY", "MAX_IMAGE_BYTES", "MAX_PIXELS", "MediaItem", "Rejected"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""File names of images, lower case."""
MAX_PIXELS = 64_000_000
"""Largest picture that is decoded unless the caller says otherwise (about 9,200 x 7,000)."""
MAX_IMAGE_BYTES = 512 * 2**20
"""Largest image file that is read into memory."""
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One frame, ready to be stored.

    Attributes:
        name: Unique readable name: "junction_000120.jpg" for frame 120 of junction.mp4, the relative path of
            an image.
        clip: The recording: the video's stem, or the folder that an image lies in.
        index: Frame number in presentation order from 0; or the image's place in its folder's natural order.
        captured_at: Seconds. Unix time if `wall_time`, else seconds from the start of the clip (for images
            without any time: the index).
        wall_time: Whether `captured_at` is a real clock time.
        width: Pixels.
        height: Pixels.
        data: The encoded image to store: always upright, always three colours or grey.
        extension: "jpg" or "png".
        source: The file that it came from.
    """

    name: str
    clip: str
    index: int
    captured_at: float
    wall_time: bool
    width: int
    height: int
    data: bytes
    extension: str
    source: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that could not be read; everything else goes on.

    Attributes:
        source: The file or folder at fault.
        item: The part of it ("frame 486", "frames 12-30"), or "" for all of it.
        reason: One sentence for a person.
    """

    source: str
    item: str
    reason: str
