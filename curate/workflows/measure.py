"""Seconds and peak memory of the steps of a longer work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

__all__ = ["StepMeter"]

_SAMPLE_SECONDS = 0.2


class StepMeter:
    """Measures named steps one after the other.

    Attributes:
        steps: Name -> {"seconds": wall time, "peak_mb": largest resident memory of the process, in 2^20 bytes}.
    """

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the block."""
        process = psutil.Process()
        peak = process.memory_info().rss
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(_SAMPLE_SECONDS):
                peak = max(peak, process.memory_info().rss)

        thread = threading.Thread(target=watch, daemon=True)
        started = time.perf_counter()
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            peak = max(peak, process.memory_info().rss)
            self.steps[name] = {
                "seconds": round(time.perf_counter() - started, 2),
                "peak_mb": round(peak / 2**20, 1),
            }
