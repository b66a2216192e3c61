"""Still images: checked before they are decoded, then decoded upright to RGB."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from curate.errors import ImageError
from curate.formats._items import JPEG_QUALITY, MAX_IMAGE_BYTES, MAX_PIXELS
from curate.types import ImageArray

__all__ = ["StillImage", "decode_image", "encode_jpeg", "encode_like", "read_regular_file", "read_still"]

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_PILLOW_PIXELS = 178_956_970
"""Pillow refuses larger pictures itself, from the header."""
_ORIENTATION = 0x0112
_KEPT_TAGS = frozenset({_ORIENTATION, 0x9003, 0x9011, 0x9291})
"""Orientation, DateTimeOriginal, OffsetTimeOriginal, SubSecTimeOriginal."""
# A broken file is told by one error of ours; what Pillow says of it on the way there, nobody can use.
logging.getLogger("PIL").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# What Pillow's decoders raise on broken files, one release or another; a warning where warnings are errors.
_BROKEN = (
    UserWarning,
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    OverflowError,
    AttributeError,
)


@dataclass(frozen=True, slots=True)
class StillImage:
    """A checked image file.

    Attributes:
        data: The bytes to store: the original's when it is a plain upright JPEG or PNG, else a JPEG.
        extension: "jpg" or "png".
        width: Pixels, upright.
        height: Pixels, upright.
        exif: Orientation and capture time (tag number -> text).
    """

    data: bytes
    extension: str
    width: int
    height: int
    exif: dict[int, str]


def read_regular_file(path: Path, *, max_bytes: int = MAX_IMAGE_BYTES) -> bytes:
    """The bytes of a regular file (never a folder, a pipe or a device, which could block for ever).

    Raises:
        ImageError: It is missing, not a regular file, not readable, empty or larger than `max_bytes`.
    """
    try:
        if not path.exists():
            raise ImageError("there is no such file", file=path)
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise ImageError(f"expected an image file, this is {kind}", file=path)
        size = path.stat().st_size
        if size > max_bytes:
            raise ImageError(f"the file has {size:,} bytes, the limit is {max_bytes:,}", file=path)
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}", file=path) from error
    if not data:
        raise ImageError("the file is empty (0 bytes)", file=path)
    return data


def decode_image(
    source: bytes | str | Path, *, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> ImageArray:
    """Decode an image file upright to (H, W, 3) RGB uint8.

    Args:
        source: The file, or its bytes.
        max_pixels: Refuse larger pictures before decoding. Pillow's own limit of 178,956,970 holds as well.
        name: What errors call it; default the path.

    Raises:
        ImageError: It cannot be read, is no image, is broken or cut short, or is too large.
    """
    if isinstance(source, bytes):
        data, label = source, name or "image"
    else:
        data, label = read_regular_file(Path(source)), name or str(source)
    with _opened(data, label, max_pixels) as image:
        return np.array(_to_rgb(image, label), np.uint8)


def read_still(path: Path, *, max_pixels: int = MAX_PIXELS, quality: int = JPEG_QUALITY) -> StillImage:
    """Read, check and decode one image file and say what to store for it.

    Raises:
        ImageError: As `decode_image`.
    """
    data = read_regular_file(path)
    with _opened(data, str(path), max_pixels) as image:
        exif = _exif(image)
        # Decoded before anything is decided: a file cut short shows itself only here.
        plain = (
            image.format in ("JPEG", "PNG")
            and image.mode in ("RGB", "L")
            and exif.get(_ORIENTATION, "1") == "1"
            and "transparency" not in image.info
        )
        extension = "png" if image.format == "PNG" else "jpg"
        rgb = _to_rgb(image, str(path))
    if not plain:
        data, extension = encode_jpeg(rgb, quality=quality, full_colour=True), "jpg"
    return StillImage(data, extension, rgb.width, rgb.height, exif)


def encode_jpeg(
    image: Image.Image | ImageArray, *, quality: int = JPEG_QUALITY, full_colour: bool = False
) -> bytes:
    """JPEG bytes of an RGB image; the same input gives the same bytes.

    Args:
        image: Pillow image or (H, W, 3) uint8.
        quality: 1..100.
        full_colour: Keep colour at full resolution (4:4:4); off for video, which is 4:2:0 already.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=0 if full_colour else 2)
    return buffer.getvalue()


def encode_like(original: bytes, image: ImageArray, *, name: str = "image") -> bytes:
    """A changed picture in the format of the original, without anything but pixels: no EXIF, no thumbnail.

    A PNG keeps every pixel. A JPEG is written with the original's own quantization and sampling, by which blocks
    of pixels that did not change come out as they were, but for rounding.

    Args:
        original: JPEG or PNG bytes, such as `MediaItem.data`.
        image: (H, W, 3) uint8 RGB, of the same size.
        name: What errors call it.

    Raises:
        ImageError: The original is broken.
    """
    buffer = io.BytesIO()
    with _opened(original, name, max(1, image.shape[0] * image.shape[1])) as before:
        picture = Image.fromarray(image)
        picture = picture.convert("L") if before.mode == "L" else picture
        if isinstance(before, JpegImagePlugin.JpegImageFile):
            sampling = JpegImagePlugin.get_sampling(before)
            picture.save(
                buffer, "JPEG", qtables=before.quantization, subsampling=sampling if sampling >= 0 else 0
            )
        else:
            picture.save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def _opened(data: bytes, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """The opened but not yet decoded image, its size checked; every decoder error as ImageError."""
    if not data:
        raise ImageError("the file is empty (0 bytes)", file=name)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{width} x {height} is more than the allowed {max_pixels:,} pixels",
                    file=name,
                    hint="raise max_pixels if it is meant",
                )
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        allowed = min(max_pixels, _PILLOW_PIXELS)
        raise ImageError(f"the picture has more than the allowed {allowed:,} pixels", file=name) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            "not an image, whatever its name says", file=name, hint="JPEG, PNG, WebP, BMP and TIFF are read"
        ) from error
    except _BROKEN as error:
        raise ImageError(f"the image is broken or cut short ({error})", file=name) from error
    except MemoryError as error:
        raise ImageError("not enough memory to decode the image", file=name) from error


def _exif(image: Image.Image) -> dict[int, str]:
    """EXIF values as text; a broken EXIF block does not condemn a good picture."""
    try:
        exif = image.getexif()
        values = {**exif, **exif.get_ifd(0x8769)}
    except _BROKEN:
        return {}
    return {int(tag): str(value).strip("\x00 ") for tag, value in values.items() if tag in _KEPT_TAGS}


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    image.load()
    try:
        upright = ImageOps.exif_transpose(image)
    except _BROKEN:  # a broken EXIF block: as if there were none
        upright = image
    if upright.mode.startswith("I;16"):
        # Sixteen bits a pixel: the upper eight. Pillow's own conversion would cut everything off at 255.
        return Image.fromarray((np.asarray(upright, np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if upright.mode in ("I", "F"):
        raise ImageError(f"pixels of mode {upright.mode} are measurements, not a picture", file=name)
    if upright.mode in ("P", "PA", "LA", "La", "RGBa"):
        # Through RGBA first: converting a palette with transparency directly warns and guesses.
        upright = upright.convert("RGBA")
    return upright.convert("RGB")
