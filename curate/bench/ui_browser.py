"""A server of the app and a real Chromium in front of it, for what is measured there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.errors import ProjectError
from curate.workflows.app_server import server_command
from curate.workflows.project import Project

__all__ = ["browser_page", "served"]

_START_SECONDS = 120
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_RECORDER = """
(() => {
  const log = (window.benchLog = { keys: [], items: [], clicks: [], masks: [] });
  const lists = { "crossguard-item": log.items, "crossguard-mask": log.masks };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.name === "keydown") log.keys.push([entry.startTime, entry.duration]);
    }
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
  window.addEventListener("pointerup", (event) => (log.released = event.timeStamp), true);
  window.addEventListener("click", (event) => log.clicks.push(event.timeStamp), true);
  const mark = performance.mark.bind(performance);
  performance.mark = (name, options) => {
    if (lists[name]) {
      const at = performance.now();
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => lists[name].push([options.detail, at, performance.now()]);
        channel.port2.postMessage(0);
      });
    }
    return mark(name, options);
  };
})();
"""


@contextmanager
def served(project: Project) -> Iterator[str]:
    """The app's server on a free port, as users start it; gives its address.

    Raises:
        ProjectError: It does not start.
    """
    project.store.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = project.logs_dir / "bench-server.log"
    environment = {**os.environ, "CROSSGUARD_PROJECT": str(project.root), "CROSSGUARD_REVIEWER": "bench"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            server_command(port, browser=False), env=environment, stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url, log)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise ProjectError("the app's server did not start", file=log, hint="its output says why")


@contextmanager
def browser_page(width: int = 1280, height: int = 900) -> Iterator[Any]:
    """A page of a fresh profile in the distribution's Chromium, with the recorder of keys and pictures in it.

    Raises:
        ProjectError: Playwright or Chromium is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ProjectError("playwright is not installed", hint='pip install "crossguard[dev]"') from error
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next((found for name in names if (found := shutil.which(name))), None)
    if chromium is None:
        raise ProjectError("no chromium on the PATH", hint="bash tests/install_system.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(_RECORDER)
        try:
            yield page
        finally:
            context.close()
            browser.close()
