"""The next batch, made while the network works on this one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from curate.detectors.frames import Batch, FrameCache

__all__ = ["Prefetch"]


class Prefetch:
    """Batches of consecutive steps, each begun one step early in a thread of its own.

    A batch is a function of its step, so it does not matter who makes it when. Decoding and warping leave the
    interpreter free, and a GPU does not wait for them.

    Args:
        frames: Where batches come from; nobody else asks it meanwhile.
        steps: Of the run; nothing is made beyond it.
        device: Where they go; pages are pinned for a GPU.
        share: Rank and number of the processes that share each batch.
    """

    def __init__(self, frames: FrameCache, steps: int, device: torch.device, share: tuple[int, int]) -> None:
        self._frames = frames
        self._steps = steps
        self._pinned = device.type == "cuda"
        self._share = share
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[int, Future[Batch]] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step; that of the next one is begun.

        Raises:
            ImageError: A frame cannot be decoded.
        """
        if self._ahead is None or self._ahead[0] != step:
            self._ahead = step, self._thread.submit(self._make, step)
        batch = self._ahead[1].result()
        self._ahead = None
        if step + 1 < self._steps:
            self._ahead = step + 1, self._thread.submit(self._make, step + 1)
        return batch

    def _make(self, step: int) -> Batch:
        batch = self._frames.batch(step, *self._share)
        return Batch(batch.canvases.pin_memory(), batch.items) if self._pinned else batch
