from __future__ import annotations

import numpy as np
import pytest

from curate.errors import DataError
from curate.issues import FramePool, Objects, choose_varied, committee_doubt

NOTHING = Objects(np.zeros(0, np.int64), np.zeros((0, 1), np.int64), np.zeros(0))


def pool(count: int, **changes: object) -> FramePool:
    values: dict[str, object] = {
        "labelled": np.zeros(count, bool),
        "allowed": np.ones(count, bool),
        "times": np.arange(count) * 100.0,
        "clips": np.zeros(count, np.int64),
        "repeats": np.arange(count),
        "doubt": np.full(count, 0.5),
    }
    return FramePool(**(values | changes))


def test_the_doubtful_frame_comes_first_when_all_else_is_equal() -> None:
    doubt = np.array([0.1, 0.9, 0.3])
    assert [pick.row for pick in choose_varied(pool(3, doubt=doubt), NOTHING, NOTHING, 3)] == [1, 2, 0]


def test_looks_spread_over_the_clusters_of_the_embedding() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4)
    vectors = np.repeat(centres, 10, axis=0) + rng.normal(0, 0.02, (40, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labelled = np.arange(40) < 10  # The first cluster is labelled.
    picks = choose_varied(pool(40, vectors=vectors, labelled=labelled), NOTHING, NOTHING, 3)
    assert sorted(pick.row // 10 for pick in picks) == [1, 2, 3]


def test_the_rare_cell_is_chosen_and_counts_as_labelled_afterwards() -> None:
    labels = Objects(np.zeros(30, np.int64), np.full((30, 1), 7), np.ones(30))
    seen = Objects(np.array([1, 2, 3]), np.array([[7], [8], [8]]), np.ones(3))
    labelled = np.array([True, False, False, False])
    picks = choose_varied(pool(4, labelled=labelled), labels, seen, 3)
    assert picks[0].row in (2, 3)
    assert picks[0].held == 0
    assert picks[0].rarity > picks[-1].rarity


def test_neighbours_in_time_come_late_and_near_duplicates_never() -> None:
    times = np.array([0.0, 0.5, 60.0])
    picks = choose_varied(pool(3, times=times, labelled=np.array([True, False, False])), NOTHING, NOTHING, 2)
    assert [pick.row for pick in picks] == [2, 1]
    repeats = np.array([0, 0, 2])
    again = pool(3, times=times, labelled=np.array([True, False, False]), repeats=repeats)
    assert [pick.row for pick in choose_varied(again, NOTHING, NOTHING, 2)] == [2]


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"allowed": np.zeros(3, bool)}, []),  # nothing is fit
        ({"labelled": np.ones(3, bool)}, []),  # nothing is left
        ({"doubt": np.full(3, np.nan)}, [0, 1, 2]),  # no detector knows the classes
    ],
)
def test_what_is_left_when_something_is_missing(changes: dict[str, object], rows: list[int]) -> None:
    assert sorted(pick.row for pick in choose_varied(pool(3, **changes), NOTHING, NOTHING, 5)) == rows


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="doubt needs 3 rows"):
        pool(3, doubt=np.zeros(2))
    with pytest.raises(DataError, match="finite vectors"):
        pool(3, vectors=np.full((3, 2), np.nan))


def test_detectors_that_disagree_or_hesitate_make_a_frame_doubtful() -> None:
    box = [10.0, 10.0, 30.0, 60.0]
    frames = np.array([0, 0, 1, 2, 2])
    scores = np.array([0.95, 0.95, 0.9, 0.5, 0.5])
    members = np.array([0, 1, 0, 0, 1])
    doubt = committee_doubt(frames, np.array([box] * 5), scores, np.zeros(5, np.int64), members, 4)
    agreed, alone, hesitant, empty = doubt
    assert agreed < alone < 1
    assert agreed < hesitant < 1
    assert empty == 0
