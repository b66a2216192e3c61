"""The editor in a real browser: every way to change a shape, undo over frames, nothing lost with the server."""

from __future__ import annotations

import uuid

import pytest

from curate.annotations import Decision, DecisionKind, IssueState
from curate.review import decide

pytestmark = pytest.mark.browser


def on_item(page, key: str) -> None:
    page.locator(f'.workbench[data-item="{key}"]').wait_for()


def saved(page) -> None:
    page.locator('[data-testid="saved-state"][data-kind="saved"]').wait_for()


def frame_named(store, name: str):
    return next(frame for frame in store.frames() if frame.name.endswith(name))


class Stage:
    """The pointer in pixels of the frame."""

    def __init__(self, page) -> None:
        self.page = page
        box = page.locator(".picture img").bounding_box()
        self.left, self.top, self.scale = box["x"], box["y"], box["width"] / 320

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.left + x * self.scale, self.top + y * self.scale

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        self.page.mouse.move(*self.at(*end), steps=3)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))


def open_frame(page, server, frame) -> Stage:
    page.goto(f"{server.url}/frames?frame={frame.id}")
    on_item(page, frame.id)
    page.keyboard.press("0")
    return Stage(page)


def near(box, expected, tolerance: float = 0.6) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(box, expected, strict=True))


def test_draw_move_resize_relabel_and_take_it_all_back(page, server, sample) -> None:
    store = sample.project.store
    frame = frame_named(store, "007.jpg")
    was = {a.id: a for a in store.annotations("cheap", [frame.id])}
    stage = open_frame(page, server, frame)

    page.keyboard.press("w")
    stage.drag((200, 20), (240, 60))
    saved(page)
    (new,) = [a for a in store.annotations("cheap", [frame.id]) if a.id not in was]
    assert near(new.bbox_xyxy, (200, 20, 240, 60))
    assert new.label == "person"

    stage.drag((220, 40), (230, 50))  # the new box is selected: move it
    stage.drag((250, 50), (260, 50))  # its right edge
    page.keyboard.press("2")
    page.keyboard.press("q")
    page.keyboard.press("Control+ArrowDown")
    saved(page)
    changed = store.annotation(new.id)
    assert near(changed.bbox_xyxy, (210, 31, 260, 71))
    assert (changed.label, changed.occluded) == ("bicycle", True)

    for _ in range(6):
        page.keyboard.press("Control+z")
    saved(page)
    assert {a.id: a.bbox_xyxy for a in store.annotations("cheap", [frame.id])} == {
        key: a.bbox_xyxy for key, a in was.items()
    }
    for _ in range(6):
        page.keyboard.press("Control+Shift+Z")
    saved(page)
    again = store.annotation(new.id)
    assert (again.bbox_xyxy, again.label, again.occluded) == (changed.bbox_xyxy, "bicycle", True)


def test_polygons_by_point(page, server, sample) -> None:
    store = sample.project.store
    frame = frame_named(store, "008.jpg")
    mask = store.annotation("cheap-8-mask")
    x1, y1, x2, y2 = mask.bbox_xyxy
    stage = open_frame(page, server, frame)

    page.keyboard.press("p")
    for point in ((200, 20), (260, 30), (230, 70)):
        stage.click(*point)
    page.keyboard.press("Enter")
    saved(page)
    drawn = [a for a in store.annotations("cheap", [frame.id]) if a.mask and a.id != mask.id]
    assert len(drawn) == 1
    assert near(drawn[0].bbox_xyxy, (200, 20, 260, 70))
    assert len(drawn[0].mask[0].exterior) == 3

    page.locator(f'.row[data-label="{mask.id}"]').click()
    stage.drag((x1, (y1 + y2) / 2), (x1 - 15, (y1 + y2) / 2))  # the dot between two points: a new point
    saved(page)
    wider = store.annotation(mask.id)
    assert len(wider.mask[0].exterior) == 5
    assert near(wider.bbox_xyxy, (x1 - 15, y1, x2, y2))

    page.mouse.click(*stage.at(x1 - 15, (y1 + y2) / 2), button="right")
    saved(page)
    assert near(store.annotation(mask.id).bbox_xyxy, mask.bbox_xyxy)


def test_every_verdict_by_mouse_and_a_group_as_one(page, server, sample) -> None:
    store, issues = sample.project.store, sample.issues
    page.goto(f"{server.url}/queue")
    for index, action in (
        (0, "keep"),
        (1, "apply"),
        (2, "delete"),
        (3, "skip"),
        (4, "exclude"),
        (5, "class-1"),
    ):
        on_item(page, issues[index].id)
        page.locator(f'[data-action="{action}"]').click()
    on_item(page, issues[6].id)
    page.get_by_text("One answer for 3 labels at this place").wait_for()
    page.locator('[data-action="apply"]').click()
    on_item(page, issues[9].id)
    saved(page)
    kinds = [record.decision.kind for record in store.decisions(oldest_first=True)]
    assert kinds == [
        DecisionKind.KEEP,
        DecisionKind.APPLY,
        DecisionKind.DELETE_LABEL,
        DecisionKind.SKIP,
        DecisionKind.EXCLUDE_FRAME,
        DecisionKind.RELABEL,
        DecisionKind.APPLY,
    ]
    left = {a.id for a in store.annotations("cheap")}
    assert not left & {"cheap-2-0", "cheap-9-1", "cheap-10-1", "cheap-11-1"}
    assert store.annotation("cheap-5-0").label == "bicycle"
    assert store.issue(issues[3].id).state is IssueState.SKIPPED

    # One undo brings the group back; the page then stands on it again.
    page.locator('[data-action="undo"]').first.click()
    on_item(page, issues[6].id)
    saved(page)
    assert {"cheap-9-1", "cheap-10-1", "cheap-11-1"} <= {a.id for a in store.annotations("cheap")}


def test_address_leads_back_and_a_reload_can_still_undo(page, server, sample) -> None:
    store, issues = sample.project.store, sample.issues
    page.goto(f"{server.url}/queue?issue={issues[5].id}")
    on_item(page, issues[5].id)
    page.keyboard.press("b")
    saved(page)
    assert store.annotation("cheap-5-0").label == "bicycle"
    page.reload()
    page.locator(".workbench[data-item]").wait_for()
    page.keyboard.press("Control+z")
    on_item(page, issues[5].id)
    saved(page)
    assert store.annotation("cheap-5-0").label == "person"


def test_rapid_keys_with_the_server_killed_lose_nothing(page, server, sample) -> None:
    store, issues = sample.project.store, sample.issues
    page.goto(f"{server.url}/queue")
    on_item(page, issues[0].id)
    for _ in range(3):
        page.keyboard.press("Space")
    server.stop(kill=True)
    for _ in range(3):
        page.keyboard.press("Space")
    server.start()
    saved(page)
    decided = [record.decision.issue_id for record in store.decisions(oldest_first=True)]
    assert decided == [issue.id for issue in issues[:6]]


def test_the_outbox_is_written_once_a_step_and_outlives_the_page(page, server, sample) -> None:
    store = sample.project.store
    frame = frame_named(store, "007.jpg")
    open_frame(page, server, frame)
    page.locator('.row[data-label="cheap-7-0"]').click()
    start = store.annotation("cheap-7-0").bbox_xyxy
    server.stop(kill=True)
    written = page.evaluate(
        """(count) => {
          const put = Storage.prototype.setItem;
          let written = 0;
          Storage.prototype.setItem = function (key, value) { written += value.length; put.call(this, key, value); };
          const roots = [...document.querySelectorAll("*")].map((node) => node.shadowRoot).filter(Boolean);
          const stage = roots.map((root) => root.querySelector(".stage")).find(Boolean);
          for (let index = 0; index < count; index += 1) {
            stage.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", ctrlKey: true,
              bubbles: true, composed: true, cancelable: true }));
          }
          Storage.prototype.setItem = put;
          return written;
        }""",
        120,
    )
    page.keyboard.press("2")
    entries = page.evaluate(
        "Object.keys(sessionStorage).filter((key) => key.startsWith('crossguard:outbox:')).length"
    )
    assert entries == 121
    assert written < 120 * 600, "each step is written once, not with all before it"
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("about:blank")
    server.start()
    page.goto(f"{server.url}/frames?frame={frame.id}")
    on_item(page, frame.id)
    saved(page)
    history = store.revisions("cheap-7-0")
    assert [revision.annotation.bbox_xyxy[0] - start[0] for revision in history] == [*range(121), 120]
    assert history[-1].annotation.label == "bicycle"
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.includes(':outbox:')).length") == 0


def test_what_comes_from_data_is_text_never_markup(page, server, sample) -> None:
    page.goto(f"{server.url}/queue")
    on_item(page, sample.issues[0].id)
    assert page.locator(".explanation").inner_text() == "<i>Planted</i> error number 0."
    assert page.locator(".explanation i").count() == 0
    assert page.locator('[data-action="class-2"] .text').inner_text() == "van & co"


def test_streamlits_own_keys_do_not_reach_it(page, server, sample) -> None:
    page.goto(f"{server.url}/queue")
    page.locator(".workbench[data-item]").wait_for()
    page.keyboard.press("c")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    assert page.get_by_text("Clear caches").count() == 0
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="detached")


def test_a_verdict_of_somebody_else_can_be_taken_back_where_it_is_shown(page, server, sample) -> None:
    store, issue = sample.project.store, sample.issues[3]
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.APPLY, "bob", issue.id))
    page.goto(f"{server.url}/queue?state=decided&issue={issue.id}")
    on_item(page, issue.id)
    page.get_by_text("proposal applied by bob").wait_for()
    page.locator('[data-action="undo-verdict"]').click()
    page.locator(".decided").wait_for(state="detached")
    saved(page)
    assert store.issue(issue.id).state is IssueState.OPEN
    assert "cheap-3-1" in {a.id for a in store.annotations("cheap")}


def test_browse_filter_and_open_a_frame(page, server, sample) -> None:
    store = sample.project.store
    frame = frame_named(store, "008.jpg")
    page.goto(f"{server.url}/frames?class=bicycle")
    card = page.locator(".gallery .card")
    card.first.wait_for()
    assert card.count() == 1
    card.click()
    on_item(page, frame.id)
    assert f"frame={frame.id}" in page.url
    page.get_by_role("button", name="All frames").click()
    card.first.wait_for()
