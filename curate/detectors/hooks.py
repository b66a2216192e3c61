"""What looks on while a run goes: progress, stopping, validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curate.detectors.config import Progress
from curate.detectors.site import SiteDetector

__all__ = ["EarlyStop", "Hooks"]


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a run; see `train_detector`."""

    progress: Callable[[Progress], None] | None
    should_stop: Callable[[], bool] | None
    validate: Callable[[SiteDetector, int], float] | None
    validate_every: int

    def due(self, step: int, steps: int) -> bool:
        """Whether a validation follows this step; one always follows the last."""
        return step == steps or (self.validate_every > 0 and step % self.validate_every == 0)


class EarlyStop:
    """Ends a run when its validation has not got better for a while.

    Args:
        patience: Validations without improvement that are borne; 0 for all.
        scores: Of the validations before a resume, in order.
    """

    def __init__(self, patience: int, scores: Sequence[float] = ()) -> None:
        self._patience = patience
        self._best = -math.inf
        self._since = 0
        for score in scores:
            self.improved(score)

    def improved(self, score: float) -> bool:
        """Note a score; whether it is the best so far."""
        better = score > self._best
        self._best, self._since = (score, 0) if better else (self._best, self._since + 1)
        return better

    @property
    def over(self) -> bool:
        """Whether the patience is at an end."""
        return 0 < self._patience <= self._since
