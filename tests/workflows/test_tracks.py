"""Labels between keyframes, and parked things carried over."""

from __future__ import annotations

import numpy as np
import pytest

from curate.annotations import Annotation, Frame, Polygon
from curate.errors import DataError
from curate.workflows.tracks import between, interpolated, looks_still, parked


def label(name: str, box, mask=None, **fields) -> Annotation:
    return Annotation(name, fields.pop("frame_id", "f"), "car", box, mask=mask, source="cheap", **fields)


def square(x: float, y: float, side: float = 10.0) -> tuple[Polygon, ...]:
    hole = ((x + 3, y + 3), (x + 6, y + 3), (x + 6, y + 6))
    return (Polygon(((x, y), (x + side, y), (x + side, y + side), (x, y + side)), (hole,)),)


def test_boxes_and_like_masks_go_in_a_straight_line() -> None:
    first = label("a", (0, 0, 10, 10), square(0, 0))
    last = label("b", (30, 60, 40, 70), square(30, 60))
    box, mask = between(first, last, 1 / 3)
    assert box == (10, 20, 20, 30)
    assert mask == square(10, 20)


def test_of_unlike_masks_the_nearer_one_is_fitted_into_the_box() -> None:
    first = label("a", (0, 0, 10, 10), square(0, 0))
    last = label("b", (20, 20, 40, 40), (Polygon(((20, 20), (40, 20), (40, 40))),))
    box, mask = between(first, last, 0.75)
    assert box == (15.0, 15.0, 32.5, 32.5)
    assert mask == (Polygon(((15.0, 15.0), (32.5, 15.0), (32.5, 32.5))),)
    assert between(label("a", (0, 0, 1, 1)), last, 0.5)[1] is None


def test_what_stands_still_is_told_from_what_left(rng_scene) -> None:
    before, now, boxes = rng_scene
    assert looks_still(before, now, boxes) == [True, False, False]


@pytest.fixture
def rng_scene():
    rng = np.random.default_rng(3)
    before = np.full((120, 160, 3), 90, np.uint8)
    before[20:50, 20:60] = rng.integers(20, 230, (30, 40, 3))
    before[70:100, 20:60] = rng.integers(20, 230, (30, 40, 3))
    now = before.copy()
    now[70:100, 20:60] = rng.integers(20, 230, (30, 40, 3))
    darker = (now * 0.7).astype(np.uint8)  # dusk falls in between
    return before, darker, np.array([(20, 20, 60, 50), (20, 70, 60, 100), (100, 20, 140, 50)], float)


def test_the_gaps_of_a_track_are_filled_and_nothing_is_stored(empty_project, images) -> None:
    project = empty_project
    frames = take_in(project, images)
    store = project.store
    store.add_annotations(
        [
            label("a", (0, 0, 20, 20), frame_id=frames[0].id, track_id="t"),
            label("b", (40, 8, 60, 28), frame_id=frames[4].id, track_id="t", score=0.4),
            label("c", (1, 1, 5, 5), frame_id=frames[2].id),
        ],
        "import",
    )
    store.set_frame_excluded(frames[3].id, True)
    made = interpolated(project, "b")
    assert [entry.frame_id for entry in made] == [frames[1].id, frames[2].id]
    assert [entry.bbox_xyxy for entry in made] == [(10, 2, 30, 22), (20, 4, 40, 24)]
    assert {(entry.track_id, entry.score) for entry in made} == {("t", None)}
    assert len(store.annotations("cheap")) == 3
    with pytest.raises(DataError, match="belongs to no track"):
        interpolated(project, "c")


def test_parked_things_come_from_the_last_labelled_frame(empty_project, images) -> None:
    project = empty_project
    frames = take_in(project, images)
    store = project.store
    assert parked(project, frames[3].id, "cheap") == []
    store.add_annotations(
        [
            label("stands", STANDS, frame_id=frames[1].id),
            label("leaves", LEAVES, frame_id=frames[1].id),
        ],
        "import",
    )
    assert [entry.id for entry in parked(project, frames[3].id, "cheap")] == ["stands"]
    store.add_annotations([label("known", STANDS, frame_id=frames[2].id)], "import")
    assert parked(project, frames[2].id, "cheap") == []


STANDS, LEAVES = (10, 10, 50, 40), (70, 10, 110, 40)


@pytest.fixture
def images(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(5)
    car, other = rng.integers(0, 255, (2, 30, 40, 3), np.uint8)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        picture = np.full((90, 120, 3), 100, np.uint8)
        picture[10:40, 10:50] = car
        if number < 2:
            picture[10:40, 70:110] = other
        picture[80:, number * 20 : number * 20 + 20] = 10  # no two frames are the same file
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


def take_in(project, images) -> list[Frame]:
    from curate.workflows.ingest import ingest

    ingest(project, [images])
    return sorted(project.store.frames(), key=lambda frame: frame.name)
