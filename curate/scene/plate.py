"""The empty scene: what the fixed camera sees when nothing is there.

`curate.scene.estimate` makes it, `curate.scene.fit` checks that it still fits.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curate.errors import DataError, ImageError
from curate.files import write_atomically
from curate.types import BoolArray, FloatArray, ImageArray

__all__ = ["Plate", "check_image", "load_plate", "save_plate"]

_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """The empty scene in one light.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        spread: (H, W) float32, standard deviation of the pixel's noise in grey levels, >= 0.5.
        valid: (H, W) bool, False where no lasting colour was found.
        frames: How many frames it was estimated from.
        brightness: Median grey level of those frames, 0..255.
    """

    image: ImageArray
    spread: FloatArray
    valid: BoolArray
    frames: int
    brightness: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (int(self.image.shape[1]), int(self.image.shape[0]))


def check_image(image: ImageArray, *, size: tuple[int, int] | None = None, item: object = None) -> None:
    """Raise `ImageError` unless the image is (H, W, 3) uint8, of the (width, height) asked for."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ImageError(
            f"expected an RGB image (H, W, 3) of uint8, got {image.shape} of {image.dtype}", item=item
        )
    if size is not None and (image.shape[1], image.shape[0]) != size:
        raise ImageError(
            f"expected an image of {size[0]} x {size[1]} pixels, got {image.shape[1]} x {image.shape[0]}",
            item=item,
            hint="all frames of one camera must have one size",
        )


def save_plate(plate: Plate, path: Path) -> None:
    """Write as .npz: first a temporary file beside it, then a rename, so that a crash leaves the old file.

    Raises:
        ProjectError: The folder or disk cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        format=np.int64(_FORMAT),
        image=plate.image,
        spread=plate.spread.astype(np.float32),
        valid=plate.valid,
        frames=np.int64(plate.frames),
        brightness=np.float64(plate.brightness),
    )
    write_atomically(path, buffer.getvalue())


def load_plate(path: Path, *, size: tuple[int, int] | None = None) -> Plate:
    """Read a plate written by `save_plate`.

    Args:
        path: The .npz file.
        size: Width and height that the camera's frames have, checked when given.

    Raises:
        DataError: Missing, not such a file, cut short, or of another size.
    """
    hint = "delete the file and scan again: the plate is computed anew"
    try:
        # From memory: numpy leaves the file open when it finds a broken archive.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            form = int(stored["format"])
            image, spread, valid = stored["image"], stored["spread"], stored["valid"]
            frames, brightness = int(stored["frames"]), float(stored["brightness"])
    except FileNotFoundError as error:
        raise DataError("there is no background plate", file=path, hint="run `curate scan`") from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"expected a background plate (.npz), got {error!r}", file=path, hint=hint) from error
    shape = image.shape[:2]
    fits = (
        form == _FORMAT and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        and spread.shape == shape and spread.dtype == np.float32 and bool(np.isfinite(spread).all())
        and valid.shape == shape and valid.dtype == np.bool_
    )  # fmt: skip
    if not fits:
        raise DataError(
            f"expected a background plate of format {_FORMAT}, got format {form}, "
            f"image {image.shape} {image.dtype}, spread {spread.shape}, valid {valid.shape}",
            file=path,
            hint=hint,
        )
    plate = Plate(image, spread, valid, frames, brightness)
    if size is not None and plate.size != size:
        raise DataError(
            f"expected a plate of {size[0]} x {size[1]} pixels, got {plate.size[0]} x {plate.size[1]}",
            file=path,
            hint=hint,
        )
    return plate
