from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import DataError
from curate.splits import assign_folds, near_in_time, pick_gold_blocks, time_blocks, training_frames


def test_a_block_never_spans_two_clips_and_a_short_rest_joins_its_neighbour() -> None:
    times = np.array([0, 1, 4.9, 5, 9.9, 11, 0, 1, 2.0])
    clips = ["a"] * 6 + ["b"] * 3
    assert time_blocks(times, clips, 5).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@given(st.integers(2, 60), st.integers(2, 5), st.floats(0, 3))
def test_no_training_frame_is_near_its_fold(blocks: int, folds: int, gap: float) -> None:
    times = np.arange(blocks * 10) * 0.5
    clips = ["clip"] * len(times)
    block_of = time_blocks(times, clips, 5)
    if blocks < folds:
        with pytest.raises(DataError, match="folds"):
            assign_folds(block_of, folds)
        return
    fold_of = assign_folds(block_of, folds)
    assert set(fold_of.tolist()) == set(range(folds))
    for block in range(blocks):
        assert len(set(fold_of[block_of == block].tolist())) == 1
    for fold in range(folds):
        keep = training_frames(fold_of, fold, times, clips, gap)
        assert np.abs(times[keep][:, None] - times[fold_of == fold][None]).min() > gap


def test_a_gap_that_eats_everything_says_what_to_change() -> None:
    times = np.arange(20.0)
    fold_of = assign_folds(time_blocks(times, ["c"] * 20, 5), 2)
    with pytest.raises(DataError, match="gap_seconds"):
        training_frames(fold_of, 0, times, ["c"] * 20, 100)


def test_other_clips_are_never_near() -> None:
    times = np.array([0.0, 1.0, 0.0, 1.0])
    assert near_in_time(times, ["a", "a", "b", "b"], np.array([True, False, False, False]), 5).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_gold_is_the_end_of_short_footage_and_spread_over_long() -> None:
    short = np.repeat(np.arange(8), 10)
    assert np.unique(short[pick_gold_blocks(short, 0.25)]).tolist() == [6, 7]
    long = np.repeat(np.arange(40), 3)
    chosen = np.unique(long[pick_gold_blocks(long, 0.25)])
    assert len(chosen) == 10
    assert np.diff(chosen).min() >= 3
    with pytest.raises(DataError, match="two blocks"):
        pick_gold_blocks(np.zeros(5, int), 0.25)
