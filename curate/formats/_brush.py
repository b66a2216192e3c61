"""Label Studio's brush masks: @thi.ng/rle-pack over the RGBA bytes of a picture, only alpha of which means anything.

The stream: 32 bits number of values, 5 bits word size - 1, four times 4 bits of (size of a run's length) - 1; then
chunks of one bit (1: one value repeated, 0: values one by one), two bits that choose a length's size, the length - 1,
and the value or values. Format after the source of rle-pack (Apache-2.0, thi.ng/umbrella).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curate.formats._items import MAX_PIXELS
from curate.formats._values import shown
from curate.formats.report import BadItem
from curate.types import MaskArray

__all__ = ["mask_to_brush", "parse_brush"]

_SIZES = (3, 4, 8, 16)


def parse_brush(value: Any, width: int, height: int) -> MaskArray:
    """The (height, width) mask of a brush: pixels whose alpha is above 0."""
    if not isinstance(value, list) or not all(
        isinstance(byte, int) and not isinstance(byte, bool) and 0 <= byte < 256 for byte in value
    ):
        raise BadItem("rle", f"a brush's rle must be a list of bytes, got {shown(value)}")
    wanted = 4 * width * height
    if width * height > MAX_PIXELS:
        raise BadItem("rle", f"a mask of more than {MAX_PIXELS:,} pixels")
    bits = np.unpackbits(np.asarray(value, np.uint8))
    reader = _Bits(bits)
    total, word = reader.take(32), reader.take(5) + 1
    sizes = [reader.take(4) + 1 for _ in range(4)]
    if total != wanted or word != 8:
        raise BadItem(
            "rle", f"a brush of {width} x {height} has {wanted} values of 8 bits, got {total} of {word}"
        )
    result = np.zeros(wanted, np.uint8)
    done = 0
    while done < total:
        repeated = reader.take(1)
        length = reader.take(sizes[reader.take(2)]) + 1
        if length > total - done:
            raise BadItem("rle", "a brush's run goes past its end")
        if repeated:
            result[done : done + length] = reader.take(8)
        else:
            result[done : done + length] = reader.words(length)
        done += length
    return np.asarray(result[3::4].reshape(height, width) > 0)


def mask_to_brush(mask: MaskArray) -> list[int]:
    """A mask as Label Studio stores it: 255 in all four channels inside, 0 outside."""
    flat = np.asarray(mask, bool).ravel()
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    parts = [f"{4 * flat.size:032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        value = "11111111" if flat[start] else "00000000"
        left = 4 * (stop - start)
        while left:
            length = min(left, 1 << _SIZES[-1])
            choice = next(place for place, size in enumerate(_SIZES) if length <= 1 << size)
            parts.append(f"1{choice:02b}{length - 1:0{_SIZES[choice]}b}{value}")
            left -= length
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return [int(text[place : place + 8], 2) for place in range(0, len(text), 8)]


class _Bits:
    """Reads whole numbers off an array of bits."""

    def __init__(self, bits: np.ndarray[Any, Any]) -> None:
        self._bits = bits
        self._at = 0

    def take(self, count: int) -> int:
        if self._at + count > len(self._bits):
            raise BadItem("rle", "the brush's rle is cut short")
        value = 0
        for bit in self._bits[self._at : self._at + count].tolist():
            value = value << 1 | bit
        self._at += count
        return value

    def words(self, count: int) -> np.ndarray[Any, Any]:
        stop = self._at + 8 * count
        if stop > len(self._bits):
            raise BadItem("rle", "the brush's rle is cut short")
        words = np.packbits(self._bits[self._at : stop])
        self._at = stop
        return words
