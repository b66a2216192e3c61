"""Reading frames from recordings and images: every good one, and a reason for every bad one."""

from curate.formats._folder import natural_key, read_images
from curate.formats._items import IMAGE_SUFFIXES, JPEG_QUALITY, MAX_PIXELS, MediaItem, Rejected
from curate.formats._video import read_video
from curate.formats.images import decode_image, encode_jpeg, encode_like

__all__ = [
    "IMAGE_SUFFIXES",
    "JPEG_QUALITY",
    "MAX_PIXELS",
    "MediaItem",
    "Rejected",
    "decode_image",
    "encode_jpeg",
    "encode_like",
    "natural_key",
    "read_images",
    "read_video",
]
