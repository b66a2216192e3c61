"""Which issues the queue shows: by state, type, class, recording, probability, slice of site.yaml and author."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import Annotation, Issue, IssueState, IssueType
from curate.evaluation import site_slices
from curate.store import IssuePage, Store
from curate.types import BoolArray
from curate.workflows.authors import label_editors
from curate.workflows.issue_table import IssueTable, issue_table
from curate.workflows.project import Project

__all__ = ["QueueFilter", "author_names", "slice_names"]

_STEP = 64
"""Issues asked about at first; with every step that brings too few, twice as many."""
_LARGEST_STEP = 800


@dataclass(frozen=True)
class QueueFilter:
    """Which issues; empty means all.

    Attributes:
        state: Open, skipped or decided ones.
        types: Issue types.
        labels: Classes.
        clip: Recording.
        probability: Lowest and highest P(error), both included.
        slice: Name of a slice of site.yaml.
        author: Who wrote the label as it is: the label source, or a person.
    """

    state: IssueState = IssueState.OPEN
    types: tuple[IssueType, ...] = ()
    labels: tuple[str, ...] = ()
    clip: str | None = None
    probability: tuple[float, float] = (0.0, 1.0)
    slice: str | None = None
    author: str | None = None

    @property
    def token(self) -> str:
        """Changes when the filter does."""
        low, high = self.probability
        parts = (self.state.value, ",".join(self.types), ",".join(self.labels))
        more = (
            (self.clip or "", f"{low:g}-{high:g}", self.slice or "", self.author or "")
            if self.narrowed
            else ()
        )
        return "|".join((*parts, *more))

    @property
    def narrowed(self) -> int:
        """How many of the less usual filters are set."""
        return sum(
            (
                self.clip is not None,
                self.probability != (0.0, 1.0),
                self.slice is not None,
                self.author is not None,
            )
        )

    def page(self, project: Project, limit: int) -> tuple[Issue, ...]:
        """The first issues, at most `limit`."""
        if not self.reads_all:
            return self._read(project.store, limit).issues
        table = issue_table(project)
        members = self._members(project, table)
        state = sum(count.count for count in project.store.issue_counts() if count.state is self.state)
        walk = self._by_members if members.sum() <= state else self._by_state
        return walk(project, table, members, limit)

    @property
    def reads_all(self) -> bool:
        """Whether it needs the table of all issues."""
        return self.slice is not None or self.author is not None

    def _members(self, project: Project, table: IssueTable) -> BoolArray:
        """(N,) which issues of the table the filters leave, but for their state."""
        low, high = self.probability
        keep = (table.probability >= low) & (table.probability <= high)
        if self.slice is not None:
            keep &= table.slices[self.slice]
        if self.types:
            keep &= table.types.among([kind.value for kind in self.types])
        if self.labels:
            keep &= table.classes.among(self.labels)
        if self.clip is not None:
            keep &= table.clips.among([self.clip])
        if self.author is not None:
            editors = label_editors(project)
            if self.author == project.config.labels.working:
                keep &= table.about_labels & ~table.with_labels(editors)
            else:
                keep &= table.with_labels(label for label, who in editors.items() if who == self.author)
        return keep

    def _by_members(
        self, project: Project, table: IssueTable, members: BoolArray, limit: int
    ) -> tuple[Issue, ...]:
        """Ask about those that the filters leave until enough are in the state."""
        found: list[Issue] = []
        rows, start, step = np.flatnonzero(members), 0, _STEP
        while len(found) < limit and start < len(rows):
            ids = [name.decode() for name in table.ids[rows[start : start + step]].tolist()]
            statuses = project.store.issue_statuses(ids, states=(self.state,))
            found += self._as_they_are(project, [status.issue for status in statuses])
            start, step = start + step, min(2 * step, _LARGEST_STEP)
        return tuple(found[:limit])

    def _by_state(
        self, project: Project, table: IssueTable, members: BoolArray, limit: int
    ) -> tuple[Issue, ...]:
        """Go through those in the state, where they are the fewer, until the filters have left enough."""
        found: list[Issue] = []
        after: str | None = None
        step = _STEP
        while len(found) < limit:
            page = self._read(project.store, step, after=after)
            wanted = {
                table.ids[row].decode()
                for row in table.rows_of(issue.id for issue in page.issues)
                if members[row]
            }
            found += self._as_they_are(project, [issue for issue in page.issues if issue.id in wanted])
            after, step = page.next, min(2 * step, _LARGEST_STEP)
            if after is None:
                break
        return tuple(found[:limit])

    def _as_they_are(self, project: Project, issues: Sequence[Issue]) -> Sequence[Issue]:
        """Those whose labels still lie in the slice."""
        return issues if self.slice is None else _in_slice(project, self.slice, issues)

    def _read(self, store: Store, limit: int, after: str | None = None) -> IssuePage:
        return store.issues(
            (self.state,),
            self.types or None,
            self.labels or None,
            limit=limit,
            after=after,
            clip=self.clip,
            probability=None if self.probability == (0.0, 1.0) else self.probability,
        )


def slice_names(project: Project) -> list[str]:
    """Slices that an issue can be in: what moves is known of gold objects only."""
    return [entry.name for entry in project.config.slices if entry.moving is None]


def author_names(project: Project) -> list[str]:
    """Who may have written a label as it is: the label source, and everybody who decided anything."""
    source = project.config.labels.working
    people = {tally.reviewer for tally in project.store.reviewer_tallies()}
    return [source, *sorted(people - {source})]


def _in_slice(project: Project, name: str, issues: Sequence[Issue]) -> list[Issue]:
    """Those whose place, with the label at it, belongs to the slice; bad frames belong to none."""
    placed = [issue for issue in issues if issue.bbox_xyxy is not None]
    ids = {issue.annotation_id for issue in placed if issue.annotation_id is not None}
    frames = {issue.frame_id for issue in placed}
    source = project.config.labels.working
    labels = {
        label.id: label for label in project.store.annotations(source, frames, masks=False) if label.id in ids
    }
    objects = [
        labels.get(issue.annotation_id or "")
        or Annotation(issue.id, issue.frame_id, issue.label or "", issue.bbox_xyxy)
        for issue in placed
        if issue.bbox_xyxy is not None
    ]
    entry = [entry for entry in project.config.slices if entry.name == name]
    keep = site_slices(entry, objects)[name]
    return [issue for issue, inside in zip(placed, keep.tolist(), strict=True) if inside]
