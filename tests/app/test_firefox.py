"""The queue and the editor in the distribution's Firefox: keys, mouse, pictures, undo."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.annotations import DecisionKind

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIREFOX = next(
    (found for name in ("firefox-esr", "firefox") if (found := shutil.which(name))),
    None,
)
BENCH = """[...document.querySelectorAll("*")].map((node) => node.shadowRoot?.querySelector(".workbench"))
  .find(Boolean)"""


@pytest.fixture
def firefox(tmp_path) -> Iterator[object]:
    if FIREFOX is None:
        pytest.skip("no Firefox on the PATH; tests/install_system.sh installs it")
    spec = importlib.util.spec_from_file_location("crossguard_bidi", Path(__file__).with_name("bidi.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    browser = module.Firefox(FIREFOX, tmp_path / "profile")
    yield browser
    browser.close()


def test_review_and_edit(firefox, shared_server, shared_sample) -> None:
    store, issues = shared_sample.project.store, shared_sample.issues
    firefox.goto(f"{shared_server.url}/queue")

    def on_item(key: str) -> None:
        firefox.wait_for(f'{BENCH}?.dataset.item === "{key}"')

    def saved() -> None:
        firefox.wait_for(
            f"""{BENCH}.querySelector('[data-testid="saved-state"]').dataset.kind === "saved" """
        )

    on_item(issues[0].id)
    picture = firefox.evaluate(f"{BENCH}.querySelector('.picture img').naturalWidth")
    assert picture == 320
    firefox.press("Space")
    on_item(issues[1].id)
    firefox.press("b")
    on_item(issues[2].id)
    firefox.wait_for(f"{BENCH}.querySelectorAll('.strip .film img').length >= 4")
    corner = firefox.evaluate(
        f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
        f"({BENCH}.querySelector('.corner[data-side=\"se\"]').getBoundingClientRect())"
    )
    before = store.annotation("cheap-2-0").bbox_xyxy
    firefox.drag(tuple(corner), (corner[0] + 40, corner[1] + 40))
    saved()
    after = store.annotation("cheap-2-0").bbox_xyxy
    assert after[:2] == before[:2]
    assert after[2] > before[2] + 2
    firefox.press("Control+z")
    firefox.press("Control+z")
    on_item(issues[1].id)
    saved()
    records = store.decisions(oldest_first=True)
    assert [record.decision.kind for record in records] == [
        DecisionKind.KEEP,
        DecisionKind.APPLY,
        DecisionKind.EDIT,
        DecisionKind.UNDO,
        DecisionKind.UNDO,
    ]
    assert store.annotation("cheap-2-0").bbox_xyxy == before
