"""How the review goes and what was decided last, as the queue shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from crossguard_app.presenters.wording import VERDICTS
from curate.annotations import DecisionKind
from curate.issues import expected_errors
from curate.review import review_progress
from curate.store import DecisionRecord, Store

__all__ = ["decision_text", "history_values", "progress_values"]

T = TypeVar("T")
_AHEAD = 50
_HISTORY = 12
_PATIENCE = 20.0
"""A figure that took a while to count is shown for so many times as long before it is counted again."""
_kept: dict[tuple[str, str], tuple[float, Any]] = {}


def progress_values(store: Store, reviewer: str) -> dict[str, Any]:
    """Open and decided issues, errors that are left, and the pace of this reviewer in decisions per minute."""
    return _seldom((store.where, reviewer), lambda: _progress(store, reviewer))


def _progress(store: Store, reviewer: str) -> dict[str, Any]:
    progress = review_progress(store, reviewer)
    following = store.issues(limit=_AHEAD).issues
    forecast = expected_errors(np.array([issue.probability for issue in following], float))
    pace = progress.seconds_per_decision
    return {
        "open": progress.open,
        "skipped": progress.skipped,
        "decided": progress.corrected + progress.kept,
        "precision": progress.precision,
        "expected": progress.expected,
        "next": {"items": forecast.items, "low": forecast.low, "high": forecast.high},
        "per_minute": None if not pace else 60 / pace,
        "decisions": store.decision_count(),
    }


def _seldom(key: tuple[str, str], count: Callable[[], T]) -> T:
    """What `count` gives, counted again only when that is cheap for its age: a long queue costs no key press."""
    now = time.monotonic()
    if key in _kept and now < _kept[key][0]:
        value: T = _kept[key][1]
        return value
    value = count()
    done = time.monotonic()
    _kept[key] = (done + _PATIENCE * max(0.0, done - now - 0.005), value)
    return value


def history_values(store: Store) -> list[dict[str, Any]]:
    """The newest decisions of everybody, newest first, each with whether it can be taken back."""
    return [
        {
            "id": record.decision.id,
            "text": decision_text(store, record),
            "who": record.decision.reviewer,
            "at": record.decision.created_at,
            "issue_id": record.decision.issue_id,
            "standing": record.undone_by is None and record.decision.kind is not DecisionKind.UNDO,
        }
        for record in store.decisions(limit=_HISTORY)
    ]


def decision_text(store: Store, record: DecisionRecord) -> str:
    """What somebody decided, in words."""
    decision = record.decision
    text = VERDICTS[decision.kind]
    if decision.kind is DecisionKind.RELABEL and decision.label:
        text = f"class changed to {decision.label}"
    if decision.kind is DecisionKind.UNDO and decision.undoes:
        undone = store.find_decision(decision.undoes)
        text = "undone" if undone is None else f"took back: {VERDICTS[undone.decision.kind]}"
    if record.undone_by:
        text += " (undone since)"
    for many, noun in ((len(record.effects.labels), "labels"), (len(record.effects.issues), "issues")):
        if many > 1:
            return f"{text}, {many} {noun}"
    return text
