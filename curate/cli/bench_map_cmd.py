"""`curate bench map`: how fluid the embedding map is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, emit_json, example, progress_bar

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("map", epilog=example("curate bench map --points 100000"))(bench_map)


def bench_map(
    points: Annotated[int, typer.Option(min=10, max=5_000_000, help="Labels on the map.")] = 100_000,
    folder: Annotated[
        Path | None, typer.Option(help="Keeps the project that is measured on; default: a temporary folder.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """The embedding map with many points, in Chromium: opening, dragging, colouring, choosing."""
    from curate.bench.maps import bench_map as measure

    with tempfile.TemporaryDirectory() as temporary, progress_bar() as reporter:
        result = measure(folder or Path(temporary) / "map", points=points, reporter=reporter)
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, result.figures)
    else:
        emit_json(result.figures)
