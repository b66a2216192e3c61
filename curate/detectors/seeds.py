"""Random numbers as a function of seed and step, so that a resumed run needs no random state."""

from __future__ import annotations

import numpy as np

__all__ = ["step_generator"]


def step_generator(seed: int, *stream: int) -> np.random.Generator:
    """The random numbers of one step (or epoch) of a run."""
    return np.random.default_rng([seed, *stream])
