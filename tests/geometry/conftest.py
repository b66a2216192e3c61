from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def ring_mask():
    """A 20 x 30 mask with a hole and a second part."""
    mask = np.zeros((20, 30), bool)
    mask[2:15, 3:18] = True
    mask[5:9, 6:12] = False
    mask[10:20, 25:30] = True
    return mask
