"""The state of the loop as stages with counts, and the review so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from crossguard_app.presenters.review_log import decision_text
from crossguard_app.presenters.wording import TITLES
from curate.review import NOTHING, Agreement, ReviewerStats, review_progress
from curate.store import Store
from curate.workflows.project import Project
from curate.workflows.status import ProjectStatus

__all__ = [
    "RecentDecision",
    "Stage",
    "class_confusion",
    "next_step",
    "pair_rows",
    "people_rows",
    "recent_decisions",
    "stages",
    "type_rows",
]


@dataclass(frozen=True)
class Stage:
    """One station of the loop. State: "done", "now" or "later"."""

    name: str
    value: str
    note: str
    state: str


@dataclass(frozen=True)
class RecentDecision:
    """A line of the history."""

    at: float
    text: str
    reviewer: str
    issue_id: str | None
    frame_id: str | None


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 frame", "12,000 frames"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def stages(project: Project, status: ProjectStatus) -> list[Stage]:
    """The loop from frames to a comparison; the first station that is not done is "now"."""
    working = status.labels.get(project.config.labels.working, 0)
    decided = sum(n for key, n in status.issues.items() if key.endswith("/decided"))
    found = sum(status.issues.values())
    excluded = f", {status.excluded} excluded" if status.excluded else ""
    rows = [
        ("Frames", f"{status.frames:,}", f"in the project{excluded}", status.frames > 0),
        ("Gold test set", f"{status.gold_frames:,}", _gold_note(status), status.gold_state == "frozen"),
        ("Labels", f"{working:,}", f"of source {project.config.labels.working}", working > 0),
        ("Scan", f"{found:,}", "issues found" if found else "not scanned yet", found > 0),
        (
            "Review",
            f"{decided:,}",
            f"decided, {status.open_issues:,} open",
            found > 0 and status.open_issues == 0,
        ),
        (
            "Train",
            f"{status.runs:,}",
            "finished runs" if status.runs != 1 else "finished run",
            status.runs > 0,
        ),
    ]
    result = []
    reached = False
    for name, value, note, done in rows:
        state = "done" if done else "later" if reached else "now"
        reached = reached or not done
        result.append(Stage(name, value, note, state))
    return result


def _gold_note(status: ProjectStatus) -> str:
    words = {
        "none": "frames, not set aside yet",
        "draft": "frames, still a draft",
        "frozen": "frames, frozen",
    }
    return words.get(status.gold_state, status.gold_state)


def next_step(status: ProjectStatus) -> tuple[str, str]:
    """What to do now and the exact command, "" when there is none."""
    sentence, separator, command = status.next_step.partition(": curate ")
    if not separator:
        return status.next_step, ""
    return sentence, f"curate {command.split(' (')[0]}"


def type_rows(store: Store) -> list[dict[str, object]]:
    """The review by type of issue, the one with the most expected errors first."""
    progress = review_progress(store)
    rows = sorted(progress.types, key=lambda entry: -entry.expected)
    return [
        {
            "Issue": TITLES[entry.type],
            "Open": entry.open,
            "Expected errors": round(entry.expected, 1),
            "Corrected": entry.corrected,
            "Kept": entry.kept,
            "Precision": None if entry.precision is None else 100 * entry.precision,
        }
        for entry in rows
    ]


def people_rows(stats: Sequence[ReviewerStats]) -> list[dict[str, object]]:
    """What everybody did."""
    return [
        {
            "Who": entry.reviewer,
            "Decisions": entry.decisions,
            "Corrected": entry.corrected,
            "Kept": entry.kept,
            "Skipped": entry.skipped,
            "Undone": entry.undone,
            "Second opinions": entry.opinions,
            "Agrees with others": None if entry.agreement is None else 100 * entry.agreement,
            "Seconds each": entry.seconds_per_decision,
        }
        for entry in stats
    ]


def pair_rows(pairs: Mapping[tuple[str, str], Agreement]) -> list[dict[str, object]]:
    """How far every two people agree on the issues that both judged."""
    return [
        {
            "One": one,
            "Other": other,
            "Issues": entry.issues,
            "Same verdict": None if entry.same_verdict is None else 100 * entry.same_verdict,
            "Error or not": None if entry.same_side is None else 100 * entry.same_side,
            "Kappa": entry.kappa,
            "Mean IoU": entry.mean_iou,
            "Boxes": entry.shapes,
        }
        for (one, other), entry in pairs.items()
    ]


def class_confusion(entry: Agreement) -> pd.DataFrame:
    """Counts of what stands there by the one (rows) and by the other (columns); "nothing" last."""
    names = sorted({name for one, other, _ in entry.classes for name in (one, other)} - {NOTHING})
    if any(NOTHING in (one, other) for one, other, _ in entry.classes):
        names.append(NOTHING)
    counts = {(one, other): count for one, other, count in entry.classes}
    rows = [[counts.get((one, other), 0) for other in names] for one in names]
    return pd.DataFrame(rows, index=names, columns=names)


def recent_decisions(store: Store, limit: int = 8) -> list[RecentDecision]:
    """The newest decisions in words."""
    return [
        RecentDecision(
            record.decision.created_at,
            decision_text(store, record),
            record.decision.reviewer,
            record.decision.issue_id,
            record.decision.frame_id,
        )
        for record in store.decisions(limit=limit)
    ]
