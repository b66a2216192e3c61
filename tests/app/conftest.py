"""Fixtures of the app's tests: a small project, a server for it, a browser."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from curate.annotations import Annotation
from curate.workflows.project import Project


def _module(name: str) -> ModuleType:
    """A module beside this one: the folder of tests is no package."""
    spec = importlib.util.spec_from_file_location(
        f"crossguard_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_site, _app = _module("sample_site"), _module("app_server")
Sample, make_sample, copy_of = _site.Sample, _site.make_sample, _site.copy_of
Server, running_server, opened_page = _app.Server, _app.running_server, _app.opened_page


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("app") / "site")


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
def tab_to() -> Callable[[Any, str], None]:
    """Opens a page of the navigation by keyboard alone, from the beginning of the document."""

    def walk(page: Any, name: str) -> None:
        page.get_by_role("link", name=name).wait_for()
        for _ in range(20):
            page.keyboard.press("Tab")
            if name in page.evaluate("document.activeElement.innerText ?? ''"):
                break
        page.keyboard.press("Enter")

    return walk


@pytest.fixture(scope="session")
def editor_page() -> type:
    """The class that drives the editor (the folder of tests is no package)."""
    return _module("editor_page").EditorPage


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    if _app.CHROMIUM is None:
        pytest.skip("no chromium found on the PATH")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_app.CHROMIUM, args=_app.CHROMIUM_ARGUMENTS)
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
    with opened_page(chromium) as page:
        yield editor_page(page, editor_server.url, editor_site.store)
