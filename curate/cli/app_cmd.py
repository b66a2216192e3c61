"""`curate app`: the web app."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, example, open_project
from curate.workflows.app_server import server_command

__all__ = ["register", "serve"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("app", epilog=example("curate app my-junction", "curate app --port 8600"))(app_command)


def app_command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the project in the web app, on this machine only (127.0.0.1)."""
    serve(open_project(project).root, port=port, browser=browser)


def serve(root: Path, *, port: int, browser: bool) -> None:
    """Replace this process by the app's server.

    Raises:
        ProjectError: The app is not installed.
    """
    arguments = server_command(port, browser=browser)
    console.print(f"serving {root} on http://127.0.0.1:{port} (stop with Ctrl+C)", markup=False)
    environment = {**os.environ, "CROSSGUARD_PROJECT": str(root)}
    os.execve(arguments[0], arguments, environment)
