"""The queue as the editor takes it: a window of issues with their frames, and how far the review is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossguard_app.presenters.layers import layer_choices
from crossguard_app.presenters.queue_filter import QueueFilter
from crossguard_app.presenters.review_log import history_values, progress_values
from crossguard_app.presenters.shapes import class_colors, frame_values, mask_values
from crossguard_app.presenters.sync import SyncResult
from crossguard_app.presenters.wording import (
    TITLES,
    VERDICTS,
    answer_words,
    number_text,
    proposal_sentence,
)
from crossguard_app.resources import assist_url, context_url
from curate.annotations import Issue, IssueState
from curate.errors import NotFoundError
from curate.review.claims import LEASE_SECONDS
from curate.store import Role, Store
from curate.workflows.project import Project

__all__ = ["editor_base", "queue_data", "undoable"]

WINDOW = 16
"""Issues sent at a time: enough that a fast reviewer never waits for the next ones."""


def queue_data(
    project: Project,
    queue: QueueFilter,
    sync: SyncResult,
    *,
    current: str | None,
    wanted: str | None,
    token: str,
    reviewer: str,
) -> dict[str, Any]:
    """All that the editor needs for the queue.

    Args:
        project: The project.
        queue: Which issues.
        sync: What came of the browser's outbox.
        current: The issue that the browser shows now; its frame is always sent fresh.
        wanted: The issue to begin with.
        token: The browser goes to `wanted` when this changes.
        reviewer: Who decides.
    """
    store, source = project.store, project.config.labels.working
    issues = _claimed(project, queue, reviewer)
    for extra in (current, wanted):
        if extra and all(issue.id != extra for issue in issues):
            issues = [*_known(store, extra), *issues]
    frames = frame_values(project, (issue.frame_id for issue in issues), source)
    groups = store.open_in_groups(issue.group_id for issue in issues if issue.group_id)
    return editor_base(project, sync, reviewer, source) | {
        "mode": "queue",
        "items": [_item(project, issue, groups.get(issue.group_id or "", 1)) for issue in issues],
        "frames": frames,
        "cursor": {"key": wanted or (issues[0].id if issues else None), "token": token},
        "empty": _empty(store),
        "progress": progress_values(store, reviewer),
        "history": history_values(store),
    }


def _claimed(project: Project, queue: QueueFilter, reviewer: str) -> list[Issue]:
    """The first issues; with several people, those that nobody else has, taken for this one."""
    store = project.store
    people = sum(user.active for user in store.users())
    waiting = queue.state in (IssueState.OPEN, IssueState.SKIPPED)
    if people < 2 or not waiting or is_viewer(store, reviewer):
        return list(queue.page(project, WINDOW))
    issues = queue.page(project, WINDOW * people)  # As many as all the others may hold, and a window.
    others = {lease.issue_id for lease in store.leases_of(i.id for i in issues) if lease.reviewer != reviewer}
    free = [issue for issue in issues if issue.id not in others][:WINDOW]
    held = store.take_leases(reviewer, [issue.id for issue in free], LEASE_SECONDS)
    return [issue for issue in free if issue.id in held]


def editor_base(project: Project, sync: SyncResult, reviewer: str, source: str) -> dict[str, Any]:
    """What every use of the editor needs."""
    colors = class_colors(project.config.classes)
    return {
        "project": str(project.root),
        "reviewer": reviewer,
        "source": source,
        "assist": assist_url(),
        "readonly": is_viewer(project.store, reviewer),
        "layers": layer_choices(project, source),
        # Where the labels have masks, what is accepted gets one too; and so does what is labelled from nothing.
        "masks": project.store.has_masks(source) is not False,
        "classes": [{"name": name, "color": color} for name, color in colors.items()],
        "acks": {"client": sync.client, "sequence": sync.acknowledged},
        "refused": [
            {"id": entry.id, "message": entry.message, "conflict": entry.conflict, "follows": entry.follows}
            for entry in sync.refused
        ],
        "trouble": sync.trouble,
        "undoable": undoable(project.store, reviewer),
    }


def is_viewer(store: Store, reviewer: str) -> bool:
    """Whether this person may only look."""
    role = store.role_of(reviewer)
    return role is None or role.rank < Role.REVIEWER.rank


def undoable(store: Store, reviewer: str) -> str | None:
    """What Ctrl+Z would take back for a browser that has decided nothing yet."""
    record = store.last_standing_decision(reviewer)
    return None if record is None else VERDICTS[record.decision.kind]


def _known(store: Store, issue_id: str) -> Sequence[Issue]:
    try:
        return [store.issue(issue_id)]
    except NotFoundError:
        return []


def _item(project: Project, issue: Issue, group_size: int) -> dict[str, Any]:
    store = project.store
    proposal = issue.proposal
    box = proposal.bbox_xyxy
    sentence = proposal_sentence(issue)
    verdict, decision_id = _verdict(store, issue)
    return {
        "key": issue.id,
        "frame_id": issue.frame_id,
        "issue": {
            "id": issue.id,
            "type": issue.type.value,
            "title": TITLES[issue.type],
            "label": issue.label,
            "annotation_id": issue.annotation_id,
            "bbox_xyxy": None if issue.bbox_xyxy is None else list(issue.bbox_xyxy),
            "probability": issue.probability,
            "explanation": issue.explanation,
            "numbers": [[name.replace("_", " "), number_text(v)] for name, v in issue.evidence.items()],
            "proposal": {
                "kind": proposal.kind.value,
                "label": proposal.label or issue.label,
                "bbox_xyxy": None if box is None else list(box),
                "mask": mask_values(proposal.mask),
                "text": proposal.label or issue.label or "proposal",
                "says": sentence,
            },
            "answers": answer_words(issue),
            "state": issue.state.value,
            "verdict": verdict,
            "decision_id": decision_id,
            "group_id": issue.group_id,
            "group_size": group_size,
            "context": context_url(project, issue.id),
        },
    }


def _verdict(store: Store, issue: Issue) -> tuple[str | None, str | None]:
    """The verdict that stands in words, and the decision behind it."""
    if issue.state is IssueState.OBSOLETE:
        return "it no longer stands", None
    decision_id = store.issue_status(issue.id).decision_id if issue.state is IssueState.DECIDED else None
    if decision_id is None:
        return None, None
    decision = store.decision(decision_id).decision
    return f"{VERDICTS[decision.kind]} by {decision.reviewer}", decision_id


def _empty(store: Store) -> dict[str, Any]:
    """What stands where nothing is to be decided: why, a command, and ways on as [words, address]."""
    counts = store.issue_counts()
    many = {
        state: sum(count.count for count in counts if count.state is state)
        for state in (IssueState.OPEN, IssueState.SKIPPED)
    }
    if not counts:
        return {
            "title": "No scan yet",
            "text": "A scan looks for labels that are probably wrong and ranks them here. Start it on the next page, "
            "or from a terminal:",
            "command": "curate scan",
            "ways": [("Start a scan", "train")],
        }
    if many[IssueState.OPEN]:
        return {
            "title": "Nothing here with these filters",
            "text": "Other issues are open: take a filter out above, or all of them.",
            "command": "",
            "ways": [(f"All {many[IssueState.OPEN]:,} open issues", "queue")],
        }
    skipped = many[IssueState.SKIPPED]
    return {
        "title": "The queue is empty",
        "text": "Every issue has a verdict. Train on the corrected labels and see what they brought; a scan looks at "
        "them once more. From a terminal:",
        "command": "curate retrain",
        "ways": [
            ("Train or scan", "train"),
            *([(f"Look at the {skipped:,} skipped", "queue?state=skipped")] if skipped else []),
            ("Frames and labels", "frames"),
        ],
    }
