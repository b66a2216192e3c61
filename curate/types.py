"""Names for the arrays and JSON values that the public functions take and return."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Any float array; shapes stand in the docstring of the function."""
IntArray: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
ImageArray: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) RGB, 0..255."""
MaskArray: TypeAlias = NDArray[np.bool_]
"""(H, W), True inside."""
BoxTuple: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2: absolute pixels, continuous coordinates (no +1)."""
Point: TypeAlias = tuple[float, float]
Ring: TypeAlias = tuple[Point, ...]
"""At least three points, not closed (the last point differs from the first)."""
JSONValue: TypeAlias = Any


def is_storable(text: str) -> bool:
    """Whether a text can be kept in every database and written as UTF-8: no NUL, no halves of surrogate pairs."""
    return "\x00" not in text and (text.isascii() or not any(0xD800 <= ord(char) <= 0xDFFF for char in text))
