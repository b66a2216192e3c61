"""The coverage page's values: what a cell holds, what can be expected there, what is thin."""

from __future__ import annotations

import pandas as pd
import pytest

from crossguard_app.presenters.coverage import (
    cell_frames,
    coverage_view,
    frame_counts,
    place_boxes,
    thin_cells,
)
from curate.workflows.site_coverage import SiteCoverage

PLACES = (("far left", (0.0, 0.0, 10.0, 10.0)), ("near right", (10.0, 10.0, 20.0, 20.0)))
TIMES = ("morning", "noon", "night")


@pytest.fixture
def coverage() -> SiteCoverage:
    """Ten labelled frames each in the morning and at noon; at night two labelled and eight bare ones."""
    frames, labels = [], []
    for time in TIMES:
        for number in range(10):
            key = f"{time}-{number}"
            light = "dark" if time == "night" else "bright"
            bare = time == "night" and number > 1
            frames.append((key, time, light, "unlabelled" if bare else "labelled"))
            if not bare:
                labels.append((key, "far left", "person", False, time, light))
                if time == "morning":
                    labels += [(key, "far left", "car", False, time, light)] * 2
    frames += [("gold-1", "noon", "bright", "gold"), ("next-1", "noon", "bright", "held out")]
    labels.append(("gold-1", "near right", "person", True, "noon", "bright"))
    return SiteCoverage(
        PLACES,
        TIMES,
        ("dark", "bright"),
        ("person", "car"),
        pd.DataFrame(labels, columns=["frame_id", "place", "label", "gold", "time", "light"]),
        pd.DataFrame(frames, columns=["frame_id", "time", "light", "state"]),
    )


def view(coverage, rows: str, columns: str, *, gold: bool = False, least: int = 10, **only):
    return coverage_view(coverage, rows, columns, only, gold=gold, least=least)


def states(found) -> list[list[str]]:
    return [[cell.state for cell in row] for row in found.cells]


def test_a_cell_is_thin_against_what_other_footage_lets_one_expect(coverage) -> None:
    people = view(coverage, "place", "time", label="person")
    assert [[cell.count for cell in row] for row in people.cells] == [[10, 10, 2], [0, 0, 0]]
    assert states(people) == [["enough", "enough", "thin"], ["absent"] * 3]
    assert (people.thin, people.expected) == (1, 3)
    cars = view(coverage, "label", "time")
    assert states(cars)[1] == ["enough", "none", "none"]
    assert "7 to be expected" in cars.cells[1][1].says


def test_without_time_or_light_only_the_number_counts(coverage) -> None:
    assert states(view(coverage, "place", "label", least=25)) == [["thin", "thin"], ["absent", "absent"]]
    assert states(view(coverage, "place", "label", least=5)) == [["enough", "enough"], ["absent", "absent"]]


def test_two_axes_of_footage(coverage) -> None:
    found = view(coverage, "light", "time")
    assert states(found) == [["absent", "absent", "thin"], ["enough", "enough", "absent"]]


def test_gold_is_counted_on_gold_frames(coverage) -> None:
    found = view(coverage, "place", "time", gold=True, least=1)
    assert [[cell.count for cell in row] for row in found.cells] == [[0, 0, 0], [0, 1, 0]]
    assert states(found)[1] == ["absent", "enough", "absent"]


def test_what_is_thin_says_what_to_do(coverage) -> None:
    found = thin_cells(coverage, least=10)
    assert [(c.label, c.time, c.labels, c.unlabelled) for c in found] == [
        ("car", "night", 0, 8),
        ("car", "noon", 0, 0),
        ("person", "night", 2, 8),
    ]
    assert "8 unlabelled frames" in found[0].says
    assert "more such footage" in found[1].says
    assert thin_cells(coverage, least=1, most=1)[0].label == "car"


def test_the_frames_behind_a_cell(coverage) -> None:
    labelled, bare = cell_frames(coverage, {"place": "far left", "time": "morning"}, gold=False)
    assert (len(labelled), bare) == (10, [])
    labelled, bare = cell_frames(coverage, {"place": "far left", "time": "night"}, gold=False)
    assert (labelled, len(bare)) == (["night-0", "night-1"], 8)
    assert [count for _, _, count in place_boxes(coverage, gold=False, only={"label": "car"})] == [20, 0]
    assert frame_counts(coverage) == {"labelled": 22, "unlabelled": 8, "gold": 1, "held out": 1}
