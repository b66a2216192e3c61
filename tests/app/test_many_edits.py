"""Rapid edits from two browsers on one project, with the server killed and started again in the middle.

CROSSGUARD_FAULT_EDITS sets how many edits both make together: 10,000 for the figure in docs/benchmarks.md.
"""

from __future__ import annotations

import os

import pytest

from curate.annotations import DecisionKind

pytestmark = [pytest.mark.browser, pytest.mark.fault, pytest.mark.slow]

EDITS = int(os.environ.get("CROSSGUARD_FAULT_EDITS", "600"))
PATH = ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowRight")
"""Six steps that lead back to where they began, so that any number of them stays on the frame."""
STEPS = {"ArrowRight": (1, 0), "ArrowLeft": (-1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}
UNDONE = 25
SAVE_MS = 30_000 + 120 * EDITS

TYPE = """([path, count]) => {
  const bench = [...document.querySelectorAll("*")].map((node) => node.shadowRoot?.querySelector(".workbench"))
    .find(Boolean);
  const stage = bench.querySelector(".stage");
  stage.focus();
  window.typed = 0;
  const step = () => {
    for (let burst = 0; burst < 3 && window.typed < count; burst += 1) {
      stage.dispatchEvent(new KeyboardEvent("keydown", { key: path[window.typed % path.length], ctrlKey: true,
        bubbles: true, composed: true, cancelable: true }));
      window.typed += 1;
    }
    if (window.typed < count) setTimeout(step, 4);
  };
  step();
}"""


def path_of(box, count: int) -> list[tuple[float, ...]]:
    """The boxes that so many steps go through, the first one included."""
    boxes = [tuple(box)]
    for number in range(count):
        dx, dy = STEPS[PATH[number % len(PATH)]]
        x1, y1, x2, y2 = boxes[-1]
        boxes.append((x1 + dx, y1 + dy, x2 + dx, y2 + dy))
    return boxes


def saved(page) -> None:
    page.locator('[data-testid="saved-state"][data-kind="saved"]').wait_for(timeout=SAVE_MS)


class Typist:
    """One browser that moves one label about."""

    def __init__(self, chromium, server, store, frame, label: str) -> None:
        self.context = chromium.new_context(viewport={"width": 1200, "height": 800})
        self.page = self.context.new_page()
        self.page.set_default_timeout(90_000)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.label = label
        self.start = store.annotation(label).bbox_xyxy
        self.page.goto(f"{server.url}/frames?frame={frame.id}")
        self.page.locator(f'.workbench[data-item="{frame.id}"]').wait_for()
        self.page.locator(f'.row[data-label="{label}"]').click()

    def type(self, count: int) -> None:
        self.page.evaluate(TYPE, [PATH, count])

    def typed(self, count: int) -> None:
        self.page.wait_for_function("(count) => window.typed >= count", arg=count, timeout=SAVE_MS)


def test_none_lost_none_doubled_undo_still_right(chromium, shared_server, shared_sample) -> None:
    server, store = shared_server, shared_sample.project.store
    frames = sorted(store.frames(), key=lambda frame: frame.name)
    typists = [Typist(chromium, server, store, frames[index], f"cheap-{index}-0") for index in (7, 12)]
    each = EDITS // 2
    for typist in typists:
        typist.type(each)
    for typist in typists:
        typist.typed(each // 3)
    server.stop(kill=True)
    for typist in typists:
        typist.typed(each // 2)
    server.start()
    for typist in typists:
        typist.typed(each)
        saved(typist.page)

    for typist in typists:
        history = store.revisions(typist.label)
        # Every edit is one revision, in the order of the keys: none lost, none doubled, none out of turn.
        assert [revision.annotation.bbox_xyxy for revision in history] == path_of(typist.start, each)
    records = store.decisions(limit=10 * EDITS)
    assert len(records) == len({record.decision.id for record in records}) == 2 * each
    assert {record.decision.kind for record in records} == {DecisionKind.EDIT}

    for typist in typists:
        for _ in range(UNDONE):
            typist.page.keyboard.press("Control+z")
    for typist in typists:
        saved(typist.page)
        expected = path_of(typist.start, each)[each - UNDONE]
        assert store.annotation(typist.label).bbox_xyxy == expected
        assert len(store.revisions(typist.label)) == each + UNDONE + 1
    assert sum(record.undone_by is not None for record in store.decisions(limit=10 * EDITS)) == 2 * UNDONE
    for typist in typists:
        assert not typist.problems, typist.problems
        typist.context.close()
