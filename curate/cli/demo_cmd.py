"""`curate demo`: the whole loop on the sample data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.app_cmd import serve
from curate.cli.common import console, example, progress_bar

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example("curate demo", "curate demo --folder /tmp/demo --no-app"))(demo)


def demo(
    folder: Annotated[Path, typer.Option(help="Folder to make the demo project in; replaced.")] = Path(
        "demo-site"
    ),
    sample: Annotated[
        Path | None, typer.Option(help="Folder of the sample data; default: sample_data of the source tree.")
    ] = None,
    app: Annotated[bool, typer.Option(help="Open the app on it at the end, on a terminal.")] = True,
) -> None:
    """Run the loop once: cheap labels, scan, review of a fifth, retrain, compare; writes report.md and report.json."""
    from curate.workflows.demo import run_demo

    with progress_bar() as reporter:
        report = run_demo(folder, sample=sample, reporter=reporter)
    console.print(report.read_text("utf-8"), markup=False, soft_wrap=True)
    console.print(f"report: {report}", markup=False)
    if app and sys.stdin.isatty():
        serve(folder.absolute(), port=8501, browser=True)
