"""What other label sources and detectors suggest on a frame: shown, accepted, taken back."""

from __future__ import annotations

import pytest

from curate.workflows.assist_client import BUNDLED
from curate.workflows.assist_overlays import Overlays
from curate.workflows.files import write_json
from tests.app.drawn import near, pixels

pytestmark = pytest.mark.browser


def test_suggestions_of_another_source(editor) -> None:
    editor.open("014.jpg")
    before = editor.labels()
    editor.page.locator('[data-action="layer-choice"]').select_option("labels:other")
    ghosts = editor.page.locator(".ghost")
    editor.page.get_by_text("2 are not labelled yet").wait_for()
    assert ghosts.count() == 2, "the third is less sure than the slider says"
    slider = editor.page.locator('[data-action="confidence"]')
    slider.fill("0.1")
    editor.page.get_by_text("3 are not labelled yet").wait_for()
    editor.click(255, 25)
    editor.shot("editor-suggestions")
    editor.button("accept")
    accepted = editor.new(before)
    assert near(accepted.bbox_xyxy, (240, 10, 270, 40))
    assert (accepted.label, accepted.source) == ("bicycle", "cheap")
    editor.button("acceptAll")
    assert len(editor.labels()) == len(before) + 3
    editor.press("Control+z", "Control+z")
    assert editor.labels() == before

    editor.open("015.jpg")
    before = editor.labels()
    ghosts.first.wait_for()
    editor.press("l")
    ghosts.first.wait_for(state="detached")
    editor.press("l", ".", ".", ".", ".", ".", ".", ".", ".", ".")  # from 10 % to 55 %
    editor.page.get_by_text("2 are not labelled yet").wait_for()
    editor.press("o", "a")
    assert near(editor.new(before).bbox_xyxy, (200, 10, 230, 40))
    editor.press("Shift+A")
    assert len(editor.labels()) == len(before) + 2
    editor.press("Control+z", "Control+z", ",", "Shift+O")
    editor.says("Suggestion: bicycle")
    assert editor.labels() == before
    editor.press("l")


@pytest.mark.slow
def test_what_a_detector_suggests_is_accepted_with_an_outline(editor, editor_site) -> None:
    frame = editor.open("017.jpg")
    walkers = [label.bbox_xyxy for label in editor.labels().values() if label.source == "cheap"]
    shapes = [
        {
            "label": "bicycle",
            "bbox_xyxy": [round(side, 2) for side in box],
            "mask": None,
            "score": 0.9 - n / 10,
        }
        for n, box in enumerate(walkers)
    ]
    write_json(Overlays(editor_site, lambda *_: None).kept_at(frame.id, BUNDLED), shapes)
    before = editor.labels()
    editor.page.locator('[data-action="layer-choice"]').select_option(f"run:{BUNDLED}")
    editor.page.get_by_text("2 are not labelled yet").wait_for()
    # One by keyboard, before its outline is there; it is waited for.
    editor.press("o", "a")
    editor.page.get_by_text("1 is not labelled yet").wait_for()
    editor.says("bicycle accepted")
    one = editor.new(before)
    assert near(one.bbox_xyxy, walkers[0])
    outlined(one, walkers[0])
    # The other one shows its outline while it is looked at.
    editor.page.locator(".ghost path.body").wait_for()
    editor.shot("editor-suggested-masks")
    editor.button("acceptAll")
    editor.until(lambda: len(editor.labels()) == len(before) + 2)
    two = next(label for key, label in editor.labels().items() if key not in before and key != one.id)
    outlined(two, walkers[1])
    editor.press("Control+z", "Control+z")
    assert editor.labels() == before
    editor.press("l")


def outlined(label, box) -> None:
    """The label has a mask that fills a good part of the box and lies within it."""
    x1, y1, x2, y2 = (round(side) for side in box)
    mask = pixels(label)
    inside = mask[y1 - 2 : y2 + 2, x1 - 2 : x2 + 2].sum()
    assert inside > 0.4 * (x2 - x1) * (y2 - y1)
    assert inside > 0.95 * mask.sum()
