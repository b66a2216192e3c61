"""`curate app` as a new user starts it: nothing is asked at the terminal, and the page answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from curate.workflows.project import Project


@pytest.mark.slow
def test_first_start_asks_nothing(tmp_path: Path) -> None:
    Project.create(tmp_path / "site", ["person"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A home without any settings, and a browser that does nothing: the state of a fresh account.
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "BROWSER": "true"}
    log = tmp_path / "log"
    command = [sys.executable, "-m", "curate.cli.main", "app", str(tmp_path / "site"), "--port", str(port)]
    with log.open("wb") as out:
        # No input at all would end the question by itself: a pipe that stays open is a terminal that waits.
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        assert _answers(port, process), log.read_text(errors="replace")[-2000:]
        assert "email" not in log.read_text(errors="replace").lower()
    finally:
        process.terminate()
        process.wait(30)
        if process.stdin is not None:
            process.stdin.close()


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    for _ in range(400):
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.2)
    return False
