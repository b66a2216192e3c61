"""How long work tells how far it is, and hears that it should stop."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Cancelled", "Quiet", "Reporter", "SubReporter", "eta_seconds"]


class Cancelled(Exception):
    """The user cancelled; what was finished is kept, and the same command goes on from there."""


class Reporter(Protocol):
    """Receives progress; asked now and then whether to stop."""

    def update(self, fraction: float, message: str) -> None:
        """Tell the share done in [0, 1] and what is being done."""
        ...

    def should_stop(self) -> bool:
        """Whether the user cancelled."""
        ...


class Quiet:
    """Reports to nobody."""

    def update(self, fraction: float, message: str) -> None:
        """Do nothing."""

    def should_stop(self) -> bool:
        """Never."""
        return False


class SubReporter:
    """A part of a longer work: maps its [0, 1] into [low, high] of the whole, and raises on cancel.

    Args:
        parent: The whole work's reporter.
        low: Where the part begins.
        high: Where it ends.
        prefix: Put before each message.
    """

    def __init__(self, parent: Reporter, low: float, high: float, prefix: str = "") -> None:
        self._parent = parent
        self._low = low
        self._high = high
        self._prefix = prefix

    def update(self, fraction: float, message: str) -> None:
        """Pass it on, scaled.

        Raises:
            Cancelled: The user asked to stop.
        """
        if self._parent.should_stop():
            raise Cancelled
        share = self._low + (self._high - self._low) * min(1.0, max(0.0, fraction))
        self._parent.update(share, f"{self._prefix}{message}")

    def should_stop(self) -> bool:
        """The parent's answer."""
        return self._parent.should_stop()


def eta_seconds(started: float, fraction: float, now: float | None = None) -> float | None:
    """Seconds left if the rest goes as fast as the part done; None before anything is done.

    Args:
        started: `time.monotonic()` at the start.
        fraction: Share done in [0, 1].
        now: `time.monotonic()`; the current one when None.
    """
    if fraction <= 0.005:
        return None
    elapsed = (time.monotonic() if now is None else now) - started
    return elapsed * (1.0 - fraction) / fraction
