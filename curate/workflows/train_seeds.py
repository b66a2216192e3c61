"""Several seeds of one version: at once where a GPU has the memory, one after the other on a processor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from curate.detectors.inference import choose_device
from curate.detectors.together import at_once, train_together
from curate.store import RunRecord
from curate.workflows.progress import Cancelled, Reporter
from curate.workflows.project import Project
from curate.workflows.train import train_config, train_version

__all__ = ["train_seeds"]


def train_seeds(
    project: Project, version_id: str, seeds: Sequence[int], *, warm: bool, reporter: Reporter
) -> list[RunRecord]:
    """Train a version once for each seed, as `train_version` does; runs in the order of the seeds.

    How many train at the same time, `train.folds_at_once` says, or else the device (see `at_once`). Each becomes what
    it becomes alone. Runs are written down as whoever acts on this thread; the reporter is told on it, too.

    Args:
        project: The project.
        version_id: Of a dataset version.
        seeds: Training seeds.
        warm: Whether each may start from an earlier run.
        reporter: Told how far all of them are.

    Raises:
        CurateError: What `train_version` raises; the first one that fails stops the others.
        Cancelled: The reporter asked to stop; finished runs and checkpoints are kept.
    """
    heard = [_Heard() for _ in seeds]
    actor = project.store.actor

    def train(seed: int, part: _Heard, should_stop: Callable[[], bool]) -> RunRecord:
        part.asks = should_stop
        with project.store.acting(actor):
            return train_version(project, version_id, seed=seed, warm=warm, reporter=part)

    def watch() -> None:
        if reporter.should_stop():
            raise Cancelled
        for part in heard:
            while part.messages:
                message = part.messages.popleft()
                reporter.update(sum(other.fraction for other in heard) / len(heard), message)

    config = train_config(project)
    count = at_once(config, project.config.train.folds_at_once, len(seeds))
    jobs = [partial(train, seed, part) for seed, part in zip(seeds, heard, strict=True)]
    return train_together(jobs, count, choose_device(config.device), watch)


class _Heard:
    """What one training tells in its thread, until the caller's thread passes it on."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self.messages: deque[str] = deque()
        self.asks: Callable[[], bool] = lambda: False

    def update(self, fraction: float, message: str) -> None:
        self.fraction = fraction
        self.messages.append(message)

    def should_stop(self) -> bool:
        return self.asks()
