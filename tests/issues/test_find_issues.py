"""Each type of error is found where it is, with the right proposal; what is right is left alone."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from curate.annotations import IssueType, ProposalKind
from curate.errors import DataError
from curate.geometry.boxes import box_iou
from curate.geometry.shapes import Polygon
from curate.issues import (
    DetectionTable,
    FinderInputs,
    FinderSettings,
    FrameHealth,
    LabelEvidence,
    LabelTable,
    PlaceEvidence,
    find_issues,
    issue_looks,
    link_tracks,
    review_gain,
    score,
)


def _first(issues, kind):
    found = [issue for issue in issues if issue.type is kind]
    assert found, f"no {kind} among {[(i.type.value, round(i.probability, 2)) for i in issues[:5]]}"
    return found[0]


def test_nothing_is_wrong_with_right_labels(kit):
    issues = find_issues(kit.build(*kit.world()), kit.classes)
    assert [issue for issue in issues if issue.probability > 0.3] == []


def test_drop_is_found_as_missing_with_box_and_class(kit):
    rows, seen = kit.world()
    gone = rows.pop(50)
    issue = find_issues(kit.build(rows, seen), kit.classes)[0]
    assert issue.type is IssueType.MISSING
    assert issue.probability > 0.7
    assert issue.frame_id == kit.frames().ids[gone.frame]
    assert issue.proposal.kind is ProposalKind.ADD
    assert issue.proposal.label == kit.classes[gone.klass]
    assert box_iou(np.array(issue.proposal.bbox_xyxy), np.array(gone.box))[0, 0] > 0.8


def test_missing_person_beside_a_labelled_car_is_found(kit):
    """A detection that overlaps another label is still a candidate: no cut-off on the overlap."""
    rows, seen = kit.world()
    seen.append(kit.seen(20, (560, 30, 590, 100)))
    issue = _first(find_issues(kit.build(rows, seen), kit.classes), IssueType.MISSING)
    assert issue.bbox_xyxy == (560, 30, 590, 100)
    assert issue.probability > 0.5


def test_detection_on_empty_background_is_no_missing_person(kit):
    rows, seen = kit.world()
    seen += [kit.seen(frame, (300, 20, 320, 70), score=0.6, foreground=0.0) for frame in range(50)]
    issues = find_issues(kit.build(rows, seen), kit.classes)
    assert max((i.probability for i in issues if i.type is IssueType.MISSING), default=0) < 0.3


def test_unlabelled_parked_car_is_one_decision(kit):
    rows, seen = kit.world()
    rows = [row for row in rows if row.klass == 0]
    issues = find_issues(kit.build(rows, seen), kit.classes)
    looks = issue_looks([issue for issue in issues if issue.type is IssueType.MISSING])
    assert len(looks[0]) == 60
    assert {issue.label for issue in looks[0]} == {"car"}
    assert {issue.proposal.kind for issue in looks[0]} == {ProposalKind.ADD}


def test_car_labelled_on_most_frames_is_missed_on_the_others(kit):
    rows, seen = kit.world()
    gone = next(row for row in rows if row.klass == 1 and row.frame == 30)
    rows.remove(gone)
    seen = [replace(item, score=0.5) if item.klass == 1 and item.frame == 30 else item for item in seen]
    issue = _first(find_issues(kit.build(rows, seen), kit.classes), IssueType.MISSING)
    assert issue.label == "car"
    assert issue.evidence["ledger"] > 0.8
    assert issue.probability > 0.5


def test_box_on_nothing_is_spurious(kit):
    rows, seen = kit.world()
    rows.append(kit.row(11, (300, 10, 330, 70), person=0.03, foreground=0.01, size_z=4.0, name="nothing"))
    issue = find_issues(kit.build(rows, seen), kit.classes)[0]
    assert (issue.type, issue.annotation_id) == (IssueType.SPURIOUS, "nothing")
    assert issue.probability > 0.7
    assert issue.proposal.kind is ProposalKind.DELETE_LABEL
    assert re.search(r"sees a person here \(0\.03\)", issue.explanation)
    assert "1 % of the box differs from the empty scene" in issue.explanation


def test_tripod_that_the_detector_confirms_is_found_and_is_one_look(kit):
    """The standing false box: out-of-fold detectors learned to see it; place and plate still give it away."""
    rows, seen = kit.world()
    for frame in range(2, 58):
        rows.append(kit.row(frame, (300, 30, 322, 70), person=0.8, foreground=0.01, size_z=3.0))
        seen.append(kit.seen(frame, (300, 30, 322, 70), score=0.8, foreground=0.01))
    issues = find_issues(kit.build(rows, seen), kit.classes)
    looks = issue_looks(issues)
    assert {issue.type for issue in looks[0]} == {IssueType.SPURIOUS}
    assert len(looks[0]) == 56
    assert len({issue.group_id for issue in looks[0]}) == 1
    assert looks[0][0].probability > 0.7
    assert "stands on 56 of 60 frames" in looks[0][0].explanation
    assert "settles 56" in looks[0][0].explanation
    assert review_gain(issues)[0] > 40
    # Nothing else of the queue is probable, so one look was all that was needed.
    assert all(issue.probability < 0.3 for look in looks[1:] for issue in look)


def test_standing_person_and_parked_car_are_not_called_spurious(kit):
    rows, seen = kit.world()
    for frame in range(15, 40):
        sway = 2.0 * np.sin(frame)
        box = (300 + sway, 300, 326 + sway, 366 - sway)
        rows.append(kit.row(frame, box, person=0.95, foreground=0.15, source=0.9))
        seen.append(kit.seen(frame, box, score=0.95, foreground=0.15))
    issues = find_issues(kit.build(rows, seen), kit.classes)
    assert max((i.probability for i in issues if i.type is IssueType.SPURIOUS), default=0) < 0.5


def test_somebody_who_walks_past_the_tripod_is_not_in_its_group(kit):
    rows, seen = kit.world()
    for frame in range(2, 58):
        passing = frame in (20, 21)
        rows.append(
            kit.row(frame, (300, 300, 324, 370), person=0.8, foreground=0.6 if passing else 0.0,
                    name=f"passing-{frame}" if passing else "", size_z=0.2 if passing else 3.0)
        )  # fmt: skip
    issues = find_issues(kit.build(rows, seen), kit.classes)
    group = next(look for look in issue_looks(issues) if len(look) > 2)
    assert len(group) == 54
    assert not any((issue.annotation_id or "").startswith("passing") for issue in group)


def test_wrong_class_is_found_and_relabelled(kit):
    rows, seen = kit.world()
    rows[40] = kit.replace(rows[40], klass=1, agreement=0.1, name="flipped")
    issue = find_issues(kit.build(rows, seen), kit.classes)[0]
    assert (issue.type, issue.annotation_id) == (IssueType.WRONG_CLASS, "flipped")
    assert issue.proposal.kind is ProposalKind.RELABEL
    assert issue.proposal.label == "person"
    assert "gives car 0.02 and person 0.90" in issue.explanation


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
    issue = _first(issues, IssueType.DUPLICATE)
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
    issue = _first(find_issues(bare, kit.classes), IssueType.INACCURATE_MASK)
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
    issue = _first(find_issues(bare, kit.classes), IssueType.BAD_LOCATION)
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
    issue = _first(find_issues(FinderInputs(inputs.frames, inputs.labels), kit.classes), IssueType.MISSING)
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


def test_one_class_says_why_wrong_class_does_not_apply(kit):
    rows, seen = kit.world()
    rows = [replace(row, car=0.0) for row in rows if row.klass == 0]
    seen = [item for item in seen if item.klass == 0]
    inputs = kit.build(rows, seen)
    probs = np.delete(np.asarray(inputs.label_evidence.class_probs), 1, axis=1)
    inputs = replace(inputs, label_evidence=replace(inputs.label_evidence, class_probs=probs))
    scored = score(inputs, ("person",))
    assert "only one class" in scored.notes[IssueType.WRONG_CLASS]
    assert not scored.probabilities[IssueType.WRONG_CLASS].any()
    assert not [issue for issue in find_issues(inputs, ("person",)) if issue.probability > 0.3]


def test_no_evidence_at_all_is_no_accusation(kit):
    inputs = kit.build(*kit.world())
    bare = FinderInputs(inputs.frames, replace(inputs.labels, source_scores=None))
    scored = score(bare, kit.classes)
    assert "no evidence" in scored.notes[IssueType.OUTLIER]
    assert "no label has a mask" in scored.notes[IssueType.INACCURATE_MASK]
    assert not [issue for issue in find_issues(bare, kit.classes) if issue.probability > 0.3]


def test_empty_tables(kit):
    assert find_issues(kit.build([], []), kit.classes) == []
    assert find_issues(kit.build([], [], 0), kit.classes) == []
    assert find_issues(kit.build(kit.world()[0], []), kit.classes) is not None
    only_seen = find_issues(kit.build([], kit.world()[1]), kit.classes)
    assert {issue.type for issue in only_seen} == {IssueType.MISSING}


def test_nan_evidence_counts_as_unknown(kit):
    inputs = kit.build(*kit.world())
    rows = len(inputs.labels)
    hollow = LabelEvidence(
        class_probs=np.full((rows, 3), np.nan), refined_boxes=np.full((rows, 4), np.nan),
        location_scores=np.full(rows, np.nan), foreground=np.full(rows, np.nan),
        size_z=np.full((rows, 2), np.nan), edge_contrast=np.full(rows, np.nan),
    )  # fmt: skip
    scores = np.array(inputs.detections.scores)
    scores[::3] = np.nan
    inputs = replace(inputs, label_evidence=hollow, detections=replace(inputs.detections, scores=scores))
    issues = find_issues(inputs, kit.classes)
    assert all(np.isfinite([issue.severity, issue.probability]).all() for issue in issues)
    assert all(np.isfinite(list(issue.evidence.values())).all() for issue in issues)


def test_zero_area_and_crowded_frames_do_not_break_anything(kit):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 400, (3000, 2))
    rows = [kit.row(0, (x, y, x + 20, y + 50)) for x, y in corners.tolist()]
    rows += [kit.row(0, (50, 50, 50, 50)), kit.row(1, (10, 10, 5, 40))]
    issues = find_issues(kit.build(rows, []), kit.classes)
    assert all(0 <= issue.probability <= 1 for issue in issues)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: replace(i, labels=replace(i.labels, frames=i.labels.frames + 60)), "60 frames"),
        (lambda i: replace(i, labels=replace(i.labels, boxes=i.labels.boxes[:, :3])), "shape"),
        (lambda i: replace(i, labels=replace(i.labels, boxes=i.labels.boxes * np.nan)), "finite"),
        (lambda i: replace(i, detections=replace(i.detections, frames=i.detections.frames - 1)), "frame -1"),
        (
            lambda i: replace(i, label_evidence=replace(i.label_evidence, foreground=np.zeros(3))),
            "foreground needs shape",
        ),
    ],
)
def test_tables_that_do_not_fit_are_one_clear_error(kit, change, message):
    with pytest.raises(DataError, match=message):
        change(kit.build(*kit.world()))


def test_classes_outside_the_list_are_one_clear_error(kit):
    inputs = kit.build(*kit.world())
    with pytest.raises(DataError, match="has class 1, but there are 1 classes"):
        find_issues(inputs, ("person",))
    with pytest.raises(DataError, match="class_probs needs 4 columns"):
        find_issues(inputs, ("person", "car", "bus"))


def test_ignored_and_reviewed_labels_get_no_issue_but_explain_detections(kit):
    rows, seen = kit.world()
    rows.append(kit.row(11, (300, 10, 330, 70), person=0.03, foreground=0.01, name="nothing"))
    rows.append(kit.row(12, (100, 10, 200, 80), name="crowd"))
    seen.append(kit.seen(12, (110, 15, 130, 70)))
    inputs = kit.build(rows, seen)
    reviewed = np.array([name == "nothing" for name in inputs.labels.ids])
    counts = np.array([name != "crowd" for name in inputs.labels.ids])
    inputs = replace(inputs, labels=replace(inputs.labels, reviewed=reviewed, counts=counts))
    issues = find_issues(inputs, kit.classes)
    assert not [issue for issue in issues if issue.annotation_id in ("nothing", "crowd")]
    assert not [issue for issue in issues if issue.type is IssueType.MISSING and issue.probability > 0.3]


def test_ids_stay_and_change_with_the_revision(kit):
    rows, seen = kit.world()
    rows.append(kit.row(11, (300, 10, 330, 70), person=0.03, foreground=0.01, name="nothing"))
    inputs = kit.build(rows, seen)
    first, again = find_issues(inputs, kit.classes), find_issues(inputs, kit.classes)
    assert [issue.id for issue in first] == [issue.id for issue in again]
    assert len({issue.id for issue in first}) == len(first)
    revised = replace(inputs, labels=replace(inputs.labels, revisions=inputs.labels.revisions + 1))
    later = _first(find_issues(revised, kit.classes), IssueType.SPURIOUS)
    assert later.annotation_id == "nothing"
    assert later.id != first[0].id


def test_missing_object_keeps_its_id_when_the_detector_moves_a_little(kit):
    rows, seen = kit.world()
    gone = rows.pop(50)
    before = find_issues(kit.build(rows, seen), kit.classes)[0]
    moved = [
        replace(item, box=tuple(value + 2.7 for value in item.box)) if item.frame == gone.frame else item
        for item in seen
    ]
    after = [
        issue
        for issue in find_issues(kit.build(rows, moved), kit.classes, known=[before])
        if issue.type is IssueType.MISSING and issue.probability > 0.5
    ]
    assert [issue.id for issue in after] == [before.id]


def test_queue_is_sorted_and_each_label_stands_in_it_once(kit):
    rows, seen = kit.world()
    rng = np.random.default_rng(3)
    for index in rng.choice(len(rows), 40, replace=False):
        rows[index] = kit.replace(rows[index], person=float(rng.random()), foreground=float(rng.random()))
    issues = find_issues(kit.build(rows, seen), kit.classes, FinderSettings(min_probability=0.0))
    severities = [issue.severity for issue in issues]
    assert severities == sorted(severities, reverse=True)
    assert 0 <= min(severities) <= max(severities) <= 1
    named = [issue.annotation_id for issue in issues if issue.annotation_id]
    assert len(named) == len(set(named))


def test_settings_limit_the_queue(kit):
    rows, seen = kit.world()
    inputs = kit.build(rows, seen)
    everything = find_issues(inputs, kit.classes, FinderSettings(min_probability=0.0))
    few = find_issues(inputs, kit.classes, FinderSettings(min_probability=0.0, max_per_type=3))
    assert len(everything) > len(few)
    assert max(sum(issue.type is kind for issue in few) for kind in IssueType) == 3


def test_given_places_are_used(kit):
    rows, seen = kit.world()
    inputs = kit.build(rows, seen)
    count = len(rows)
    places = PlaceEvidence(np.zeros(count, int), np.full(count, 60), np.ones(count), np.full(count, 0.95))
    fixed = replace(inputs, label_evidence=replace(inputs.label_evidence, places=places))
    plain = score(inputs, kit.classes).probabilities[IssueType.SPURIOUS]
    doubted = score(fixed, kit.classes).probabilities[IssueType.SPURIOUS]
    person = inputs.labels.classes == 0
    assert (doubted[person] > plain[person]).all()
    assert doubted[~person] == pytest.approx(plain[~person])


def test_hundred_thousand_labels(kit):
    """Scoring has no loop over frames or labels: this would take minutes otherwise."""
    rng = np.random.default_rng(0)
    frames, labels, found = 10_000, 100_000, 120_000
    corners = rng.uniform(0, 560, (labels, 2)) * [1, 0.7]
    boxes = np.concatenate([corners, corners + rng.uniform(15, 60, (labels, 2))], 1)
    at = np.sort(rng.integers(frames, size=labels))
    chosen = rng.integers(labels, size=found)
    table = LabelTable(
        tuple(str(index) for index in range(labels)), np.zeros(labels, int), at, boxes,
        rng.integers(2, size=labels),
    )  # fmt: skip
    detections = DetectionTable(
        at[chosen], boxes[chosen] + rng.normal(0, 2, (found, 4)), rng.random(found), table.classes[chosen]
    )
    evidence = LabelEvidence(
        class_probs=rng.dirichlet([5, 5, 1], labels), foreground=rng.random(labels), refined_boxes=boxes + 1.0
    )
    inputs = FinderInputs(kit.frames(frames), table, detections, evidence)
    scored = score(inputs, kit.classes)
    assert len(scored.probabilities[IssueType.SPURIOUS]) == labels
    assert np.isfinite(scored.probabilities[IssueType.MISSING]).all()


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
