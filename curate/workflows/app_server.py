"""The command line of the app's server: the same for `curate app` and for what measures it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from curate.errors import ProjectError

__all__ = ["server_command"]


def server_command(port: int, *, browser: bool, address: str = "127.0.0.1") -> list[str]:
    """Arguments of the process that serves the app; CROSSGUARD_PROJECT names its project.

    Args:
        port: To listen on.
        browser: Whether to open a browser window.
        address: To bind to; on any but this machine's own the app asks everybody to sign in.

    Raises:
        ProjectError: The app is not installed.
    """
    spec = importlib.util.find_spec("crossguard_app")
    if spec is None or spec.origin is None:
        raise ProjectError("the web app is not installed", hint="pip install crossguard")
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(Path(spec.origin).parent / "main.py"),
        f"--server.address={address}",
        f"--server.port={port}",
        f"--server.headless={'false' if browser else 'true'}",
        "--browser.gatherUsageStats=false",
        # Without this a new user's first start waits at the terminal for an email address and serves nothing.
        "--server.showEmailPrompt=false",
        # Where a coding assistant is installed, the framework would else offer it a guide, over the queue's evidence.
        "--logger.hideWelcomeMessage=true",
        "--runner.postScriptGC=false",
        "--server.fileWatcherType=none",
    ]
