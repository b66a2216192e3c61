"""Names and files that mean harm: shown as text, or refused in words; nothing of them ever runs in the browser."""

from __future__ import annotations

import uuid

import pytest
from PIL import Image

from curate.annotations import Annotation, Decision, DecisionKind, Issue, IssueType, Proposal, ProposalKind
from curate.config import parse_site
from curate.errors import ConfigError
from curate.review import decide
from curate.workflows.ingest import ingest
from curate.workflows.project import Project

IMAGE = '<img src=x onerror="window.hacked=1">'
FILE = "a'b\"c\n<b onclick=hacked>.jpg"
SITE = 'classes: [person, "quote \' \\" & co"]\nframes: {max_pixels: 40000000}\n'


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Project:
    """A project into which such names came by other ways than site.yaml, which refuses them."""
    folder = tmp_path_factory.mktemp("hostile") / "site"
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    images = folder.parent / IMAGE
    images.mkdir()
    Image.new("RGB", (320, 240), (90, 100, 90)).save(images / FILE)
    Image.new("RGB", (320, 240), (60, 90, 90)).save(images / "javascript:alert(1).jpg")
    (images / "drawing.jpg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'/>")
    Image.new("L", (10_000, 10_000)).save(images / "huge.jpg", quality=1)
    project = Project(folder, parse_site(SITE))
    store = project.store
    store.set_site(project.config.classes, project.config.labels.working)
    ingest(project, [images])
    first, second = sorted(store.frames(), key=lambda frame: frame.name)
    labels = [
        Annotation(f"{IMAGE}{number}", frame.id, IMAGE, (20, 20, 80, 120), source="cheap", track_id=IMAGE)
        for number, frame in enumerate((first, second))
    ]
    store.add_annotations(labels, IMAGE)
    store.upsert_issues(
        Issue(
            id=f"{IMAGE}{number}",
            type=IssueType.WRONG_CLASS,
            frame_id=label.frame_id,
            annotation_id=label.id,
            bbox_xyxy=label.bbox_xyxy,
            label=IMAGE,
            severity=0.9 - number / 10,
            probability=0.9,
            explanation=f"{IMAGE} says so.",
            evidence={IMAGE: 1.0},
            proposal=Proposal(ProposalKind.RELABEL, IMAGE),
            group_id=IMAGE,
        )
        for number, label in enumerate(labels)
    )
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.SKIP, IMAGE, f"{IMAGE}1"))
    store.close()
    return Project.open(folder)


def test_site_yaml_refuses_markup_in_a_name() -> None:
    with pytest.raises(ConfigError, match="angle brackets"):
        parse_site("classes: ['<img src=x onerror=alert(1)>']")


def test_what_is_no_picture_or_too_large_is_put_aside_with_its_reason(hostile) -> None:
    assert len(hostile.store.frames()) == 2
    reasons = {item.source.rpartition("/")[2]: item.reason for item in hostile.store.quarantined()}
    assert set(reasons) == {"drawing.jpg", "huge.jpg"}
    assert "pixels" in reasons["huge.jpg"]


@pytest.mark.browser
def test_names_are_text_on_every_page(hostile, chromium, tmp_path, server_of, opened_page) -> None:
    with server_of(hostile.root, tmp_path / "log") as server, opened_page(chromium) as page:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(f"{server.url}/queue?state=skipped&clip={IMAGE}")
        page.goto(f"{server.url}/queue")
        page.locator(".workbench[data-item]").wait_for()
        page.locator(".strip .film .strip-picture").first.wait_for()
        assert page.locator(".explanation").inner_text() == f"{IMAGE} says so."
        assert page.locator(".card .chip").inner_text() == IMAGE
        page.locator('[data-action="history"]').click()
        assert IMAGE in page.locator(".history small").first.inner_text()
        page.keyboard.press("Escape")
        # A class that site.yaml does not have cannot be given: the server says so, and the label stays.
        page.keyboard.press("b")
        page.locator('.message[data-kind="bad"]').wait_for()
        assert hostile.store.annotation(f"{IMAGE}0").label == IMAGE
        for path in ("frames", "", "versions", "map", "coverage", "scene"):
            page.goto(f"{server.url}/{path}")
            page.get_by_role("link", name="Queue").wait_for()
            page.wait_for_timeout(700)
            assert page.evaluate("window.hacked") is None
            assert page.locator("[onclick], [onerror], img[src='x']").count() == 0
        page.goto(f"{server.url}/frames")
        title = page.locator(".gallery .card", has_text="<b onclick=hacked>").first
        title.wait_for()
        title.click()
        page.locator(".workbench[data-frame]").wait_for()
        assert "<b onclick=hacked>" in page.locator(".frame-name").inner_text()
        assert not dialogs
