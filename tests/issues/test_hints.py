"""Missing labels that no detector knows of: foreground without a label, gaps in tracks, the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from curate.annotations import IssueType, ProposalKind
from curate.errors import DataError
from curate.issues import FinderInputs, HintSource, HintTable, find_issues, ledger_gaps

STRANGER = (300.0, 300.0, 326.0, 366.0)


def hint(
    frame: int,
    box: tuple[float, float, float, float] = STRANGER,
    *,
    person: float = 0.8,
    foreground: float = 0.7,
    source: HintSource = HintSource.FOREGROUND,
    refined: tuple[float, float, float, float] | None = None,
) -> HintTable:
    return HintTable(
        frames=np.array([frame]), boxes=np.array([box]), classes=np.array([-1]),
        sources=np.array([int(source)]),
        class_probs=np.array([[person, 0.02, 0.98 - person]]),
        refined_boxes=np.array([refined or box]), location_scores=np.array([0.8]),
        foreground=np.array([foreground]), unexplained=np.array([foreground]),
        size_z=np.array([[0.3, 0.3]]),
    )  # fmt: skip


def missing(inputs: FinderInputs, kit: Any, frame: int) -> list[Any]:
    issues = find_issues(inputs, kit.classes)
    names = inputs.frames.ids
    return [issue for issue in issues if issue.type is IssueType.MISSING and issue.frame_id == names[frame]]


def test_foreground_that_no_label_covers_becomes_a_missing_label(kit: Any) -> None:
    inputs = kit.build(*kit.world())
    assert not missing(inputs, kit, 5)
    (issue,) = missing(replace(inputs, hints=hint(5)), kit, 5)
    assert issue.proposal.kind is ProposalKind.ADD
    assert issue.label == "person"
    assert issue.bbox_xyxy == STRANGER
    assert issue.probability > 0.3
    assert "no label covers" in issue.explanation


def test_a_piece_of_foreground_in_which_the_detector_sees_nothing_hardly_counts(kit: Any) -> None:
    inputs = kit.build(*kit.world())
    strong = missing(replace(inputs, hints=hint(5)), kit, 5)[0].probability
    weak = [i.probability for i in missing(replace(inputs, hints=hint(5, person=0.01)), kit, 5)]
    assert max(weak, default=0.0) < strong / 3


def test_the_detectors_box_replaces_a_part_of_somebody(kit: Any) -> None:
    inputs = kit.build(*kit.world())
    part, whole = (300.0, 320.0, 326.0, 366.0), STRANGER
    (issue,) = missing(replace(inputs, hints=hint(5, part, refined=whole)), kit, 5)
    assert issue.bbox_xyxy == whole


def test_a_hint_beside_a_detection_of_the_same_object_is_one_candidate(kit: Any) -> None:
    rows, seen = kit.world()
    seen.append(kit.seen(5, STRANGER))
    assert len(missing(replace(kit.build(rows, seen), hints=hint(5)), kit, 5)) == 1


def test_the_ledger_knows_a_parked_car_that_lacks_its_label(kit: Any) -> None:
    rows, seen = kit.world()
    gone = {10, 11, 12, 13, 14, 15, 16, 30}
    rows = [row for row in rows if not (row.klass == 1 and row.frame in gone)]
    inputs = kit.build(rows, seen)
    gaps = ledger_gaps(inputs.frames, inputs.labels)
    assert set(gaps.frames.tolist()) == gone
    assert set(gaps.classes.tolist()) == {1}
    assert np.abs(gaps.boxes - np.array([500.0, 20.0, 580.0, 70.0])).max() < 2
    # A place that is labelled now and then is no standing object.
    rare = [row for row in rows if row.klass == 0 or row.frame % 9 == 0]
    assert not len(ledger_gaps(inputs.frames, kit.build(rare, seen).labels).frames)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": np.array([999])}, "points at frame 999"),
        ({"boxes": np.array([[0.0, 0.0, np.nan, 1.0]])}, "must be finite"),
        ({"foreground": np.zeros(3)}, "foreground needs shape"),
    ],
)
def test_hints_that_do_not_fit_are_refused(kit: Any, change: dict[str, Any], message: str) -> None:
    inputs = kit.build(*kit.world())
    with pytest.raises(DataError, match=message):
        replace(inputs, hints=replace(hint(5), **change))


def test_hints_without_evidence_are_harmless(kit: Any) -> None:
    inputs = kit.build(*kit.world())
    bare = HintTable(np.array([5]), np.array([STRANGER]), np.array([-1]), np.array([0]))
    assert len(missing(replace(inputs, hints=bare), kit, 5)) <= 1


def test_a_wrong_mask_with_a_wrong_box_gets_both_redrawn(kit: Any) -> None:
    """The mask was eroded and the box drawn around it: foreground and detector agree on the whole object."""
    from curate.issues.proposals import label_proposal
    from curate.issues.scoring import gather

    rows, seen = kit.world()
    whole = rows[0].box
    small = (whole[0] + 5, whole[1] + 12, whole[2] - 5, whole[3] - 12)
    rows[0] = kit.replace(rows[0], box=small, refined=whole)
    inputs = kit.build(rows, seen)
    blank: list[Any] = [None] * (len(rows) - 1)
    snapped = np.full((len(rows), 4), np.nan)
    snapped[0] = (whole[0] - 1, whole[1], whole[2], whole[3] + 1)
    inputs = replace(
        inputs,
        labels=replace(inputs.labels, masks=(kit.ellipse(small), *blank)),
        label_evidence=replace(
            inputs.label_evidence, snapped_boxes=snapped, redrawn_masks=(kit.ellipse(whole), *blank)
        ),
    )
    evidence = gather(inputs, kit.classes)
    for kind in (IssueType.INACCURATE_MASK, IssueType.BAD_LOCATION):
        proposal = label_proposal(kind, 0, evidence)
        assert proposal.kind is ProposalKind.EDIT
        assert proposal.bbox_xyxy == pytest.approx(
            snapped[0]
        )  # The foreground's box: sharper than a regression.
        assert proposal.mask == kit.ellipse(whole)
    # A piece of foreground that no detector agrees with is not followed.
    lost = np.array(snapped)
    lost[0] = (whole[0] - 60, whole[1] - 40, whole[2] + 60, whole[3] + 40)
    inputs = replace(inputs, label_evidence=replace(inputs.label_evidence, snapped_boxes=lost))
    box = label_proposal(IssueType.BAD_LOCATION, 0, gather(inputs, kit.classes)).bbox_xyxy
    assert box == pytest.approx(whole, abs=3)
