"""Several trainings at once on one device, in threads of one process: folds share a card that one cannot fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

import torch

from curate.detectors.config import TrainConfig
from curate.detectors.distributed import join_world
from curate.detectors.inference import choose_device

__all__ = ["at_once", "memory_needed", "train_together"]

Result = TypeVar("Result")

_MOST = 4
_KEPT_FREE = 0.1
# Bytes of one training: for each pixel of a batch, and for weights, optimiser, heads and the libraries' workspaces.
# Counted on a processor (tensors that one step keeps for its backward pass), doubled for what comes and goes besides.
_A_PIXEL = {"nanodet-g": 900, "maskrcnn-nanodet-g": 2500, "maskrcnn-resnet50-fpn-v2": 2500}
_ALWAYS = {"nanodet-g": 1 << 29, "maskrcnn-nanodet-g": 2 << 30, "maskrcnn-resnet50-fpn-v2": 3 << 30}
_LOOK_SECONDS = 0.2


def memory_needed(config: TrainConfig) -> int:
    """Bytes of device memory that one training may need; an upper bound, as frames are seldom square."""
    pixels = config.batch_size * config.input_size**2
    return _ALWAYS[config.architecture] + _A_PIXEL[config.architecture] * pixels


def at_once(config: TrainConfig, wanted: int | None, jobs: int) -> int:
    """How many of some trainings run at the same time.

    By itself: on a GPU as many as fit into nine tenths of its free memory, at most four (one interpreter gives them
    their work); on a processor one, as its cores are busy with one. Under torchrun one: the processes take
    their steps in the same order.

    Args:
        config: Settings of each.
        wanted: A number that somebody asks for; None decides by itself.
        jobs: How many there are.
    """
    if join_world().size > 1:
        return 1
    if wanted is not None:
        return max(1, min(wanted, jobs))
    device = choose_device(config.device)
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    fitting = int(free * (1 - _KEPT_FREE)) // memory_needed(config)
    return max(1, min(fitting, _MOST, jobs))


def train_together(
    jobs: Sequence[Callable[[Callable[[], bool]], Result]],
    count: int,
    device: torch.device,
    watch: Callable[[], None],
) -> list[Result]:
    """Run trainings, so many at a time; what each gives, in their order.

    Each gives what it gives alone: nothing random is shared (see `seeded`, `step_generator`). On a GPU every one has a
    stream of its own.

    Args:
        jobs: Each is told a function that says whether it should stop, to be asked after every step.
        count: At a time.
        device: Where they train.
        watch: Called before the first begins and again and again meanwhile, in the thread of the caller; what it raises
            stops all and is raised.

    Raises:
        Exception: What the first one raised that failed; the others are stopped, those not begun never begin.
    """
    stop = Event()

    def run(job: Callable[[Callable[[], bool]], Result]) -> Result:
        with _own_stream(device):
            return job(stop.is_set)

    with ThreadPoolExecutor(count, thread_name_prefix="training") as pool:
        try:
            watch()
            futures: list[Future[Result]] = [pool.submit(run, job) for job in jobs]
            left: set[Future[Result]] = set(futures)
            while left:
                done, left = wait(left, timeout=_LOOK_SECONDS, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                watch()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [future.result() for future in futures]


@contextmanager
def _own_stream(device: torch.device) -> Iterator[None]:
    """Work of this thread beside that of others; finished when it ends."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()
