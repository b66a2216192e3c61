"""What the finders say of inputs that lack something, and the rules of the queue that they make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curate.annotations import IssueType
from curate.errors import DataError
from curate.issues import (
    DetectionTable,
    FinderInputs,
    FinderSettings,
    LabelEvidence,
    LabelTable,
    PlaceEvidence,
    find_issues,
    score,
)


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
    later = kit.first(find_issues(revised, kit.classes), IssueType.SPURIOUS)
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
