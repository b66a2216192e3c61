"""What the fault suite does to a project, and how: real commands in a process of their own, and what hits them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from curate.annotations import Decision, DecisionKind, IssueState
from curate.bench.faults_import import import_arguments
from curate.errors import ConflictError, CurateError, NotFoundError
from curate.review import decide
from curate.store.serialize import decision_from_dict, decision_to_dict
from curate.workflows.project import Project

__all__ = [
    "FAULTS",
    "STEPS",
    "Ended",
    "Fault",
    "in_child",
    "review_until_told",
    "sent_by",
    "step_command",
    "told_by",
]

STEPS = ("ingest", "import", "review", "version", "scan", "training")
FAULTS = ("kill", "disk_full", "file_limit", "cut", "corrupt", "clock")
_SECONDS = 180.0
_FAULT_OF_OURS = 70


@dataclass(frozen=True)
class Fault:
    """What hits a step.

    Attributes:
        kind: One of `FAULTS`, or "" for none.
        after: Seconds until it strikes.
        amount: Bytes of room left, bytes a file may still grow, or seconds that the clock jumps.
    """

    kind: str = ""
    after: float = 0.0
    amount: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative for a signal), its output, and after how long."""

    code: int
    output: str
    seconds: float

    @property
    def clear(self) -> bool:
        """Whether it said in words what was wrong, or nothing was: no traceback."""
        return self.code < 0 or (self.code != _FAULT_OF_OURS and "Traceback" not in self.output)


def in_child(
    work: Callable[[], int],
    output: Path,
    fault: Fault = Fault(),
    strike: Callable[[], None] | None = None,
) -> Ended:
    """Do work in a forked process, with a fault; modules that are loaded already need not be loaded again.

    Args:
        work: Returns the exit code.
        output: File for what it prints.
        fault: "kill", "file_limit" and "clock" are done here.
        strike: Called after `fault.after` seconds, for the faults that come from outside.
    """
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _be_child(work, output, fault)
    if fault.kind == "kill" or strike is not None:
        _wait(pid, fault.after, stop=False)
        if strike is not None:
            strike()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    status = _wait(pid, _SECONDS, stop=True)
    return Ended(
        os.waitstatus_to_exitcode(status), output.read_text(errors="replace"), time.monotonic() - started
    )


_ended: dict[int, int] = {}


def _wait(pid: int, seconds: float, *, stop: bool) -> int:
    """Wait for a child for some seconds; its status, or 0 while it runs. With `stop` it does not outlive them."""
    ends = time.monotonic() + seconds
    while pid not in _ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            _ended[pid] = status
        elif time.monotonic() < ends:
            time.sleep(0.002)
        elif stop:
            os.kill(pid, signal.SIGKILL)
            _ended[pid] = os.waitpid(pid, 0)[1]
        else:
            return 0
    return _ended.pop(pid) if stop else 0


def _be_child(work: Callable[[], int], output: Path, fault: Fault) -> None:
    code = _FAULT_OF_OURS
    try:
        os.setsid()
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        if fault.kind == "file_limit":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            _limit_files(int(fault.amount))
        if fault.kind == "clock":
            _jump_clock(fault)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _limit_files(limit: int) -> int:
    """Let files grow to so many bytes; the limit before."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    return before


def _jump_clock(fault: Fault) -> None:
    real, jumps_at = time.time, time.monotonic() + fault.after

    def moved() -> float:
        return real() + (fault.amount if time.monotonic() >= jumps_at else 0.0)

    time.time = moved


def spawned(arguments: Sequence[str]) -> Callable[[], int]:
    """The same in a freshly started interpreter."""

    def work() -> int:
        os.execv(sys.executable, [sys.executable, "-m", "curate.cli.main", *arguments])

    return work


def step_command(step: str, root: Path, sources: Path, number: int) -> list[str]:
    """The arguments of `curate` for a step; an ingest gets new pictures, an import new labels.

    Args:
        step: One of `STEPS`, but review.
        root: Of the project.
        sources: Where new pictures and label files go.
        number: Of the round: other rounds have other pictures and labels.
    """
    if step == "ingest":
        folder = sources / f"{number:05d}"
        if not folder.exists():
            folder.mkdir(parents=True)
            chance = random.Random(number)
            for name in range(3):
                image = Image.effect_noise((320, 240), 60).convert("RGB")
                image.putpixel((0, 0), (number % 256, number // 256 % 256, chance.randrange(256)))
                image.save(folder / f"r{number:05d}_{name}.png")
        return ["ingest", str(folder), "--project", str(root)]
    if step == "import":
        return import_arguments(root, sources, number)
    if step == "version":
        return ["version", "create", "--note", f"round {number}", "--project", str(root)]
    if step == "training":
        return ["train", _newest_version(root), "--seed", str(number), "--project", str(root)]
    return ["scan", "--project", str(root)]


def _newest_version(root: Path) -> str:
    project = Project.open(root)
    with project.store as store:
        return store.versions()[-1].id


def review_until_told(root: Path, desk: Path, number: int, seed: int, decisions: int) -> Callable[[], int]:
    """A reviewer at work, with an outbox as a browser has one.

    Each decision is written into the outbox, saved, then told: from there on it is acknowledged. A reviewer who begins
    again delivers the last one of the outbox once more, as it is, whether it was saved or not.

    Args:
        root: Of the project.
        desk: Folder for what was sent and what was told, two files a round, as small as the limits on files need.
        number: Of the round: names the browser and its decisions.
        seed: For what is decided.
        decisions: The outbox ends with this number.
    """

    def work() -> int:
        chance = random.Random(seed)
        project = Project.open(root)
        desk.mkdir(exist_ok=True)
        waiting = _sent(desk / f"{number}.sent")[-1:]
        first = int(waiting[0].id.partition("-")[2]) if waiting else 1
        try:
            with (
                project.store as store,
                _appending(desk / f"{number}.sent") as send,
                _appending(desk / f"{number}.told") as tell,
            ):
                for count in range(first, decisions + 1):
                    if waiting:
                        decision = waiting.pop()
                    else:
                        decision = _some_decision(project, chance, f"{number}-{count}")
                        send(json.dumps(decision_to_dict(decision)))
                    try:
                        decide(store, decision, client_id=f"tab-{number}", sequence=count)
                    except (ConflictError, NotFoundError):
                        continue  # Nothing to undo, or the label is gone: refused, and said to be.
                    tell(decision.id)
        except CurateError as error:
            sys.stdout.write(f"error: {error}\n")
            return 1
        return 0

    return work


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[Callable[[str], object]]:
    """Writes lines at the end of a file, each in one piece; a browser's outbox knows nothing of the server's limits."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(line: str) -> None:
        limit = _limit_files(resource.RLIM_INFINITY)
        os.write(handle, f"{line}\n".encode())
        _limit_files(limit)

    try:
        yield write
    finally:
        os.close(handle)


def _lines(path: Path) -> list[str]:
    """Half a line at the end was never written."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _sent(path: Path) -> list[Decision]:
    return [decision_from_dict(json.loads(line), path.name) for line in _lines(path)]


def sent_by(desk: Path) -> list[Decision]:
    """All decisions that reviewers sent."""
    return [decision for path in sorted(desk.glob("*.sent")) for decision in _sent(path)]


def told_by(desk: Path) -> list[str]:
    """Ids of the decisions that were acknowledged."""
    return [line for path in sorted(desk.glob("*.told")) for line in _lines(path)]


def _some_decision(project: Project, chance: random.Random, name: str) -> Decision:
    store = project.store
    kind = chance.choice(("edit", "edit", "relabel", "keep", "add", "undo"))
    if kind == "keep":
        page = store.issues((IssueState.OPEN,), limit=30).issues
        if page:
            return Decision(name, DecisionKind.KEEP, "ann", issue_id=chance.choice(page).id)
        kind = "edit"
    if kind == "undo":
        return Decision(name, DecisionKind.UNDO, "ann")
    label = chance.choice(store.annotations(source=project.config.labels.working))
    if kind == "relabel":
        other = chance.choice(project.config.classes)
        return Decision(name, DecisionKind.RELABEL, "ann", annotation_id=label.id, label=other)
    x, y = chance.uniform(0, 200), chance.uniform(0, 150)
    box = (x, y, x + chance.uniform(10, 60), y + chance.uniform(10, 60))
    if kind == "add" and chance.random() < 0.3:
        return Decision(name, DecisionKind.ADD, "ann", frame_id=label.frame_id, label="person", bbox_xyxy=box)
    return Decision(name, DecisionKind.EDIT, "ann", annotation_id=label.id, bbox_xyxy=box)


def corrupt(path: Path, chance: random.Random) -> str:
    """Damage a file: bytes turned, the end cut off, or nothing left of it; says which."""
    data = bytearray(path.read_bytes())
    how = chance.choice(("turned", "cut", "emptied"))
    if how == "turned" and data:
        for _ in range(chance.randint(1, 64)):
            data[chance.randrange(len(data))] ^= chance.randint(1, 255)
    elif how == "cut":
        del data[chance.randrange(max(1, len(data))) :]
    else:
        data.clear()
    path.write_bytes(bytes(data))
    return how


def cut_connections(url: str) -> None:
    """Make the PostgreSQL server end every other connection to this database."""
    import sqlalchemy as sa

    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def answer(value: Any) -> int:
    """Print a value as JSON, for the process that waits."""
    sys.stdout.write(json.dumps(value))
    return 0
