"""A small project with drawn frames, labels with known errors and a queue; a server for it; a browser."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image, ImageDraw

from curate.annotations import Annotation, Issue, IssueType, Proposal, ProposalKind
from curate.config import parse_site
from curate.geometry.shapes import Polygon
from curate.workflows.gold import create_gold, freeze_gold
from curate.workflows.ingest import ingest
from curate.workflows.project import Project

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
FRAMES = 24
SIZE = (320, 240)
SITE = """\
site: test site
classes: [person, bicycle, "van & co"]
split: {block_seconds: 2, gap_seconds: 0, folds: 2, gold_share: 0.25}
model: {input_size: 160}
train: {steps: 2, fold_steps: 2, batch_size: 2, device: cpu}
evaluation: {resamples: 100}
slices:
  - {name: left half, region: [[0, 0], [160, 0], [160, 240], [0, 240]]}
  - {name: tall, min_height: 85}
"""


def people(index: int) -> list[tuple[float, float, float, float]]:
    """Where the two walkers are on a frame."""
    left = 20 + 9 * index
    right = 270 - 8 * index
    return [(left, 80, left + 28, 160), (right, 110, right + 30, 200)]


def draw(path: Path, index: int) -> None:
    rng = np.random.default_rng(index)
    ground = np.full((SIZE[1], SIZE[0], 3), (96, 104, 92), np.uint8)
    ground[:] = np.clip(ground + rng.integers(-6, 7, ground.shape), 0, 255)
    image = Image.fromarray(ground)
    pen = ImageDraw.Draw(image)
    for x1, y1, x2, y2 in people(index):
        pen.ellipse((x1 + 8, y1, x2 - 8, y1 + 16), fill=(196, 160, 138))
        pen.rectangle((x1, y1 + 16, x2, y2 - 30), fill=(40, 44, 70))
        pen.rectangle((x1 + 4, y2 - 30, x2 - 4, y2), fill=(30, 30, 34))
    image.save(path, quality=95)


@dataclass(frozen=True)
class Sample:
    """The project and what was put into it."""

    project: Project
    issues: list[Issue]


def fill(project: Project, images: Path) -> list[Issue]:
    images.mkdir()
    for index in range(FRAMES):
        draw(images / f"frame_{index:03d}.jpg", index)
    project.store.set_site(project.config.classes, project.config.labels.working)
    ingest(project, [images])
    frames = sorted(project.store.frames(), key=lambda frame: frame.name)
    labels = [
        Annotation(f"{source}-{index}-{which}", frame.id, "person", box, source=source)
        for source in ("cheap", "gold")
        for index, frame in enumerate(frames)
        for which, box in enumerate(people(index))
    ]
    x1, y1, x2, y2 = people(8)[0]
    outline = Polygon(((x1, y1), (x2, y1), (x2, y2), (x1, y2)))
    labels.append(
        Annotation("cheap-8-mask", frames[8].id, "bicycle", (x1, y1, x2, y2), mask=(outline,), source="cheap")
    )
    project.store.add_annotations(labels, "import")
    create_gold(project, frame_ids=[frame.id for frame in frames[-6:]])
    freeze_gold(project)
    issues = make_issues(frames)
    project.store.upsert_issues(issues)
    return issues


def make_issues(frames: list) -> list[Issue]:
    """A queue in a known order: severity falls."""
    gap = (140.0, 40.0, 170.0, 90.0)
    better = (people(1)[0][0], 78.0, people(1)[0][2] + 2, 162.0)
    rows = [
        (IssueType.MISSING, 0, None, Proposal(ProposalKind.ADD, "person", gap), gap),
        (IssueType.BAD_LOCATION, 1, "cheap-1-0", Proposal(ProposalKind.EDIT, None, better), people(1)[0]),
        (IssueType.OUTLIER, 2, "cheap-2-0", Proposal(ProposalKind.NONE), people(2)[0]),
        (IssueType.SPURIOUS, 3, "cheap-3-1", Proposal(ProposalKind.DELETE_LABEL), people(3)[1]),
        (IssueType.BAD_FRAME, 4, None, Proposal(ProposalKind.EXCLUDE_FRAME), None),
        (IssueType.WRONG_CLASS, 5, "cheap-5-0", Proposal(ProposalKind.RELABEL, "bicycle"), people(5)[0]),
        *(
            (
                IssueType.SPURIOUS,
                index,
                f"cheap-{index}-1",
                Proposal(ProposalKind.DELETE_LABEL),
                people(index)[1],
            )
            for index in (9, 10, 11)
        ),
        (IssueType.WRONG_CLASS, 6, "cheap-6-0", Proposal(ProposalKind.RELABEL, "bicycle"), people(6)[0]),
    ]
    return [
        Issue(
            id=f"{place:032x}",
            type=kind,
            frame_id=frames[index].id,
            annotation_id=label,
            bbox_xyxy=box,
            label="person",
            severity=0.95 - 0.05 * place,
            probability=0.9 - 0.05 * place,
            explanation=f"<i>Planted</i> error number {place}.",
            evidence={"planted": float(place)},
            proposal=proposal,
            group_id="standing" if index in (9, 10, 11) else None,
        )
        for place, (kind, index, label, proposal, box) in enumerate(rows)
    ]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("app") / "site"
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    project = Project(folder, parse_site(SITE))
    issues = fill(project, folder.parent / "images")
    project.store.close()
    return Sample(Project(folder, project.config), issues)


def copy_of(template: Sample, folder: Path) -> Sample:
    template.project.store.close()
    shutil.copytree(template.project.root, folder)
    return Sample(Project.open(folder), template.issues)


@pytest.fixture
def sample(template: Sample, tmp_path: Path) -> Iterator[Sample]:
    """A copy of its own for each test."""
    copy = copy_of(template, tmp_path / "site")
    yield copy
    copy.project.store.close()


@pytest.fixture(scope="module")
def shared_sample(template: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """One copy for all tests of a module, in the order they stand there."""
    copy = copy_of(template, tmp_path_factory.mktemp("shared") / "site")
    yield copy
    copy.project.store.close()


@pytest.fixture
def get(sample, monkeypatch):
    """Asks the app's own routes, without a server: status, headers and body of an address."""
    from starlette.applications import Starlette

    from crossguard_app.routes import app_routes

    monkeypatch.setenv("CROSSGUARD_PROJECT", str(sample.project.root))
    application = Starlette(routes=app_routes())

    def fetch(address: str) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(address)
        scope = {
            "type": "http",
            "method": "GET",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [],
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
        }
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message) -> None:
            sent.append(dict(message))

        # In a thread of its own: a browser test before this one leaves a running loop in the main thread.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(application(scope, receive, send))).result()
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])

    return fetch


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


@pytest.fixture(scope="session")
def server_of():
    """A server for another project: `with server_of(root, log) as server`."""
    return running_server


@pytest.fixture(scope="session", name="opened_page")
def opened_page_fixture():
    """A fresh page of a browser: `with opened_page(chromium) as page`."""
    return opened_page


@pytest.fixture
def server(sample: Sample, tmp_path: Path) -> Iterator[Server]:
    running = Server(sample.project.root, tmp_path / "server.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared_server(shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module."""
    running = Server(shared_sample.project.root, tmp_path_factory.mktemp("log") / "server.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def editor_page() -> type:
    """The class that drives the editor (the folder of tests is no package)."""
    spec = importlib.util.spec_from_file_location(
        "crossguard_editor_page", Path(__file__).with_name("editor_page.py")
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.EditorPage


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no chromium found on the PATH")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, server: Server) -> Iterator[object]:
    with opened_page(chromium) as opened:
        yield opened


@pytest.fixture
def shared_page(chromium, shared_server: Server) -> Iterator[object]:
    """A fresh page before the module's server."""
    with opened_page(chromium) as opened:
        yield opened


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


@pytest.fixture(scope="session")
def editor_site(template: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One project for all tests of the editor's actions, each on frames of its own; with labels of another source."""
    template.project.store.close()
    root = tmp_path_factory.mktemp("actions") / "site"
    shutil.copytree(template.project.root, root)
    project = Project.open(root)
    frames = sorted(project.store.frames(), key=lambda frame: frame.name)
    project.store.add_annotations(
        [
            Annotation(f"other-{index}-{n}", frames[index].id, "bicycle", box, source="other", score=score)
            for index in (14, 15)
            for n, (box, score) in enumerate(
                [((200, 10, 230, 40), 0.9), ((240, 10, 270, 40), 0.6), ((280, 10, 310, 40), 0.2)]
            )
        ],
        "other",
    )
    yield project
    project.store.close()


@pytest.fixture(scope="session")
def editor_server(editor_site: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(editor_site.root, tmp_path_factory.mktemp("log") / "server.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def editor(chromium, editor_server: Server, editor_site: Project, editor_page):
    context = chromium.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield editor_page(page, editor_server.url, editor_site.store)
    context.close()
    assert not problems, problems
