"""Input that is broken or thin: a clear error, or the fallback that docs/finders.md names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from curate.annotations import IssueType
from curate.errors import DataError
from curate.issues import DetectionEvidence, DetectionTable, LabelEvidence, find_issues, gather, score


def probabilities(inputs: Any, kit: Any) -> dict[IssueType, Any]:
    scored = score(inputs, kit.classes)
    for kind, values in scored.probabilities.items():
        assert np.isfinite(values).all(), kind
        assert ((values >= 0) & (values <= 1)).all(), kind
    return dict(scored.probabilities)


def test_labels_without_masks_have_no_mask_issue_and_it_is_said(kit: Any) -> None:
    scored = score(kit.build(*kit.world()), kit.classes)
    assert not scored.probabilities[IssueType.INACCURATE_MASK].any()
    assert scored.notes[IssueType.INACCURATE_MASK] == "does not apply: no label has a mask"


def test_a_mask_on_some_labels_only(kit: Any) -> None:
    inputs = kit.build(*kit.world())
    masks: list[Any] = [None] * len(inputs.labels)
    masks[0], masks[1] = kit.ellipse(tuple(inputs.labels.boxes[0])), ()
    values = probabilities(replace(inputs, labels=replace(inputs.labels, masks=tuple(masks))), kit)
    assert not values[IssueType.INACCURATE_MASK][1:].any()


def test_frames_without_labels_still_get_missing_ones(kit: Any) -> None:
    rows, seen = kit.world()
    inputs = kit.build([row for row in rows if row.frame >= 30], seen)
    found = {issue.frame_id for issue in find_issues(inputs, kit.classes) if issue.type is IssueType.MISSING}
    assert inputs.frames.ids[3] in found


def test_no_labels_at_all(kit: Any) -> None:
    _, seen = kit.world()
    assert {issue.type for issue in find_issues(kit.build([], seen), kit.classes)} <= {IssueType.MISSING}


def test_no_frames_at_all(kit: Any) -> None:
    assert find_issues(kit.build([], [], 0), kit.classes) == []


def test_a_class_that_is_never_predicted(kit: Any) -> None:
    """Its labels are not all doubted: low scores for a class that the detector cannot tell are what is usual."""
    rows, seen = kit.world()
    seen = [item for item in seen if item.klass == 0]
    values = probabilities(kit.build(rows, seen), kit)
    cars = np.array([row.klass == 1 for row in rows])
    assert values[IssueType.SPURIOUS][cars].max() < 0.2


def test_one_fold_that_failed(kit: Any) -> None:
    """No detections and NaN evidence for half of the frames: the other half is judged as before."""
    rows, seen = kit.world()
    whole = kit.build(rows, seen)
    failed = np.asarray(whole.frames.folds)[whole.labels.frames] == 1
    kept = [item for item in seen if whole.frames.folds[item.frame] == 0]
    broken = kit.build(rows, kept)
    known = broken.label_evidence
    columns = {
        name: np.where(failed[:, None] if np.ndim(value) == 2 else failed, np.nan, value)
        for name, value in vars(known).items()
        if isinstance(value, np.ndarray) and name in ("class_probs", "refined_boxes", "location_scores")
    }
    values = probabilities(replace(broken, label_evidence=replace(known, **columns)), kit)
    assert values[IssueType.WRONG_CLASS][failed].max() < 0.2
    assert values[IssueType.SPURIOUS][~failed].max() < 0.2


def test_scores_that_are_not_numbers(kit: Any) -> None:
    rows, seen = kit.world()
    sick = [
        kit.replace(item, score=float("nan")) if number % 3 == 0 else item for number, item in enumerate(seen)
    ]
    probabilities(kit.build(rows, sick), kit)
    probabilities(kit.build([kit.replace(row, source=float("nan")) for row in rows], seen), kit)


def test_boxes_without_area(kit: Any) -> None:
    rows, seen = kit.world()
    flat = (100.0, 100.0, 100.0, 140.0)
    rows.append(kit.row(3, flat, name="flat"))
    seen.append(kit.seen(3, flat))
    inputs = kit.build(rows, seen)
    values = probabilities(inputs, kit)
    assert values[IssueType.BAD_LOCATION][inputs.labels.ids.index("flat")] > 0.3


def test_five_thousand_labels_on_one_frame(kit: Any) -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 400, (5000, 2))
    rows = [kit.row(0, (x, y, x + 20, y + 40)) for x, y in corners.tolist()]
    inputs = kit.build(rows, [])
    assert len(gather(inputs, kit.classes).inputs.labels) == 5000
    probabilities(inputs, kit)


def test_predictions_for_frames_that_do_not_exist(kit: Any) -> None:
    rows, seen = kit.world()
    with pytest.raises(DataError, match=r"points at frame 60, but there are 60 frames.*scan again"):
        kit.build(rows, [*seen, kit.seen(60, (1.0, 1.0, 9.0, 9.0))])


def test_no_evidence_at_all_says_so_for_every_type(kit: Any) -> None:
    inputs = replace(
        kit.build(*kit.world()),
        label_evidence=LabelEvidence(),
        detections=DetectionTable.empty(),
        detection_evidence=DetectionEvidence(),
    )
    scored = score(inputs, kit.classes)
    assert "no evidence" in scored.notes[IssueType.OUTLIER]
    assert not scored.probabilities[IssueType.OUTLIER].any()
