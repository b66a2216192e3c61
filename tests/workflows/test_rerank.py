"""Decisions move the queue without a scan."""

from __future__ import annotations

import uuid

import pytest

from curate.annotations import Decision, DecisionKind, Issue, IssueState, IssueType, Proposal, ProposalKind
from curate.errors import DataError
from curate.issues import SPECS, prior_calibrators
from curate.review import decide, undo_last
from curate.workflows.project import Project
from curate.workflows.rerank import keep_practised, rerank
from curate.workflows.status import project_status


def spurious(project: Project, count: int) -> list[Issue]:
    """Issues about so many labels, each with the same evidence of empty background."""
    labels = project.store.annotations(source="cheap")[:count]
    evidence = dict.fromkeys(SPECS[IssueType.SPURIOUS].names, 0.4)
    return [
        Issue(
            id=f"{number:032x}", type=IssueType.SPURIOUS, frame_id=label.frame_id, annotation_id=label.id,
            bbox_xyxy=label.bbox_xyxy, label=label.label, severity=0.3, probability=0.3, explanation="Empty.",
            evidence=evidence, proposal=Proposal(ProposalKind.DELETE_LABEL),
        )
        for number, label in enumerate(labels)
    ]  # fmt: skip


def say(project: Project, issue: Issue, kind: DecisionKind) -> None:
    decide(project.store, Decision(uuid.uuid4().hex, kind, "ann", issue_id=issue.id))


def test_verdicts_change_what_waits_and_nothing_that_is_decided(project: Project) -> None:
    issues = spurious(project, 24)
    project.store.upsert_issues(issues)
    keep_practised(project, prior_calibrators())
    rerank(project)
    before = project.store.issue(issues[-1].id).probability
    for issue in issues[:15]:
        say(project, issue, DecisionKind.KEEP)
    say(project, issues[15], DecisionKind.SKIP)
    assert rerank(project) >= 8
    after = project.store.issue(issues[-1].id)
    assert after.probability < before
    assert after.severity < 0.3
    assert project.store.issue(issues[0].id).state is IssueState.DECIDED
    assert project.store.issue(issues[15].id).state is IssueState.SKIPPED
    counts = {(entry.state, entry.count) for entry in project.store.issue_counts()}
    assert (IssueState.DECIDED, 15) in counts
    assert (IssueState.OPEN, 8) in counts
    assert rerank(project) == 0  # Nothing new was decided.
    undo_last(project.store, "ann")
    rerank(project)
    assert project_status(project).forecast.startswith("the next ")


def test_without_a_scan_there_is_nothing_to_put_in_order(empty_project: Project) -> None:
    with pytest.raises(DataError, match="curate scan"):
        rerank(empty_project)
    assert project_status(empty_project).forecast == ""
