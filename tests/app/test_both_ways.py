"""What the other tests of editor and queue do one way only, the other way: by mouse and by keyboard."""

from __future__ import annotations

import numpy as np
import pytest

from curate.annotations import DecisionKind, IssueState
from tests.app.drawn import exterior, near
from tests.app.sample_site import PARKED

pytestmark = pytest.mark.browser


def test_moving_on_and_the_tools_that_repeat(editor) -> None:
    first = editor.open("019.jpg")
    editor.button("next")
    second = editor.page.locator(".workbench").get_attribute("data-item")
    assert second != first.id
    editor.button("previous")
    editor.on(first.id)
    before = editor.labels()
    editor.button("box")
    start, end = editor.drag((250, 5), (300, 45))
    assert near(editor.new(before).bbox_xyxy, (*start, *end))

    # The same tool again by its key, and a copy by mouse on the next frame: the same place, one track.
    editor.tool("n")
    known = editor.labels()
    editor.cross(20, 20)
    editor.press("Enter")
    editor.cross(50, 42)
    editor.press("Enter")
    again = editor.new(known)
    assert near(again.bbox_xyxy, (20, 20, 50, 42))
    editor.button("copy")
    editor.button("next")
    editor.on(second)
    editor.frame = editor.store.frame(second)
    there = editor.labels()
    editor.button("paste")
    pasted = editor.new(there)
    assert near(pasted.bbox_xyxy, again.bbox_xyxy)
    assert pasted.track_id
    assert pasted.track_id == editor.store.annotation(again.id).track_id

    # Nothing that is labelled stands still here: the key that carries over says so.
    editor.press("t")
    editor.says("last labelled frame")
    editor.press("Control+z", times=3)
    editor.saved()
    assert not any(label.bbox_xyxy == again.bbox_xyxy for label in editor.labels().values())


def test_what_stands_still_is_carried_over_both_ways(editor) -> None:
    x1, y1, x2, y2 = (int(side) for side in PARKED)
    outline = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    editor.open("022.jpg")
    before = editor.labels()
    editor.tool("p")
    for corner in outline:
        editor.cross(*corner)
        editor.press("Enter")
    editor.press("Control+Enter", "1")
    parked = editor.new(before)
    frame = editor.open("023.jpg")
    known = editor.labels()
    for carry in (lambda: editor.press("t"), lambda: editor.button("carryOver")):
        carry()
        editor.says("1 carried over from the last labelled frame")
        carried = editor.new(known)  # alone: the walkers walked on
        assert (carried.label, carried.frame_id, carried.source) == (parked.label, frame.id, "cheap")
        assert near(carried.bbox_xyxy, PARKED)
        assert near(exterior(carried), outline)
        assert near(exterior(carried), exterior(parked))
        carry()
        editor.says("stands still here unlabelled")
        editor.shot("editor-carry-over")
        editor.press("Control+z")
        editor.saved()
        assert editor.labels().keys() == known.keys()
    editor.open("022.jpg")
    editor.select(parked.id)
    editor.press("x")
    editor.saved()


def test_the_view_moves_both_ways(editor) -> None:
    editor.open("021.jpg")
    left, top, scale = editor.view()
    editor.press("+", "Shift+ArrowRight", "Shift+ArrowDown")
    moved = editor.view()
    assert moved[2] > scale
    editor.press("=", "-", "0")
    assert editor.view() == pytest.approx((left, top, scale), abs=0.5)
    for _ in range(5):
        editor.button("zoomIn")
    before = editor.view()
    start, end = editor.at(160, 120), (editor.at(160, 120)[0] + 40, editor.at(160, 120)[1] + 25)
    editor.page.mouse.move(*start)
    editor.page.mouse.down(button="middle")
    editor.page.mouse.move(*end, steps=3)
    editor.page.mouse.up(button="middle")
    assert (editor.view()[0] - before[0], editor.view()[1] - before[1]) == pytest.approx((40, 25), abs=1)
    editor.button("fit")
    editor.press(">", "}")
    slot = editor.page.locator(".slot")
    assert slot.evaluate("n => n.style.filter") != ""
    editor.press("\\")
    assert slot.evaluate("n => n.style.filter") == ""


@pytest.mark.slow
def test_a_box_is_outlined_by_its_button(editor) -> None:
    editor.open("022.jpg")
    walker = next(label for label in editor.labels().values() if label.source == "cheap")
    editor.select(walker.id)
    editor.button("outline")
    editor.until(lambda: bool(editor.labels()[walker.id].mask))
    x1, y1, x2, y2 = editor.labels()[walker.id].bbox_xyxy
    assert np.abs(np.array([x1, y1, x2, y2]) - walker.bbox_xyxy).max() < 4
    editor.press("Control+z")
    now = editor.labels()[walker.id]
    assert (now.mask, now.bbox_xyxy) == (None, walker.bbox_xyxy)


def test_every_answer_of_the_queue_both_ways(page, server, sample, editor_page) -> None:
    store, issues = sample.project.store, sample.issues
    queue = editor_page(page, server.url, store)

    def on(number: int) -> None:
        queue.on(issues[number].id)
        queue.frame = store.frame(issues[number].frame_id)

    def said(*kinds: DecisionKind) -> bool:
        queue.saved()
        return [record.decision.kind for record in reversed(store.decisions())] == list(kinds)

    page.goto(f"{server.url}/queue")
    on(0)
    queue.button("skip")
    on(1)
    queue.press("Control+Space")
    on(2)
    assert said(DecisionKind.SKIP, DecisionKind.SKIP)
    assert {store.issue(issues[n].id).state for n in (0, 1)} == {IssueState.SKIPPED}
    queue.press("Control+z")
    on(1)

    # A corner is dragged: my shape is the answer, and "Edit done" goes on.
    label = store.annotation(issues[1].annotation_id)
    queue.press("0")
    _, corner = queue.drag(label.bbox_xyxy[2:], (label.bbox_xyxy[2] + 12, label.bbox_xyxy[3] + 9))
    queue.saved()
    assert near(store.annotation(label.id).bbox_xyxy, (*label.bbox_xyxy[:2], *corner))
    queue.button("submit")
    on(2)
    assert store.issue(issues[1].id).state is IssueState.DECIDED
    queue.button("keep")
    on(3)

    queue.button("exclude")
    on(4)
    queue.saved()
    assert store.frame(issues[3].frame_id).excluded
    queue.press("Control+z")
    on(3)
    queue.press("Shift+X")
    on(4)
    queue.button("apply")
    on(5)
    queue.saved()
    assert store.frame(issues[4].frame_id).excluded

    # One answer for a group, or for one of it: by key and by the box.
    queue.button("class-1")
    on(6)
    queue.saved()
    assert store.annotation(issues[5].annotation_id).label == "bicycle"
    group = page.locator(".group-toggle input")
    assert group.is_checked()
    queue.press("g")
    assert not group.is_checked()
    group.click()
    assert group.is_checked()
    group.click()
    queue.button("delete")
    on(7)
    queue.saved()
    assert [store.issue(issues[n].id).state for n in (6, 7, 8)] == [
        IssueState.DECIDED,
        IssueState.OPEN,
        IssueState.OPEN,
    ]
    queue.press("g", "Space")
    on(9)
    queue.saved()
    assert {store.issue(issues[n].id).state for n in (7, 8)} == {IssueState.DECIDED}
