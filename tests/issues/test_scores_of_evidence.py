"""What single pieces of evidence say: outlines, doubles, tracks, cameras that stand elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curate.annotations import IssueType
from curate.geometry.rle import mask_to_rle
from curate.issues import FrameHealth, gather, scores
from curate.issues.masks import mask_overlap, straightness
from curate.issues.spec import SPECS

NAN = float("nan")


def _of(kit, inputs, kind: IssueType, name: str) -> np.ndarray:
    table = gather(inputs, kit.classes).features[kind]
    return table.values[:, SPECS[kind].names.index(name)]


def test_two_sources_that_agree_against_the_label_speak_louder_than_one():
    label = np.array([[0.0, 0, 10, 20]] * 4)
    moved = np.array([[5.0, 0, 15, 20]])
    other = np.array([[0.0, 8, 10, 28]])
    first = np.concatenate([moved, moved, label[:1], [[NAN] * 4]])
    second = np.concatenate([moved, other, label[:1], moved])
    found = scores.elsewhere(label, first, second)
    assert found[0] == 1
    assert found[1] == 0, "they do not agree with one another"
    assert found[2] == 0
    assert np.isnan(found[3])


def test_a_label_without_neighbours_in_time_is_suspicious_only_where_labels_have_some():
    before, after = np.array([-1, 0, 1, -1, 4]), np.array([1, 2, 4, -1, -1])
    assert np.isnan(scores.untracked(before, after)).all(), "less than half have both"
    found = scores.untracked(np.array([9, 0, 1, -1, -1]), np.array([1, 2, 3, 4, -1]))
    assert found.tolist() == [0, 0, 0, 0.5, 1]
    assert scores.untracked(np.zeros(0, int), np.zeros(0, int)).shape == (0,)


def test_an_empty_place_counts_for_parked_classes_where_it_is_labelled_once():
    still = np.array([True, True, True, False])
    found = scores.empty_once(np.array([0.0, 0, 0.6, 0]), np.full(4, 0.6), still, np.array([1, 5, 1, 1]))
    assert found[:3].tolist() == [1, 0, 0]
    assert np.isnan(found[3])


def test_a_recording_from_another_position_has_no_moved_frames():
    moved = np.array([0.5, 0.6, 0.5, 0.0, 0.0, 0.9, 0.0])
    settled = scores.moved_for_good(moved, ("a", "a", "a", "b", "b", "b", "b"))
    assert settled.tolist() == [True, True, True, False, False, False, False]
    assert scores.moved_for_good(np.zeros(0), ()).shape == (0,)


def test_frames_of_a_moved_recording_are_no_issues(kit):
    rows, seen = kit.world()
    inputs = kit.build(rows, seen)
    count = len(inputs.frames)
    half = np.arange(count) < count // 2
    health = FrameHealth(
        shift=np.where(half, 9.0, 0.0),
        verdicts=tuple(("moved",) if first else () for first in half),
    )
    clips = tuple("first" if first else "second" for first in half)
    inputs = replace(inputs, frames=replace(inputs.frames, clips=clips, health=health))
    assert not _of(kit, inputs, IssueType.BAD_FRAME, "verdict").any()
    assert not _of(kit, inputs, IssueType.BAD_FRAME, "moved").any()
    one = replace(health, shift=np.where(np.arange(count) == 3, 9.0, 0.0))
    inputs = replace(inputs, frames=replace(inputs.frames, health=one))
    assert np.flatnonzero(_of(kit, inputs, IssueType.BAD_FRAME, "moved")).tolist() == [3]


def test_agreement_of_masks_is_measured_against_what_the_site_reaches():
    usual = np.full(40, 0.8)
    found = scores.mask_disagreement(np.append(usual, [0.5, 0.65, NAN]))
    assert found[:40].max() == pytest.approx(0)
    assert found[40] == 1
    assert found[41] == pytest.approx(0.5)
    assert np.isnan(found[42])
    # Few labels say nothing about what is usual.
    assert scores.mask_disagreement(np.array([0.8]))[0] == pytest.approx(0.4)


def test_emptiness_counts_inside_a_mask_and_not_where_all_of_it_is_empty():
    found = scores.hollow(np.append(np.zeros(40), [0.3, 0.95]))
    assert found[40] == 1
    assert np.isnan(found[41])


def test_few_corners_and_shared_masks():
    rows, columns = np.ogrid[:100, :100]
    ring = (rows - 50) ** 2 + (columns - 50) ** 2
    disc, square, empty = ring <= 800, np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    square[20:80, 20:80] = True
    half = square.copy()
    half[50:] = False
    round_, straight, none = straightness([mask_to_rle(disc), mask_to_rle(square), None])
    assert straight == pytest.approx(0.25, abs=0.01)
    assert round_ < 0.12
    assert np.isnan(none)
    masks = [mask_to_rle(mask) for mask in (half, disc, empty)]
    shared = mask_overlap(masks, [mask_to_rle(square)] * 3)
    assert shared[0] == 1
    assert shared[1] == 1
    assert np.isnan(shared[2])


def test_the_worse_of_two_labels_is_the_one_off_the_track(kit):
    rows, seen = kit.world()
    inputs = kit.build(rows, seen)
    of_clean = gather(inputs, kit.classes).context
    # A label with a place in a track, and a second one for the same object a little off.
    at = int(np.flatnonzero(np.isfinite(of_clean.expected).all(1) & (of_clean.doubles.iou < 0.1))[0])
    x1, y1, x2, y2 = rows[at].box
    double = kit.row(rows[at].frame, (x1 + 3, y1, x2 + 3, y2), rows[at].klass)
    again = kit.build([*rows, double], seen)
    doubles = gather(again, kit.classes).context.doubles
    assert doubles.partner[len(rows)] == at
    assert doubles.worse[len(rows)]
    assert not doubles.worse[at]
    assert _of(kit, again, IssueType.DUPLICATE, "overlap")[len(rows)] > 0.5
