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
from tests.app.app_server import opened_page


@pytest.mark.slow
@pytest.mark.browser
def test_first_start_asks_nothing(tmp_path: Path, chromium) -> None:
    Project.create(tmp_path / "site", ["person"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A home without any settings, and a browser that does nothing: the state of a fresh account.
    home = tmp_path / "home"
    (home / ".claude").mkdir(
        parents=True
    )  # a coding assistant: the framework would offer it a guide on every page
    environment = os.environ | {"HOME": str(home), "BROWSER": "true"}
    log = tmp_path / "log"
    command = [sys.executable, "-m", "curate.cli.main", "app", str(tmp_path / "site"), "--port", str(port)]
    with log.open("wb") as out:
        # No input at all would end the question by itself: a pipe that stays open is a terminal that waits.
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        assert _answers(port, process), log.read_text(errors="replace")[-2000:]
        said = log.read_text(errors="replace")
        assert "email" not in said.lower()
        assert f"serving {tmp_path / 'site'} on http://127.0.0.1:{port}" in said.replace("\n", "")
        with opened_page(chromium) as page:
            page.goto(f"http://127.0.0.1:{port}")
            page.get_by_text("Overview").first.wait_for()
            page.wait_for_timeout(2500)
            assert page.get_by_test_id("stSkillsNudge").count() == 0
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
