"""The app as users start it, and a browser before it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[2] / "app" / "crossguard_app" / "main.py"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Server:
    """The app's server as users start it, on a free port; it can be killed and started again."""

    def __init__(self, root: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._root = root
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"CROSSGUARD_PROJECT": str(self._root), "CROSSGUARD_REVIEWER": "tester"}
        environment["XDG_CONFIG_HOME"] = str(self._log.parent / "config")
        command = [sys.executable, "-m", "streamlit", "run", str(MAIN), "--server.address=127.0.0.1"]
        command += [
            f"--server.port={self.port}",
            "--server.headless=true",
            "--browser.gatherUsageStats=false",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        for _ in range(600):
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.2)
        pytest.fail(f"the server did not start:\n{self._log.read_text(errors='replace')[-2000:]}")

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None and self._process.poll() is None:
            if kill:
                self._process.kill()
            else:
                self._process.terminate()
            self._process.wait(30)


@contextmanager
def running_server(root: Path, log: Path) -> Iterator[Server]:
    running = Server(root, log)
    running.start()
    yield running
    running.stop()


@contextmanager
def opened_page(chromium) -> Iterator[object]:
    context = chromium.new_context(viewport={"width": 1360, "height": 860})
    opened = context.new_page()
    opened.set_default_timeout(90_000)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert not problems, problems
