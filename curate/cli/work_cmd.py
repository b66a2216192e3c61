"""`curate work`: what a worker process runs. Not for people, so it is not listed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import ProjectOption, example, open_project

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(hidden=True, epilog=example("curate work 1f0c..."))(work)


def work(
    job: Annotated[str, typer.Argument(help="Id of a queued job.")], project: ProjectOption = Path()
) -> None:
    """Do a queued job and write down how it ended."""
    from curate.workflows.jobs import run_job

    run_job(open_project(project), job)
