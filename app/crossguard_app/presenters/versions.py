"""Dataset versions as rows, and what changed between two of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from curate.store import VersionRecord
from curate.versions import LabelChange, VersionDiff

__all__ = ["change_rows", "class_rows", "version_rows", "version_title"]


def version_title(record: VersionRecord) -> str:
    """One line for a choice."""
    note = f" · {record.note}" if record.note else ""
    return f"{record.id[:8]} · {_time(record.created_at)}{note}"


def version_rows(records: list[VersionRecord]) -> list[dict[str, Any]]:
    """The versions, the newest first."""
    return [
        {
            "Version": record.id[:8],
            "Made": _time(record.created_at),
            "By": record.created_by,
            "Frames": record.frames,
            "Labels": record.labels,
            "Parent": (record.parent or "")[:8],
            "Note": record.note,
            "Content hash": record.content_hash[:16],
        }
        for record in reversed(records)
    ]


def class_rows(diff: VersionDiff) -> list[dict[str, Any]]:
    """Labels added, removed and changed by class."""
    return [{"Class": name, **counts} for name, counts in sorted(diff.labels_by_class().items())]


def change_rows(diff: VersionDiff, limit: int = 500) -> list[dict[str, Any]]:
    """One row per label that differs."""
    parts = (("added", diff.added), ("removed", diff.removed), ("changed", diff.changed))
    rows = [_row(kind, change) for kind, changes in parts for change in changes]
    return rows[:limit]


def _row(kind: str, change: LabelChange) -> dict[str, Any]:
    return {
        "What": kind,
        "Class before": change.label_before or "",
        "Class after": change.label_after or "",
        "Label": change.annotation_id[:12],
        "Frame": change.frame_id[:12],
    }


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
