"""The queue in a real browser: what stands around an issue, filters, decisions taken back; one server for all."""

from __future__ import annotations

import re
import uuid

import pytest

from curate.annotations import Decision, DecisionKind, IssueState
from curate.review import decide

pytestmark = pytest.mark.browser


def on_item(page, key: str) -> None:
    page.locator(f'.workbench[data-item="{key}"]').wait_for()


def saved(page) -> None:
    page.locator('[data-testid="saved-state"][data-kind="saved"]').wait_for()


def painted(page, key: str, command: str) -> bool:
    """Whether the next issue was there before the key press had even ended."""
    script = """([key, command]) => new Promise((resolve) => {
      const bench = [...document.querySelectorAll("*")].map((node) => node.shadowRoot?.querySelector(".workbench"))
        .find(Boolean);
      bench.querySelector(".stage").dispatchEvent(
        new KeyboardEvent("keydown", { key: command, bubbles: true, composed: true, cancelable: true }));
      requestAnimationFrame(() => resolve(bench.dataset.item === key));
    })"""
    return page.evaluate(script, [key, command])


def test_the_strip_shows_before_and_after_and_the_place_in_time(shared_page, shared_server, shared_sample):
    page, issues = shared_page, shared_sample.issues
    page.goto(f"{shared_server.url}/queue?issue={issues[1].id}")
    on_item(page, issues[1].id)
    page.locator(f'.strip[data-issue="{issues[1].id}"]').wait_for()
    assert page.locator(".strip-group h4").all_inner_texts() == [
        "Before and after",
        "This place in time",
        "Most alike",
    ]
    assert page.locator(".strip .film .strip-picture").count() == 4
    assert page.locator(".strip .change rect").count() == 2
    pictures = page.locator(".strip img")
    for number in range(pictures.count()):
        pictures.nth(number).evaluate("image => image.decode()")
    sizes = pictures.evaluate_all("all => all.map((image) => image.naturalWidth)")
    assert set(sizes) == {160}
    # The place is the same, so the strip moves nothing when the next issue's comes in.
    before = page.locator(".stage").bounding_box()
    page.keyboard.press("f")
    on_item(page, issues[0].id)
    assert page.locator(".stage").bounding_box() == before


def test_the_next_issue_does_not_wait_for_the_server(shared_page, shared_server, shared_sample):
    page, issues = shared_page, shared_sample.issues
    page.goto(f"{shared_server.url}/queue")
    on_item(page, issues[0].id)
    page.wait_for_function(
        "performance.getEntriesByType('resource').filter(e => /image/.test(e.name)).length > 2"
    )
    page.context.set_offline(True)
    assert painted(page, issues[1].id, " ")
    assert painted(page, issues[2].id, "b")
    page.context.set_offline(False)
    saved(page)
    assert page.locator(".review-text").inner_text().startswith("2 decided · 8 open")


def test_decisions_can_be_taken_back_from_the_list(shared_page, shared_server, shared_sample):
    page, store, issues = shared_page, shared_sample.project.store, shared_sample.issues
    theirs = Decision(uuid.uuid4().hex, DecisionKind.APPLY, "bob", issues[6].id, group=True)
    decide(store, theirs)
    page.goto(f"{shared_server.url}/queue")
    page.locator(".workbench[data-item]").wait_for()
    page.locator('[data-action="history"]').click()
    row = page.locator(".history li").filter(has_text="bob")
    assert "proposal applied, 3 labels" in row.inner_text()
    row.get_by_role("button", name="Undo").click()
    page.locator(".history li").filter(has_text="took back: proposal applied").wait_for()
    assert store.find_decision(theirs.id).undone_by is not None
    assert {store.issue(issues[n].id).state for n in (6, 7, 8)} == {IssueState.OPEN}
    page.keyboard.press("Escape")
    page.locator(".history").wait_for(state="hidden")


def test_filters_stand_in_the_address(shared_page, shared_server, shared_sample):
    page, issues = shared_page, shared_sample.issues
    page.goto(f"{shared_server.url}/queue?slice=tall&p=10-70&by=cheap")
    on_item(page, issues[6].id)
    page.get_by_role("button", name="More filters (3)").click()
    page.get_by_text("Label as written by").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.wait_for_url(re.compile(r"queue(\?issue=[0-9a-f]+)?$"))
    page.get_by_role("button", name=re.compile("^More filters$")).wait_for()


def test_the_name_typed_once_is_kept_for_the_next_visit(shared_page, shared_server, chromium):
    page = shared_page
    page.goto(f"{shared_server.url}/queue")
    field = page.get_by_role("textbox", name="Reviewer")
    field.fill("Ann <b>Lee</b>")
    field.press("Enter")
    page.locator(".workbench[data-item]").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    page.locator('[data-action="keep"]').click()
    saved(page)
    page.locator('[data-action="history"]').click()
    page.locator(".history small").filter(has_text="Ann <b>Lee</b>").first.wait_for()


def test_from_the_overview_by_keyboard_alone(shared_page, shared_server, shared_sample, tab_to):
    page, store, issues = shared_page, shared_sample.project.store, shared_sample.issues
    before = len(store.decisions())
    page.goto(shared_server.url)
    tab_to(page, "Queue")
    page.locator(".workbench[data-item]").wait_for()
    # What the keys do stands on the buttons, in the words of the issue that is shown.
    words = {
        issues[3].id: ("Delete the label", "The label is right"),
        issues[4].id: ("Leave the frame out", "The frame is fine"),
        issues[5].id: ("Call it bicycle", "The label is right"),
    }
    seen: set[str] = set()
    pressed = 0
    while seen != set(words):
        key = page.locator(".workbench").get_attribute("data-item")
        if key in words:
            seen.add(key)
            answers = page.locator(".answers .text").all_inner_texts()
            assert tuple(answers) == words[key]
        page.keyboard.press("b" if key in words else "Space")
        pressed += 1
        page.locator(f'.workbench:not([data-item="{key}"]), .workbench[data-empty]').first.wait_for()
        assert "Ctrl+Z takes it back" in page.locator(".message").inner_text()
    saved(page)
    assert len(store.decisions()) == before + pressed
