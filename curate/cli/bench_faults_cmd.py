"""`curate bench faults`: break a project many times and look what is lost."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, emit_json, example, progress_bar
from curate.errors import StoreError

__all__ = ["register"]


def register(bench: typer.Typer) -> None:
    """Add the command."""
    bench.command(epilog=example("curate bench faults --faults 500 --seed 1"))(faults)


def faults(
    faults: Annotated[int, typer.Option(min=1, help="Rounds in all; what the ledger has counts.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Decides steps, faults and moments.")] = 1,
    folder: Annotated[Path, typer.Option(help="Ledger and project; a second run goes on.")] = Path(
        "bench-faults"
    ),
    postgres: Annotated[
        str | None, typer.Option(help="URL of an empty PostgreSQL database to use instead of SQLite.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Begin no round after so long.")] = None,
    spawn: Annotated[bool, typer.Option(help="A new interpreter for each command: slower.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Kill, fill the disk, cut the connection, damage files, move the clock; exit code 1 if anything was lost."""
    from curate.bench.faults import bench_faults

    stops = None if minutes is None else time.monotonic() + minutes * 60
    with progress_bar() as reporter:
        result = bench_faults(
            folder,
            faults=faults,
            seed=seed,
            reporter=reporter,
            postgres=postgres,
            command=None if spawn else _prepared(),
            ends=lambda: stops is not None and time.monotonic() > stops,
        )
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, asdict(result))
    else:
        emit_json(asdict(result))
    if not result.good:
        raise StoreError("something was lost, broken or unclear; the ledger says where", file=folder)


def _prepared() -> Callable[[Sequence[str]], int]:
    """The command line as a function, with everything loaded that a step needs."""
    import curate.workflows.retrain
    import curate.workflows.scan  # noqa: F401
    from curate.cli.main import run

    def command(arguments: Sequence[str]) -> int:
        sys.argv = ["curate", *arguments]
        try:
            run()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return command
