"""Masks against the foreground under and around them."""

from __future__ import annotations

import numpy as np
import pytest

from curate.errors import DataError
from curate.geometry.rle import mask_to_rle
from curate.scene import mask_cover


def test_what_a_mask_holds_too_much_and_what_it_leaves_out() -> None:
    fg = np.zeros((80, 120), np.float32)
    fg[20:60, 30:50] = 1  # somebody
    fg[20:60, 51:70] = 1  # somebody else, a pixel apart: closing joins them
    exact, legs_cut, leaking, other, nothing = (np.zeros(fg.shape, bool) for _ in range(5))
    exact[20:60, 30:50] = True
    legs_cut[20:40, 30:50] = True
    leaking[20:60, 15:50] = True
    other[20:60, 51:70] = True

    def cover(mask: np.ndarray, *others: np.ndarray) -> tuple[float, float]:
        found = mask_cover(fg, [mask_to_rle(entry) for entry in (mask, *others)])
        return float(found.empty[0]), float(found.left[0])

    assert cover(exact, other) == pytest.approx((0, 0), abs=0.03)
    empty, left = cover(legs_cut, other)
    assert empty == 0
    assert left == pytest.approx(0.25, abs=0.05), "the window reaches a quarter of the mask's side beyond it"
    assert cover(leaking, other)[0] == pytest.approx(15 / 35, abs=0.05)
    # Without the neighbour's label his foreground is taken for a part left out.
    assert cover(exact)[1] > 0.2
    boxes = np.zeros(fg.shape, np.int64)
    boxes[20:60, 50:70] = 1
    assert mask_cover(fg, [mask_to_rle(exact)], others=boxes).left[0] < 0.05
    assert cover(nothing) == (1, 0)
    with pytest.raises(DataError, match="expected a mask"):
        mask_cover(fg, [mask_to_rle(exact.T)])
