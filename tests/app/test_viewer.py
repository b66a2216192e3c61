"""Who may only look sees every page, and nothing on it that would be refused."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from crossguard_app import signin
from curate.store import Role
from curate.workflows.maps import lay_out_maps
from curate.workflows.people import add_user
from tests.app.app_server import opened_page
from tests.app.pages_site import add_plate, add_runs, embed, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHANGES = (
    "Retrain and compare", "Scan for label errors", "Prelabel new frames", "Cancel", "Judge again", "Compare the two",
    "Create version", "Save regions", "Discard", "Undo", "Ignore region", "Far zone", "Relabel", "Delete", "Exclude",
    "Take back in", "To the queue", "Choose frames to label next", "Edit done", "Skip", "All is right", "Accept",
)  # fmt: skip


@pytest.fixture
def eve(sample, monkeypatch, chromium, request) -> Iterator[object]:
    """The page of a viewer who is signed in."""
    project = sample.project
    add_user(project.store, "ann", Role.OWNER, "correct horse battery")
    add_user(project.store, "eve", Role.VIEWER, "correct horse battery")
    with project.store.acting("ann"):
        embed(project)
        lay_out_maps(project)
        add_plate(project)
        add_runs(project)
    monkeypatch.setenv("CROSSGUARD_SIGN_IN", "1")
    server = request.getfixturevalue("server")
    with opened_page(chromium) as page:
        cookie = {"name": signin.COOKIE, "value": signin.session_cookie(project, "eve")}
        page.context.add_cookies([cookie | {"domain": urlsplit(server.url).hostname, "path": "/"}])
        page.goto(server.url)
        page.get_by_text("eve, viewer").wait_for()
        yield page, server.url


def offered(page) -> list[str]:
    """Words of what would change something, among all that can be pressed."""
    words = [node.inner_text().strip() for node in page.get_by_role("button").all() if node.is_visible()]
    return [text for text in words if any(text.startswith(change) for change in CHANGES)]


def test_no_button_of_a_viewer_is_refused(eve, sample) -> None:
    page, url = eve
    store = sample.project.store
    for address, sign in (
        ("train", "Your role is to look"),
        ("versions", "All versions"),
        ("scene", "Regions where nothing counts"),
        ("coverage", "What is thin"),
        ("runs?view=results", "Kinds of error"),
        ("frames", "24 frames"),
    ):
        page.goto(f"{url}/{address}")
        page.get_by_text(sign).first.wait_for()
        settled(page)
        assert offered(page) == [], address
        assert page.get_by_text("Something went wrong").count() == 0
    page.goto(f"{url}/map")
    page.locator(".map[data-paints]").wait_for()
    page.locator(".map .stage").focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Look").wait_for()
    assert offered(page) == []

    page.goto(f"{url}/queue")
    first = sample.issues[0]
    page.locator(f'.workbench[data-item="{first.id}"]').wait_for()
    page.get_by_text("Your role is to look.").wait_for()
    assert offered(page) == []
    for key in ("b", "Space", "1", "w", "Control+z", "Shift+X", "Control+Space"):
        page.keyboard.press(key)
        page.locator(".message", has_text="nothing was changed").wait_for()
    page.keyboard.press("f")
    page.locator(f'.workbench[data-item="{sample.issues[1].id}"]').wait_for()
    # Dragging the label moves nothing either.
    label = store.annotation(sample.issues[1].annotation_id)
    box = page.locator(f'.label[data-id="{label.id}"] .body').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 10, steps=3)
    page.mouse.up()
    page.locator(".message", has_text="nothing was changed").wait_for()
    after = page.locator(f'.label[data-id="{label.id}"] .body').bounding_box()
    assert after == box
    assert page.locator('[data-testid="saved-state"]').get_attribute("data-kind") == "saved"
    assert store.decisions() == []
    assert store.annotation(label.id) == label
