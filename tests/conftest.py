"""What tests of several parts share: one thread for small networks, and an S3 server of our own on loopback."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Networks as small as those of the tests only lose by a second thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class S3Server:
    """moto's S3 server: real requests over a real connection; it forgets everything when it stops."""

    log: Path
    port: int = 0
    process: subprocess.Popen | None = None
    buckets: int = field(default=0)

    def start(self) -> None:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(self.log.read_text())

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def options(self) -> dict[str, str]:
        return {"endpoint_url": f"http://127.0.0.1:{self.port}", "key": "reader", "secret": "s3cret-key"}

    def files(self):
        """A file system beside the program's own: sees what is there, and changes it."""
        import fsspec

        return fsspec.filesystem("s3", use_listings_cache=False, **self.options)

    def bucket(self) -> str:
        """A new bucket's URL with a prefix."""
        self.buckets += 1
        name = f"junction-{self.buckets}"
        self.files().mkdir(name)
        return f"s3://{name}/site/frames"

    def declare(self, root: Path, url: str, more: str = "") -> None:
        """Let the project in `root` keep its frames there."""
        site = root / "site.yaml"
        text = site.read_text()
        text = text if "frames: {" in text else f"{text}frames: {{}}\n"
        site.write_text(text.replace("frames: {", f'frames: {{url: "{url}", {more}'))
        access = root / ".crossguard" / "frames-access.json"
        access.parent.mkdir(exist_ok=True)
        access.touch(0o600)
        access.write_text(json.dumps(self.options))


def start_s3(folder: Path) -> S3Server:
    for name in ("moto", "flask", "s3fs"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed (pip install -e '.[dev]')")
    server = S3Server(folder / "s3.log")
    server.start()
    return server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """For tests that leave it running."""
    server = start_s3(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def s3_of_its_own(tmp_path: Path) -> Iterator[S3Server]:
    """For tests that stop it."""
    server = start_s3(tmp_path)
    yield server
    server.stop()
