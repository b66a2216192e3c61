"""Two people at the same labels: whoever comes second is shown both versions, and chooses; nothing is lost before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.annotations import DecisionKind, IssueState

pytestmark = pytest.mark.browser


class Person:
    """Somebody at a browser of their own."""

    def __init__(self, page, url: str, name: str) -> None:
        self.page, self.url, self.name = page, url, name

    def sign(self) -> None:
        field = self.page.get_by_role("textbox", name="Reviewer")
        field.fill(self.name)
        field.press("Enter")
        self.page.wait_for_function(
            """(name) => {
              const roots = [...document.querySelectorAll("*")].map((node) => node.shadowRoot).filter(Boolean);
              return roots.some((root) => root.querySelector(".workbench")?.dataset.reviewer === name);
            }""",
            arg=self.name,
        )

    def frame(self, frame) -> None:
        self.page.goto(f"{self.url}/frames?frame={frame.id}")
        self.on(frame.id)
        self.sign()
        self.page.locator(".stage").focus()

    def issue(self, issue) -> None:
        self.page.goto(f"{self.url}/queue?issue={issue.id}")
        self.on(issue.id)
        self.sign()
        self.page.locator(".stage").focus()

    def on(self, key: str) -> None:
        self.page.locator(f'.workbench[data-item="{key}"]').wait_for()

    def select(self, label: str) -> None:
        self.page.locator(f'.row[data-label="{label}"]').click()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at_once(self, *keys: str) -> None:
        """Ctrl with each key, all before the server can answer."""
        self.page.locator(".stage").evaluate(
            """(stage, keys) => keys.forEach((key) => stage.dispatchEvent(new KeyboardEvent("keydown",
              { key, ctrlKey: true, bubbles: true, composed: true, cancelable: true })))""",
            list(keys),
        )

    def saved(self) -> None:
        self.page.locator('[data-testid="saved-state"][data-kind="saved"]').wait_for()

    def choose(self, name: str) -> None:
        self.page.locator(f'.conflict [data-action="choose-{name}"]').click()
        self.page.locator(".conflict").wait_for(state="detached")

    def card(self) -> str:
        self.page.locator(".conflict").wait_for()
        return self.page.locator(".conflict").inner_text()

    def shot(self, name: str) -> None:
        if folder := os.environ.get("CROSSGUARD_SHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture
def two(chromium, shared_server, opened_page):
    with opened_page(chromium) as first, opened_page(chromium) as second:
        yield Person(first, shared_server.url, "ann"), Person(second, shared_server.url, "bob")


@pytest.fixture
def store(shared_sample):
    return shared_sample.project.store


@pytest.fixture
def frame_of(store) -> Callable:
    return lambda number: next(frame for frame in store.frames() if frame.name.endswith(f"{number:03d}.jpg"))


def meet(
    ann: Person, bob: Person, frame, label: str, *, mine: tuple[str, ...], theirs: tuple[str, ...]
) -> None:
    """Both look at the label; bob changes it first, then ann does, who has not seen it."""
    for person in (ann, bob):
        person.frame(frame)
        person.select(label)
    bob.press(*theirs)
    bob.saved()
    ann.at_once(*mine) if mine[0].startswith("Arrow") else ann.press(*mine)
    ann.card()
    ann.saved()


def test_both_versions_are_shown_and_theirs_can_be_taken(two, store, frame_of) -> None:
    ann, bob = two
    label = "cheap-7-0"
    meet(ann, bob, frame_of(7), label, theirs=("2", "q"), mine=("ArrowRight",) * 12)
    was = store.annotation(label)
    assert (was.label, was.occluded, was.revision) == ("bicycle", True, 2)
    card = ann.card()
    for words in ("Somebody changed this", "bob", "You (12 changes)", "bicycle", "person", "occluded"):
        assert words in card
    assert ann.page.locator(".version.theirs, .version.mine, .version.seen").count() == 3
    ann.shot("conflict")
    # What is kept outlives a reload, and is found again from another page of the app.
    ann.page.reload()
    ann.on(frame_of(7).id)
    assert "You (12 changes)" in ann.card()
    ann.choose("theirs")
    assert store.annotation(label) == was
    assert ann.page.locator(".version").count() == 0


def test_mine_can_be_kept_and_taken_back(two, store, frame_of) -> None:
    ann, bob = two
    label = "cheap-12-0"
    start = store.annotation(label)
    meet(ann, bob, frame_of(12), label, theirs=("2",), mine=("ArrowRight", "ArrowRight"))
    ann.press("c")  # to the card; digits choose there
    ann.press("2")
    ann.page.locator(".conflict").wait_for(state="detached")
    ann.saved()
    now = store.annotation(label)
    assert (now.label, now.bbox_xyxy[0]) == ("person", start.bbox_xyxy[0] + 2)
    ann.press("Control+z")
    ann.saved()
    assert store.annotation(label).label == "bicycle", "what bob made is there again"


def test_changes_of_different_things_can_both_be_kept(two, store, frame_of) -> None:
    ann, bob = two
    label = "cheap-13-0"
    start = store.annotation(label)
    meet(ann, bob, frame_of(13), label, theirs=("2",), mine=("ArrowDown",))
    ann.choose("merged")
    ann.saved()
    now = store.annotation(label)
    assert (now.label, now.bbox_xyxy[1]) == ("bicycle", start.bbox_xyxy[1] + 1)


def test_far_apart_they_can_be_two_labels_and_a_deleted_one_comes_back(two, store, frame_of) -> None:
    ann, bob = two
    label = "cheap-14-0"
    before = {entry.id for entry in store.annotations("cheap", [frame_of(14).id])}
    meet(
        ann,
        bob,
        frame_of(14),
        label,
        theirs=("Control+ArrowLeft",) * 9,
        mine=("ArrowRight",) * 9,
    )
    assert ann.page.locator('[data-action="choose-merged"]').count() == 0, "both moved it"
    ann.choose("two")
    ann.saved()
    (new,) = [e for e in store.annotations("cheap", [frame_of(14).id]) if e.id not in before]
    assert new.bbox_xyxy[0] - store.annotation(label).bbox_xyxy[0] == 18

    meet(ann, bob, frame_of(15), "cheap-15-0", theirs=("x",), mine=("ArrowRight",))
    assert "no label" in ann.card()
    ann.choose("mine")
    ann.saved()
    left = {entry.id for entry in store.annotations("cheap", [frame_of(15).id])}
    assert len(left) == 2
    assert "cheap-15-0" not in left, "it came back as a label of its own"


def test_in_the_queue_the_answer_waits_while_the_review_goes_on(two, store, shared_sample) -> None:
    ann, bob = two
    issue, following = shared_sample.issues[1], shared_sample.issues[2]
    box = store.annotation("cheap-1-0").bbox_xyxy
    for person in (ann, bob):
        person.issue(issue)
    bob.press("b")
    bob.saved()
    ann.press("x")
    ann.page.locator(f'.workbench:not([data-item="{issue.id}"])').wait_for()
    notice = ann.page.locator(".conflict-notice")
    notice.wait_for()
    assert "bob changed the same: 1 of yours waits for your choice" in notice.inner_text()
    ann.shot("conflict-notice")
    assert store.issue(issue.id).state is IssueState.DECIDED
    ann.press("c")
    ann.on(issue.id)
    assert "bob has decided this issue: proposal applied" in ann.card()
    ann.shot("conflict-queue")
    ann.press("Escape")
    ann.page.locator(".conflict").wait_for(state="detached")
    notice.click()
    ann.card()
    ann.choose("mine")
    ann.saved()
    assert "cheap-1-0" not in {entry.id for entry in store.annotations("cheap")}
    kinds = [record.decision.kind for record in store.decisions(limit=3)]
    assert kinds == [DecisionKind.DELETE_LABEL, DecisionKind.UNDO, DecisionKind.APPLY]
    ann.page.locator(f'.workbench:not([data-item="{issue.id}"])').wait_for()
    ann.press("Control+z")
    ann.saved()
    assert store.annotation("cheap-1-0").bbox_xyxy != box, "bob's answer stands again"

    # The same answer twice is nothing to choose between.
    for person in (ann, bob):
        person.issue(following)
    for person in (ann, bob):
        person.press("Space")
        person.saved()
    bob.page.locator(".message", has_text="came to the same").wait_for()
    assert bob.page.locator(".conflict-notice").is_hidden()
