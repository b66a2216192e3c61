"""`curate bench store`: how the database grows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, emit_json, example, progress_bar
from curate.errors import ConfigError

__all__ = ["register"]


def register(bench: typer.Typer) -> None:
    """Add the command."""
    bench.command(epilog=example("curate bench store --sizes 1000,100000 --json store.json"))(store)


def store(
    sizes: Annotated[
        str, typer.Option(help="Numbers of frames; each has ten labels.")
    ] = "1000,100000,1000000",
    folder: Annotated[
        Path,
        typer.Option(help="Where the projects are made, about 9 KB a frame; used again when it is there."),
    ] = Path("bench-store"),
    postgres: Annotated[
        str | None,
        typer.Option(
            help="URL of a PostgreSQL database of a superuser to use instead of SQLite; each size gets a schema."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Begin nothing new after so long; the next run goes on.")
    ] = None,
    skip: Annotated[
        str, typer.Option(help="Calls to leave out, with commas between, such as import_all,export.")
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Ingest, import, queue, decisions, versions and export with a thousand to a million frames."""
    from curate.bench.store import bench_store

    try:
        numbers = [int(part) for part in sizes.split(",")]
    except ValueError as error:
        raise ConfigError(f"expected numbers with commas between, got {sizes!r}", item="--sizes") from error
    left_out = {part.strip() for part in skip.split(",")} - {""}
    budget = float("inf") if minutes is None else minutes * 60
    with progress_bar() as reporter:
        result = bench_store(
            numbers, folder, reporter=reporter, budget=budget, database=postgres, skip=left_out
        )
    console.print(result.markdown, markup=False, soft_wrap=True)
    rows = [asdict(row) for row in result.rows]
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, rows)
    else:
        emit_json(rows)
