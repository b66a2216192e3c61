"""`curate app`: the web app."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, example, open_project
from curate.errors import ConfigError
from curate.workflows.app_server import server_command
from curate.workflows.people import is_loopback

__all__ = ["register", "serve"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("app", epilog=example("curate app my-junction", "curate app --port 8600"))(app_command)


def app_command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    address: Annotated[
        str, typer.Option(help="Address to bind to; on any but this machine's own everybody has to sign in.")
    ] = "127.0.0.1",
) -> None:
    """Open the project in the web app, by default on this machine only (127.0.0.1)."""
    opened = open_project(project)
    if not is_loopback(address) and not any(user.active for user in opened.store.users()):
        raise ConfigError(
            "other machines could reach it, and there is nobody who could sign in",
            item="--address",
            hint="`curate users add NAME --role owner` first",
        )
    serve(opened.root, port=port, browser=browser, address=address)


def serve(root: Path, *, port: int, browser: bool, address: str = "127.0.0.1") -> None:
    """Replace this process by the app's server.

    Raises:
        ProjectError: The app is not installed.
    """
    arguments = server_command(port, browser=browser, address=address)
    console.print(f"serving {root} on http://{address}:{port} (stop with Ctrl+C)", markup=False)
    environment = {**os.environ, "CROSSGUARD_PROJECT": str(root)}
    os.execve(arguments[0], arguments, environment)
