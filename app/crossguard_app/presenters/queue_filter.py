"""Which issues the queue shows: by state, type, class, recording, probability and slice of site.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.annotations import Annotation, Issue, IssueState, IssueType
from curate.evaluation import site_slices
from curate.store import Store
from curate.workflows.issue_slices import issue_slices
from curate.workflows.project import Project

__all__ = ["QueueFilter", "slice_names"]

_STEP = 100


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
    """

    state: IssueState = IssueState.OPEN
    types: tuple[IssueType, ...] = ()
    labels: tuple[str, ...] = ()
    clip: str | None = None
    probability: tuple[float, float] = (0.0, 1.0)
    slice: str | None = None

    @property
    def token(self) -> str:
        """Changes when the filter does."""
        low, high = self.probability
        parts = (self.state.value, ",".join(self.types), ",".join(self.labels))
        more = (self.clip or "", f"{low:g}-{high:g}", self.slice or "") if self.narrowed else ()
        return "|".join((*parts, *more))

    @property
    def narrowed(self) -> int:
        """How many of the less usual filters are set."""
        return sum((self.clip is not None, self.probability != (0.0, 1.0), self.slice is not None))

    def page(self, project: Project, limit: int) -> tuple[Issue, ...]:
        """The first issues, at most `limit`."""
        if self.slice is None:
            return self._read(project.store, limit, None)
        found: list[Issue] = []
        members, start = issue_slices(project), 0
        while len(found) < limit and (ids := members.of(self.slice, start, _STEP)):
            # Those that the other filters leave, with their labels as they are by now.
            issues = self._read(project.store, _STEP, ids)
            found += _in_slice(project, self.slice, issues)
            start += _STEP
        return tuple(found[:limit])

    def _read(self, store: Store, limit: int, among: Sequence[str] | None) -> tuple[Issue, ...]:
        page = store.issues(
            (self.state,),
            self.types or None,
            self.labels or None,
            limit=limit,
            among=among,
            clip=self.clip,
            probability=None if self.probability == (0.0, 1.0) else self.probability,
        )
        return page.issues


def slice_names(project: Project) -> list[str]:
    """Slices that an issue can be in: what moves is known of gold objects only."""
    return [entry.name for entry in project.config.slices if entry.moving is None]


def _in_slice(project: Project, name: str, issues: Sequence[Issue]) -> list[Issue]:
    """Those whose place, with the label at it, belongs to the slice; bad frames belong to none."""
    placed = [issue for issue in issues if issue.bbox_xyxy is not None]
    ids = {issue.annotation_id for issue in placed if issue.annotation_id is not None}
    frames = {issue.frame_id for issue in placed}
    source = project.config.labels.working
    labels = {label.id: label for label in project.store.annotations(source, frames) if label.id in ids}
    objects = [
        labels.get(issue.annotation_id or "")
        or Annotation(issue.id, issue.frame_id, issue.label or "", issue.bbox_xyxy)
        for issue in placed
        if issue.bbox_xyxy is not None
    ]
    entry = [entry for entry in project.config.slices if entry.name == name]
    keep = site_slices(entry, objects)[name]
    return [issue for issue, inside in zip(placed, keep.tolist(), strict=True) if inside]
