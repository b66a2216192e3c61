"""How the database and what stands on it grow with the number of frames: seconds, memory, slope."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.bench.store_calls import CALLS
from curate.bench.store_fill_postgres import make_schema
from curate.errors import ConfigError, DataError
from curate.files import read_json, write_json
from curate.workflows.progress import Reporter

__all__ = ["INTERACTIVE_SECONDS", "StoreBench", "StoreRow", "bench_store"]

INTERACTIVE_SECONDS = 0.3
"""What a person may wait for a page or a decision, at any size."""
_MEMORY_MB = 4096
_NEEDED = {"fill", "ingest_rows", "import", "scan_result"}
"""What the other calls work on."""


@dataclass(frozen=True)
class StoreRow:
    """One measurement.

    Attributes:
        call: What was done; see `curate.bench.store_calls`.
        frames: In the database.
        seconds: Of the whole call; of an interactive one the 95th percentile of its repetitions.
        cpu_seconds: Of the process, for the whole call: what `seconds` would be on a machine that does nothing else,
            less the waiting for the disk.
        peak_mb: Largest resident memory of the process that did it and nothing else, in 2^20 bytes.
        interactive: Whether a person waits for it.
    """

    call: str
    frames: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    interactive: bool


@dataclass(frozen=True)
class StoreBench:
    """The measurements and the table for docs/benchmarks.md."""

    rows: tuple[StoreRow, ...]
    markdown: str


def bench_store(
    sizes: Sequence[int],
    folder: Path,
    *,
    reporter: Reporter,
    budget: float = math.inf,
    database: str | None = None,
    skip: Set[str] = frozenset(),
) -> StoreBench:
    """Build a project of each size in `folder` and measure every call on it, each in a process of its own.

    What was measured before (in folder/rows.json) is not measured again, and a database that was filled in part
    is filled on: a long run can be done in pieces.

    Args:
        sizes: Numbers of frames, each with ten labels and one issue.
        folder: Holds one project for each size (about 9 KB a frame), and the measurements.
        reporter: Told how far it is.
        budget: Begin nothing new after so many seconds.
        database: URL of a PostgreSQL database of a superuser, in which each size gets a schema; None: SQLite.
        skip: Calls to leave out; those that others build on take most of the time.

    Raises:
        ConfigError: There is no such call to leave out.
        DataError: A call failed.
        StoreError: The database cannot be reached.
    """
    optional = [name for name in CALLS if name not in _NEEDED]
    for name in sorted(skip - set(optional)):
        raise ConfigError(
            f"{name!r} is no call that can be left out", item="--skip", hint=", ".join(optional)
        )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.json"
    rows = [StoreRow(**row) for row in read_json(file)] if file.exists() else []
    ends = time.monotonic() + budget
    calls = [
        name
        for name, call in CALLS.items()
        if name not in skip and (database is None or not call.own_project)
    ]
    jobs = [(size, name) for size in sorted(sizes) for name in calls if size <= CALLS[name].largest]
    for number, (size, name) in enumerate(jobs):
        if any((row.frames, row.call) == (size, name) for row in rows):
            continue
        if time.monotonic() > ends:
            break
        reporter.update(number / len(jobs), f"{name}, {size:,} frames")
        url = None if database is None else make_schema(database, f"bench_{size}")
        figures = _measure(folder / str(size), size, name, ends, url)
        if figures is None:
            break  # Filled in part: the next run goes on.
        rows.append(StoreRow(name, size, interactive=CALLS[name].interactive, **figures))
        write_json(file, [asdict(row) for row in rows])
    reporter.update(1.0, "done")
    wanted = tuple(row for row in rows if row.frames in sizes)
    return StoreBench(wanted, _markdown(wanted))


def _measure(folder: Path, size: int, name: str, ends: float, url: str | None) -> dict[str, Any] | None:
    left = ends - time.monotonic()
    arguments = [str(folder), str(size), name, f"{min(left, 1e9):.0f}"]
    done = subprocess.run(
        [sys.executable, "-m", "curate.bench.store_calls", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ if url is None else {**os.environ, "CROSSGUARD_DB": url},
    )
    if done.returncode:
        raise DataError(f"the call failed: {done.stderr.strip()[-2000:]}", item=f"{name}, {size} frames")
    figures: dict[str, Any] | None = json.loads(done.stdout)
    return figures


def _markdown(rows: Sequence[StoreRow]) -> str:
    """One line a call: seconds and peak memory at each size, and how the time grows from the two largest."""
    sizes = sorted({row.frames for row in rows})
    lines = [
        "| call | " + " | ".join(f"{size:,} frames" for size in sizes) + " | grows as | within the goal |",
        "|---|" + "---|" * (len(sizes) + 2),
    ]
    for name in CALLS:
        of = {row.frames: row for row in rows if row.call == name}
        if not of:
            continue
        cells = [_cell(of[size]) if size in of else "" for size in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {_slope(of)} | {_verdict(of)} |")
    return "\n".join(lines)


def _cell(row: StoreRow) -> str:
    if row.interactive:
        return f"{row.seconds * 1000:.0f} ms, {row.peak_mb:.0f} MB"
    return f"{row.seconds:.3g} s ({row.cpu_seconds:.3g} s CPU), {row.peak_mb:.0f} MB"


def _slope(of: dict[int, StoreRow]) -> str:
    """The exponent: 1 is linear, 0 does not grow."""
    if len(of) < 2:
        return ""
    low, high = sorted(of)[-2:]
    seconds = [of[size].seconds if of[size].interactive else of[size].cpu_seconds for size in (low, high)]
    ratio = max(seconds[1], 1e-6) / max(seconds[0], 1e-6)
    return f"n^{math.log(ratio) / math.log(high / low):.2f}"


def _verdict(of: dict[int, StoreRow]) -> str:
    slow = any(row.interactive and row.seconds > INTERACTIVE_SECONDS for row in of.values())
    large = any(row.peak_mb > _MEMORY_MB for row in of.values())
    return ", ".join(["too slow"] * slow + ["too large"] * large) or "yes"
