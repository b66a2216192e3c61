"""One server and one site for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from curate.workflows.maps import lay_out_maps
from curate.workflows.project import Project
from tests.app.app_server import Server
from tests.app.pages_site import add_plate, add_runs, embed
from tests.app.sample_site import Sample
from tests.app.test_scene_page import add_evidence


@pytest.fixture(scope="module")
def site(template: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    template.project.store.close()
    root = tmp_path_factory.mktemp("pages") / "site"
    shutil.copytree(template.project.root, root)
    project = Project.open(root)
    embed(project)
    lay_out_maps(project)
    add_plate(project)
    add_evidence(project)
    add_runs(project)
    yield project
    project.store.close()


@pytest.fixture(scope="module")
def app(site: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(site.root, tmp_path_factory.mktemp("log") / "server.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def browser_page(chromium, app: Server) -> Iterator[object]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert not problems, problems
