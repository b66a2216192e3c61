"""What a run leaves for people to read: metrics.jsonl and TensorBoard events."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from curate.detectors.config import Progress
from curate.files import write_atomically

__all__ = ["METRICS", "RunLog", "scores_of"]

METRICS = "metrics.jsonl"


class _OtherThreads:
    """What TensorBoard's writing thread raises (a full disk) comes to us from the calls, too: no traceback besides."""

    def __init__(self) -> None:
        self._before = threading.excepthook

    def __call__(self, failed: threading.ExceptHookArgs) -> None:
        if type(failed.thread).__module__.partition(".")[0] != "tensorboard":
            self._before(failed)


class RunLog:
    """Appends one line per step to metrics.jsonl and the same numbers to tensorboard/.

    Args:
        folder: The run's folder; it exists.
        done: Steps done before a resume; lines of later steps are dropped, they will come again.
    """

    def __init__(self, folder: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = folder / METRICS
        write_atomically(path, _kept_lines(path, done))
        events = folder / "tensorboard"
        if not done and events.is_dir():
            for old in events.glob("events.out.tfevents.*"):
                old.unlink()
        # For good: the thread may tell after our own error has left this class.
        if not isinstance(threading.excepthook, _OtherThreads):
            threading.excepthook = _OtherThreads()
        self._events: Any = SummaryWriter(log_dir=str(events), purge_step=done + 1 if done else None)
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError:
            self._events.close()
            raise

    def write(self, progress: Progress) -> None:
        """Log one step."""
        line = {
            "step": progress.step,
            "losses": dict(progress.losses),
            "lr": progress.learning_rate,
            "seconds": round(progress.seconds, 3),
            "eta": round(progress.eta_seconds, 1),
        } | ({"remark": progress.remark} if progress.remark else {})
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in progress.losses.items():
            self._events.add_scalar(f"loss/{name}", value, progress.step)
        self._events.add_scalar("learning_rate", progress.learning_rate, progress.step)

    def write_score(self, step: int, score: float) -> None:
        """Log a validation after a step."""
        self._file.write(json.dumps({"step": step, "validation": score}) + "\n")
        self._file.flush()
        self._events.add_scalar("validation", score, step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._events.close()


def scores_of(path: Path, done: int) -> list[float]:
    """The validations that a log holds up to a step, in order."""
    lines = [json.loads(line) for line in _kept_lines(path, done).splitlines()]
    return [float(line["validation"]) for line in lines if "validation" in line]


def _kept_lines(path: Path, done: int) -> bytes:
    """Whole lines of steps up to `done`; a kill may have cut the last line."""
    if not done or not path.is_file():
        return b""
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            if json.loads(line)["step"] <= done:
                kept.append(line + b"\n")
        except (ValueError, KeyError):
            break
    return b"".join(kept)
