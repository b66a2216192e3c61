"""`curate ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import (
    JsonOption,
    ProjectOption,
    console,
    emit_json,
    example,
    open_project,
    progress_bar,
)
from curate.workflows.ingest import ingest as ingest_sources

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example("curate ingest morning.mp4", "curate ingest 'snapshots/**/*.jpg'"))(ingest)


def ingest(
    sources: Annotated[list[str], typer.Argument(help="Videos, images, folders or glob patterns.")],
    camera: Annotated[str | None, typer.Option(help="Name of the camera; default from site.yaml.")] = None,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Take frames from recordings. Idempotent; broken files are put aside with their reason."""
    opened = open_project(project)
    with progress_bar() as reporter:
        report = ingest_sources(opened, sources, camera=camera, reporter=reporter)
    if as_json:
        emit_json(report)
        return
    console.print(f"{report.added} new frames, {report.known} known already", markup=False)
    if report.blurred:
        what = opened.config.privacy.blur.replace("_", " ")
        console.print(
            f"{report.blurred} pictures blurred before they were stored ({what}): {report.regions} places; "
            "whom the detector does not see stays clear",
            markup=False,
        )
    if report.clear:
        console.print(
            f"{report.clear} known frames are stored clear: they came in before privacy.blur was set "
            "(`curate purge` erases them)",
            markup=False,
            style="yellow",
        )
    for source, item, reason in report.rejected:
        where = ", ".join(part for part in (source, item) if part)
        console.print(f"put aside: {where}: {reason}", markup=False, style="yellow")
