"""Boxes, masks, doubles, tracks, odd crops and frames: every kind of error about shape, time and picture is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curate.annotations import IssueType, ProposalKind
from curate.geometry.boxes import box_iou
from curate.geometry.shapes import Polygon
from curate.issues import (
    FinderInputs,
    FrameHealth,
    find_issues,
    link_tracks,
    score,
)


def test_shifted_box_is_found_and_put_back(kit):
    rows, seen = kit.world()
    right = rows[60].box
    wrong = (right[0] + 9, right[1] + 12, right[2] + 9, right[3] + 12)
    rows[60] = kit.replace(rows[60], box=wrong, refined=right, location=0.5, name="shifted")
    issue = find_issues(kit.build(rows, seen), kit.classes)[0]
    assert (issue.type, issue.annotation_id) == (IssueType.BAD_LOCATION, "shifted")
    assert issue.probability > 0.5
    assert issue.proposal.kind is ProposalKind.EDIT
    assert box_iou(np.array(issue.proposal.bbox_xyxy), np.array(right))[0, 0] > 0.85


def test_the_box_that_the_others_agree_with_is_proposed(kit):
    """A snapped box that took in a shadow loses against detector and detection that agree."""
    rows, seen = kit.world()
    right = rows[60].box
    rows[60] = kit.replace(
        rows[60], box=(right[0] + 9, right[1] + 12, right[2] + 9, right[3] + 12), refined=right, location=0.5
    )
    inputs = kit.build(rows, seen)
    snapped = np.full((len(rows), 4), np.nan)
    snapped[60] = (right[0] - 30, right[1], right[2], right[3])
    inputs = replace(inputs, label_evidence=replace(inputs.label_evidence, snapped_boxes=snapped))
    issue = find_issues(inputs, kit.classes)[0]
    assert box_iou(np.array(issue.proposal.bbox_xyxy), np.array(right))[0, 0] > 0.85


def test_duplicate_goes_and_the_better_box_stays(kit):
    rows, seen = kit.world()
    x1, y1, x2, y2 = rows[60].box
    rows.append(kit.row(rows[60].frame, (x1 + 3, y1 + 4, x2 + 3, y2), name="double", refined=rows[60].box))
    issues = find_issues(kit.build(rows, seen), kit.classes)
    issue = kit.first(issues, IssueType.DUPLICATE)
    assert issue.annotation_id == "double"
    assert issue.proposal.kind is ProposalKind.DELETE_LABEL
    assert sum(i.probability > 0.3 for i in issues) == 1


def test_mask_that_disagrees_is_replaced(kit):
    rows, seen = kit.world()
    rows, seen = rows[:100], [item for item in seen if item.frame < 20]
    true = [kit.ellipse(row.box) for row in rows]
    masks = list(true)
    x1, y1, x2, y2 = rows[42].box
    masks[42] = kit.ellipse((x1, y1, x2, y1 + (y2 - y1) / 2))
    inputs = kit.build(rows, seen, 20)
    inputs = replace(
        inputs,
        labels=replace(inputs.labels, masks=tuple(masks)),
        label_evidence=replace(
            inputs.label_evidence, predicted_masks=tuple(true), mask_scores=np.full(len(rows), 0.8)
        ),
    )
    issue = find_issues(inputs, kit.classes)[0]
    assert (issue.type, issue.annotation_id) == (IssueType.INACCURATE_MASK, inputs.labels.ids[42])
    assert issue.proposal.kind is ProposalKind.EDIT
    assert issue.proposal.mask == true[42]


def test_polygon_that_crosses_itself_is_found_without_any_model(kit):
    rows, _ = kit.world()
    rows = rows[:20]
    bow = (Polygon(((0.0, 0.0), (20.0, 20.0), (20.0, 0.0), (0.0, 20.0))),)
    inputs = kit.build(rows, [])
    masks = [None] * len(rows)
    masks[3] = bow
    bare = FinderInputs(inputs.frames, replace(inputs.labels, masks=tuple(masks)))
    issue = kit.first(find_issues(bare, kit.classes), IssueType.INACCURATE_MASK)
    assert issue.annotation_id == inputs.labels.ids[3]
    assert "crosses itself" in issue.explanation


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((-40.0, 100.0, 20.0, 160.0), "outside the frame"),
        ((100.0, 100.0, 101.0, 160.0), "too thin"),
    ],
)
def test_impossible_boxes_are_found_without_any_model(kit, box, words):
    inputs = kit.build([kit.row(3, box)], [])
    bare = FinderInputs(inputs.frames, inputs.labels)
    issue = kit.first(find_issues(bare, kit.classes), IssueType.BAD_LOCATION)
    assert words in issue.explanation


def test_label_that_leaves_its_track_is_found_without_any_model(kit):
    rows, _ = kit.world()
    index = next(i for i, row in enumerate(rows) if row.frame == 30 and row.klass == 0)
    x1, y1, x2, y2 = rows[index].box
    rows[index] = kit.replace(rows[index], box=(x1, y1 - 22, x2, y2 + 30), name="jump")
    inputs = kit.build(rows, [])
    tracks = tuple("car" if row.klass else f"walker-{int((row.box[3] - 60) // 75)}" for row in rows)
    bare = FinderInputs(inputs.frames, replace(inputs.labels, tracks=tracks))
    issue = find_issues(bare, kit.classes)[0]
    assert issue.annotation_id == "jump"
    assert issue.type in (IssueType.INCONSISTENT_TRACK, IssueType.BAD_LOCATION)


def test_gap_in_a_track_is_a_candidate_even_without_detections(kit):
    rows, _ = kit.world()
    gone = next(row for row in rows if row.frame == 30 and row.klass == 0)
    rows.remove(gone)
    inputs = kit.build(rows, [])
    issue = kit.first(find_issues(FinderInputs(inputs.frames, inputs.labels), kit.classes), IssueType.MISSING)
    assert box_iou(np.array(issue.bbox_xyxy), np.array(gone.box))[0, 0] > 0.9
    assert "just before and after" in issue.explanation


def test_outlier_is_shown_without_proposal(kit):
    rows, seen = kit.world()
    inputs = kit.build(rows, seen)
    far = np.linspace(0, 0.9, len(rows))
    far[30] = 1.0
    agreement = np.full(len(rows), 0.95)
    agreement[30] = 0.2
    size_z = np.full((len(rows), 2), 0.3)
    size_z[30] = 5
    inputs = replace(
        inputs,
        label_evidence=replace(
            inputs.label_evidence, outlier=far, neighbour_agreement=agreement, size_z=size_z
        ),
    )
    scored = score(inputs, kit.classes)
    assert scored.probabilities[IssueType.OUTLIER].argmax() == 30


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("sharpness", {40: 3.0}, "less sharp"),
        ("brightness", {40: 4.0}, "too dark"),
        ("change", {40: 0.0}, "not changed"),
        ("shift", {40: 14.0}, "camera has moved"),
    ],
)
def test_bad_frames(kit, name, values, words):
    usual = {"sharpness": 100.0, "brightness": 110.0, "change": 3.0, "shift": 0.2}[name]
    measured = np.full(60, usual) + np.random.default_rng(0).normal(0, 0.02 * usual, 60)
    for frame, value in values.items():
        measured[frame] = value
    inputs = kit.build(*kit.world())
    health = FrameHealth(**{name: measured})
    inputs = replace(inputs, frames=replace(inputs.frames, health=health))
    issue = find_issues(inputs, kit.classes)[0]
    assert (issue.type, issue.frame_id) == (IssueType.BAD_FRAME, inputs.frames.ids[40])
    assert issue.proposal.kind is ProposalKind.EXCLUDE_FRAME
    assert words in issue.explanation


def test_certain_verdict_about_a_frame_comes_through_with_its_word(kit):
    inputs = kit.build([], [])
    verdicts = tuple(("offline",) if index == 5 else () for index in range(60))
    inputs = replace(inputs, frames=replace(inputs.frames, health=FrameHealth(verdicts=verdicts)))
    (issue,) = find_issues(inputs, kit.classes)
    assert issue.probability > 0.9
    assert issue.explanation.startswith("Offline frame")


def test_links_follow_people_who_move_by_their_own_width(kit):
    rows, _ = kit.world()
    inputs = kit.build(rows, [])
    links = link_tracks(inputs.frames, inputs.labels)
    walker = np.array([4 if row.klass else round((row.box[1] - 90) / 75) for row in rows])
    for number in range(5):
        assert len(np.unique(links.tracks[walker == number])) == 1
    assert len(np.unique(links.tracks)) == 5


def test_tracks_do_not_cross_recordings(kit):
    rows, _ = kit.world(20)
    inputs = kit.build(rows, [], 20)
    clips = tuple("a" if index < 10 else "b" for index in range(20))
    links = link_tracks(replace(inputs.frames, clips=clips), inputs.labels)
    late = np.asarray(inputs.labels.frames) >= 10
    assert not set(links.tracks[late]) & set(links.tracks[~late])
