"""Each type of error is found where it is, with the right proposal; what is right is left alone."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from curate.annotations import IssueType, ProposalKind
from curate.geometry.boxes import box_iou
from curate.issues import (
    find_issues,
    issue_looks,
    review_gain,
)


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
    issue = kit.first(find_issues(kit.build(rows, seen), kit.classes), IssueType.MISSING)
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
    issue = kit.first(find_issues(kit.build(rows, seen), kit.classes), IssueType.MISSING)
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
    assert "settles" not in looks[0][0].explanation, "how many is counted when it is shown"
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
