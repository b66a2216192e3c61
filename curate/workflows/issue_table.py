"""What the queue's filters ask of every issue, in arrays: read once after a scan, looked up at every page."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.evaluation import places_in_slice
from curate.types import BoolArray, FloatArray, IntArray
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = ["IssueTable", "issue_table", "table_stamp"]

_MOST_PROJECTS = 4
_TOLD = 20_000
_kept: dict[str, tuple[str, IssueTable]] = {}
_guard = threading.Lock()


@dataclass(frozen=True)
class _Names:
    """A column of names that come again and again: (N,) codes, and the name of each; "" stands for none."""

    codes: IntArray
    names: Sequence[str]

    def among(self, wanted: Collection[str]) -> BoolArray:
        """(N,) whether the name is one of these."""
        return np.array([name in wanted for name in self.names], bool)[self.codes]


@dataclass(frozen=True)
class IssueTable:
    """All issues that a person may still see in the order of the queue, as the scan left them, whatever their state.

    Attributes:
        ids: (N,) as bytes.
        labels: (N,) ids of their labels as bytes, b"" for none.
        probability: (N,) P(error).
        types: Issue types.
        classes: Class names.
        clips: Recordings.
        by_id: (N,) rows by id.
        by_label: (N,) rows by label.
        slices: Name of a slice of site.yaml -> (N,) whether the place lies in it; what is occluded is not told apart.
    """

    ids: NDArray[np.bytes_]
    labels: NDArray[np.bytes_]
    probability: FloatArray
    types: _Names
    classes: _Names
    clips: _Names
    by_id: IntArray
    by_label: IntArray
    slices: Mapping[str, BoolArray]

    def rows_of(self, ids: Iterable[str]) -> IntArray:
        """Rows of these issues; unknown ones are left out."""
        return _find(self.ids, self.by_id, ids)

    def with_labels(self, ids: Iterable[str]) -> BoolArray:
        """(N,) whether the issue is about one of these labels."""
        found = np.zeros(len(self.ids), bool)
        found[_find(self.labels, self.by_label, ids)] = True
        return found

    @property
    def about_labels(self) -> BoolArray:
        """(N,) whether the issue is about a label that is there."""
        found: BoolArray = self.labels != b""
        return found


def _find(values: NDArray[np.bytes_], order: IntArray, wanted: Iterable[str]) -> IntArray:
    """All rows whose value is among the wanted."""
    names = np.array([name.encode() for name in wanted])
    if not len(names) or not len(values):
        return np.zeros(0, np.int64)
    first = np.searchsorted(values, names, "left", sorter=order)
    last = np.searchsorted(values, names, "right", sorter=order)
    spans = [order[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True) if a < b]
    return np.concatenate(spans) if spans else np.zeros(0, np.int64)


def table_stamp(project: Project) -> str:
    """Changes when the answer of `issue_table` may: with a scan, an order made anew, other slices."""
    state = project.store.artifact("scan", "state")
    counts = project.store.issue_counts()
    slices = "".join(entry.model_dump_json() for entry in project.config.slices)
    total, expected = sum(entry.count for entry in counts), sum(entry.expected for entry in counts)
    digest = hashlib.sha256(slices.encode()).hexdigest()[:12]
    return f"{state.input_hash if state else ''}-{total}-{expected:.3f}-{digest}"


def issue_table(project: Project, reporter: Reporter | None = None) -> IssueTable:
    """The issues. The first call after a scan reads them all; later ones answer at once."""
    where, stamp = project.store.where, table_stamp(project)
    with _guard:
        known = _kept.get(where)
        if known is None or known[0] != stamp:
            known = (stamp, _read(project, reporter or Quiet()))
            _kept.pop(where, None)
            while len(_kept) >= _MOST_PROJECTS:
                _kept.pop(next(iter(_kept)))
            _kept[where] = known
        return known[1]


class _Column:
    """Codes of names, gathered one by one."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.known: dict[str, int] = {}

    def add(self, name: str | None) -> None:
        self.codes.append(self.known.setdefault(name or "", len(self.known)))

    def ordered(self, order: IntArray) -> _Names:
        return _Names(np.array(self.codes, np.int32)[order], tuple(self.known))


def _read(project: Project, reporter: Reporter) -> IssueTable:
    total = max(1, sum(entry.count for entry in project.store.issue_counts()))
    types, classes, clips = _Column(), _Column(), _Column()
    ids: list[bytes] = []
    labels: list[bytes] = []
    numbers: list[tuple[float, float]] = []
    boxes: list[Any] = []
    nowhere = (np.nan,) * 4
    for at, row in enumerate(project.store.issue_rows()):
        ids.append(row.id.encode())
        labels.append((row.annotation_id or "").encode())
        numbers.append((row.severity, row.probability))
        types.add(row.type)
        classes.add(row.label)
        clips.add(row.clip)
        boxes.append(row.bbox_xyxy or nowhere)
        if at % _TOLD == 0:
            reporter.update(0.85 * at / total, f"{at:,} of {total:,} issues read")
    reporter.update(0.85, "sorting them into slices")
    names = np.array(ids or [b""])[: len(ids)]
    severity, probability = np.array(numbers, float).reshape(-1, 2).T
    order = np.lexsort((names, -severity))
    named = classes.ordered(order)
    places = np.array(boxes, float).reshape(-1, 4)[order]
    ranked, subjects = names[order], np.array(labels or [b""])[: len(ids)][order]
    return IssueTable(
        ranked,
        subjects,
        probability[order],
        types.ordered(order),
        named,
        clips.ordered(order),
        np.argsort(ranked),
        np.argsort(subjects),
        _slices(project, places, named),
    )


def _slices(project: Project, places: FloatArray, classes: _Names) -> dict[str, BoolArray]:
    placed = np.isfinite(places[:, 0])
    labels = [classes.names[code] for code in classes.codes[placed].tolist()]
    found = {}
    for entry in project.config.slices:
        inside = np.zeros(len(places), bool)
        inside[placed] = places_in_slice(entry, places[placed], labels)
        found[entry.name] = inside
    return found
