"""`curate bench ui`: how fast the app is in a real browser."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, emit_json, example, progress_bar

__all__ = ["register"]


def register(bench: typer.Typer) -> None:
    """Add the command to `curate bench`."""
    bench.command(epilog=example("curate bench ui --json ui.json", "curate bench ui --queue 1000"))(ui)


def ui(
    queue: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Length of a queue; may be given again. [1000 100000 1000000]"),
    ] = None,
    decisions: Annotated[int, typer.Option(min=20, help="Decisions of each scripted reviewer.")] = 120,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep the projects that are measured on here, and use them again the next time."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Next frame, dragging, first page and pace, in Chromium. A million issues take some minutes to fill in."""
    from curate.bench.ui import QUEUES, bench_ui

    with tempfile.TemporaryDirectory(prefix="crossguard-bench-") as fallback, progress_bar() as reporter:
        result = bench_ui(
            folder or Path(fallback), queues=queue or QUEUES, decisions=decisions, reporter=reporter
        )
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, result.figures)
    else:
        emit_json(result.figures)
