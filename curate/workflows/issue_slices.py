"""Which issues lie in which slice of site.yaml: read once after a scan, looked up at every page of the queue."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.evaluation import places_in_slice
from curate.types import IntArray
from curate.workflows.project import Project

__all__ = ["IssueSlices", "issue_slices", "slices_stamp"]

_MOST_PROJECTS = 4
_kept: dict[str, tuple[str, IssueSlices]] = {}
_guard = threading.Lock()


@dataclass(frozen=True)
class IssueSlices:
    """The issues in each slice by their places, whatever their state; what is occluded is not told apart.

    Attributes:
        ids: (N,) ids as bytes, in the order of the queue.
        rows: Name of the slice -> its rows, rising.
    """

    ids: NDArray[np.bytes_]
    rows: Mapping[str, IntArray]

    def of(self, name: str, start: int, count: int) -> list[str]:
        """Ids of the issues of one slice in the order of the queue, at most `count` from place `start` on."""
        return [issue_id.decode() for issue_id in self.ids[self.rows[name][start : start + count]].tolist()]


def slices_stamp(project: Project) -> str:
    """Changes when the answer of `issue_slices` may: with a scan, an order made anew, other slices."""
    state = project.store.artifact("scan", "state")
    counts = project.store.issue_counts()
    slices = "".join(entry.model_dump_json() for entry in project.config.slices)
    total, expected = sum(entry.count for entry in counts), sum(entry.expected for entry in counts)
    digest = hashlib.sha256(slices.encode()).hexdigest()[:12]
    return f"{state.input_hash if state else ''}-{total}-{expected:.3f}-{digest}"


def issue_slices(project: Project) -> IssueSlices:
    """The issues of every slice. The first call after a scan reads them all; later ones answer at once."""
    where, stamp = project.store.where, slices_stamp(project)
    with _guard:
        known = _kept.get(where)
        if known is None or known[0] != stamp:
            known = (stamp, _read(project))
            _kept.pop(where, None)
            while len(_kept) >= _MOST_PROJECTS:
                _kept.pop(next(iter(_kept)))
            _kept[where] = known
        return known[1]


def _read(project: Project) -> IssueSlices:
    placed = list(project.store.placed_issues())
    placed.sort(key=lambda row: (-row[1], row[0]))
    boxes = np.array([row[3] for row in placed], float).reshape(-1, 4)
    labels = [row[2] or "" for row in placed]
    rows = {
        entry.name: np.flatnonzero(places_in_slice(entry, boxes, labels)) for entry in project.config.slices
    }
    return IssueSlices(np.array([row[0].encode() for row in placed] or [b""]), rows)
