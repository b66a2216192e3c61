"""Who wrote each label as it is now: its label source, or the person whose decision made this revision."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from curate.annotations import Annotation
from curate.store import Store
from curate.workflows.decided import standing_decisions
from curate.workflows.project import Project

__all__ = ["author_of", "authors_of", "label_editors"]

_MOST_CHANGES = 500
"""Decisions after which reading all of them again is quicker than asking for the labels that they changed."""
_MOST_PROJECTS = 4


@dataclass
class _Known:
    sequence: int
    editors: dict[str, str]


_kept: dict[str, _Known] = {}
_guard = threading.Lock()


def label_editors(project: Project) -> Mapping[str, str]:
    """Label id -> the person whose standing decision wrote it last, of labels that anybody changed.

    Labels that were deleted since may be among them. The first call reads all decisions, later ones what came since.
    """
    store, where = project.store, project.store.where
    newest = store.decisions(limit=1)
    sequence = newest[0].sequence if newest else 0
    with _guard:
        known = _kept.get(where)
        if known is None or known.sequence > sequence or not _follow(store, known):
            known = _Known(sequence, _all(project))
            _kept.pop(where, None)
            while len(_kept) >= _MOST_PROJECTS:
                _kept.pop(next(iter(_kept)))
            _kept[where] = known
        return dict(known.editors)


def authors_of(project: Project, labels: Iterable[Annotation]) -> list[str]:
    """Who wrote each of the labels as it is."""
    editors = label_editors(project)
    return [editors.get(label.id, label.source) if label.revision else label.source for label in labels]


def author_of(store: Store, label: Annotation) -> str:
    """The same for one label, by its history."""
    history = store.revisions(label.id)
    content = history[-1].content_of
    return history[content].actor if content else label.source


def _all(project: Project) -> dict[str, str]:
    return {
        effect.annotation_id: record.decision.reviewer
        for record in standing_decisions(project)
        for effect in record.effects.labels
    }


def _follow(store: Store, known: _Known) -> bool:
    """Take in what was decided since; False where that is too much."""
    records = store.decisions(limit=_MOST_CHANGES + 1, after=known.sequence, oldest_first=True)
    if len(records) > _MOST_CHANGES:
        return False
    for label_id in {effect.annotation_id for record in records for effect in record.effects.labels}:
        history = store.revisions(label_id)
        content = history[-1].content_of
        if content:
            known.editors[label_id] = history[content].actor
        else:
            known.editors.pop(label_id, None)
    if records:
        known.sequence = records[-1].sequence
    return True
