"""Halves of a batch side by side on a processor: two threads, each with half of the cores and half of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

__all__ = ["Lanes", "lanes_for"]

Part = TypeVar("Part")
Result = TypeVar("Result")

_LANES = 2


def lanes_for(device: torch.device) -> int:
    """How many parts of a batch pay side by side: two on a processor that torch may use two threads of, else one.

    Most of a step's operations are short, and threads that share each of them wait for one another; with a half of
    the batch each they meet once a step. A GPU is filled by one.
    """
    return _LANES if device.type == "cpu" and torch.get_num_threads() >= _LANES else 1


class Lanes:
    """Threads that work on one part of a batch each.

    Gradients of both meet in the same parameters: autograd adds them up under a lock, and a sum of two does not
    depend on their order, so a run gives the same bits again.

    Args:
        count: Of the lanes; torch's threads are shared out among them.

    Attributes:
        count: The same.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            count,
            thread_name_prefix="lane",
            initializer=_use_threads,
            initargs=(threads // count,),
        )
        together = Barrier(count)
        for started in [self._pool.submit(together.wait) for _ in range(count)]:
            started.result()
        # The number is a thread's own, but threads that begin later take over what was set last.
        torch.set_num_threads(threads)

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """What comes of each part, in their order.

        Raises:
            Exception: What the first one raised that failed, once all have ended.
        """
        futures = [self._pool.submit(work, part) for part in parts]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]


def _use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # Asked once, a thread keeps its number; else its first operation would take over what was set last.
    torch.get_num_threads()
