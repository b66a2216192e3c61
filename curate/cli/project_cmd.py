"""`curate init` and `curate status`."""

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
    print_table,
)
from curate.workflows.project import SITE_FILE, Project

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=example("curate init my-junction --class person --class car"))(init)
    app.command(epilog=example("curate status -C my-junction"))(status)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new project; made when missing.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="A class to detect; repeat for more.", show_default="person, car"),
    ] = None,
    camera: Annotated[str, typer.Option(help="Name of the camera.")] = "camera-1",
) -> None:
    """Start a project: writes a commented site.yaml."""
    project = Project.create(folder, classes or ["person", "car"], camera=camera)
    console.print(f"wrote {project.root / SITE_FILE}", markup=False)
    console.print("next: curate ingest VIDEO_OR_FOLDER, from inside the project", markup=False)


def status(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Tell where the loop stands and what to do next."""
    from curate.workflows.status import project_status

    state = project_status(open_project(project))
    if as_json:
        emit_json(state)
        return
    rows: list[list[object]] = [
        ["frames", state.frames],
        ["of them excluded", state.excluded],
        ["gold frames", state.gold_frames],
        ["gold", state.gold_state],
        *([f"labels ({name})", count] for name, count in state.labels.items()),
        ["open issues", state.open_issues],
        ["decisions", state.decisions],
        ["versions", state.versions],
        ["runs", state.runs],
        ["quarantined items", state.quarantined],
    ]
    print_table(state.site, ["what", "count"], rows)
    if state.forecast:
        console.print(state.forecast, markup=False)
    console.print(f"next: {state.next_step}", markup=False)
