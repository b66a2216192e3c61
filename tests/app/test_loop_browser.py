"""A person's part of the loop in a real browser: review by key and mouse, retrain, see the comparison."""

from __future__ import annotations

import re
import time

import psutil
import pytest

from curate.annotations import DecisionKind, IssueState
from curate.store import JobState

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRAINING_MS = 400_000


def on_item(page, key: str) -> None:
    page.locator(f'.workbench[data-item="{key}"]').wait_for()


def saved(page) -> None:
    page.locator('[data-testid="saved-state"][data-kind="saved"]').wait_for()


def drag(page, locator, dx: float, dy: float) -> None:
    box = locator.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()


def test_review_retrain_compare(page, server, sample, chromium, opened_page) -> None:
    store, issues = sample.project.store, sample.issues
    page.goto(f"{server.url}/queue")
    on_item(page, issues[0].id)

    # Two proposals by keyboard.
    page.keyboard.press("b")
    on_item(page, issues[1].id)
    page.keyboard.press("b")
    on_item(page, issues[2].id)

    # A box by mouse: its lower right corner 40 screen pixels out.
    before = store.annotation("cheap-2-0").bbox_xyxy
    drag(page, page.locator('.corner[data-side="se"]'), 40, 40)
    page.keyboard.press("Control+Enter")
    on_item(page, issues[3].id)

    page.keyboard.press("x")
    on_item(page, issues[4].id)
    page.keyboard.press("Shift+X")
    on_item(page, issues[5].id)
    page.keyboard.press("Control+z")
    on_item(page, issues[4].id)
    page.locator(".decided").wait_for(state="detached")
    saved(page)

    # The same decisions, read back from the database.
    records = store.decisions(oldest_first=True)
    assert [(r.decision.kind, r.decision.issue_id) for r in records] == [
        (DecisionKind.APPLY, issues[0].id),
        (DecisionKind.APPLY, issues[1].id),
        (DecisionKind.EDIT, issues[2].id),
        (DecisionKind.DELETE_LABEL, issues[3].id),
        (DecisionKind.EXCLUDE_FRAME, issues[4].id),
        (DecisionKind.UNDO, None),
    ]
    assert {r.decision.reviewer for r in records} == {"tester"}
    assert records[4].undone_by == records[5].decision.id
    added = [
        a for a in store.annotations("cheap", [issues[0].frame_id]) if a.bbox_xyxy == issues[0].bbox_xyxy
    ]
    assert [a.label for a in added] == ["person"]
    assert store.annotation("cheap-1-0").bbox_xyxy == issues[1].proposal.bbox_xyxy
    after = store.annotation("cheap-2-0").bbox_xyxy
    assert after[:2] == before[:2]
    assert after[2] > before[2] + 2
    assert after[3] > before[3] + 2
    assert "cheap-3-1" not in {a.id for a in store.annotations("cheap")}
    assert not store.frame(issues[4].frame_id).excluded
    assert store.issue(issues[4].id).state is IssueState.OPEN

    # Retrain: it goes on through a reload of the page and a killed server; then the comparison is there.
    page.get_by_role("link", name="Train and compare").click()
    page.get_by_role("button", name="Retrain and compare").click()
    page.get_by_text(re.compile("^Retrain: ")).first.wait_for()
    page.reload()
    page.get_by_text(re.compile("^Retrain: ")).first.wait_for()
    while (job := store.jobs(kinds=["retrain"])[0]).pid is None:
        time.sleep(0.1)
    server.stop(kill=True)
    assert psutil.pid_exists(job.pid)
    server.start()
    restarted = time.time()
    with opened_page(chromium) as another:
        another.goto(f"{server.url}/train")
        another.get_by_text(re.compile("^Retrain: ")).first.wait_for()
    page.locator(".st-key-verdict").wait_for(timeout=TRAINING_MS)
    page.get_by_text(re.compile("95 % interval")).first.wait_for()
    page.get_by_role("tab", name="Overall").wait_for()
    jobs = store.jobs(kinds=["retrain"])
    assert [job.state for job in jobs] == [JobState.DONE], jobs[0].error
    assert jobs[0].pid == job.pid, "the same worker, not a second one"
    assert jobs[0].finished_at > restarted
    assert len(store.versions()) == 1

    # What the new detector sees on a frame is shown over its labels, for as little sure as it may be.
    frame = store.annotation("cheap-2-0").frame_id
    page.goto(f"{server.url}/frames?frame={frame}")
    on_item(page, frame)
    choice = page.locator('[data-action="layer-choice"]')
    trained = choice.locator('option[value^="run:"]:not([value="run:bundled"])').first.get_attribute("value")
    choice.select_option(trained)
    page.locator('[data-action="confidence"]').fill("0.05")
    page.get_by_text(re.compile("not labelled yet")).wait_for()
