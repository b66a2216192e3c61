"""Regions where nothing counts, drawn on the scene: written into site.yaml, with a history that can be taken back.

What stands in `policy.ignore_regions` and `policy.far_zone` is left out of scoring, loss and metric alike
(`curate.workflows.policy`), so drawing is all that a person has to do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from curate.config import load_site, with_policy_regions
from curate.errors import ConfigError, ConflictError, DataError, NotFoundError
from curate.files import exclusive
from curate.store import Role
from curate.types import Ring
from curate.workflows.files import read_json, write_atomically, write_json
from curate.workflows.gold import GOLD_SOURCE
from curate.workflows.policy import ignored_by_policy
from curate.workflows.project import SITE_FILE, Project

__all__ = [
    "Regions",
    "RegionsChange",
    "can_undo",
    "current_regions",
    "labels_left_out",
    "regions_history",
    "set_regions",
    "undo_regions",
]


@dataclass(frozen=True)
class Regions:
    """Polygons in pixels of the frame.

    Attributes:
        ignore_regions: Where nobody can tell: reflections, screens, a hedge.
        far_zone: Where nobody labels: too far away.
    """

    ignore_regions: tuple[Ring, ...] = ()
    far_zone: tuple[Ring, ...] = ()


@dataclass(frozen=True)
class RegionsChange:
    """One entry of the history.

    Attributes:
        at: Unix time.
        reviewer: Who.
        before: The regions before it.
        after: The regions after it.
        undoes: Place in the history of the entry that it took back; None for a drawing.
    """

    at: float
    reviewer: str
    before: Regions
    after: Regions
    undoes: int | None = None


def current_regions(project: Project) -> Regions:
    """What site.yaml says, as the project was opened."""
    policy = project.config.policy
    return Regions(_rings(policy.ignore_regions), _rings(policy.far_zone))


def set_regions(project: Project, regions: Regions, reviewer: str, *, seen: Regions | None = None) -> Project:
    """Write other regions into site.yaml and note the change.

    Args:
        project: The project.
        regions: All regions from now on.
        reviewer: Who drew them.
        seen: What the person saw before drawing; None for no check.

    Returns:
        The project opened again.

    Raises:
        ConfigError: A region is not allowed, or site.yaml cannot be changed by machine.
        ConflictError: The regions are not those that were seen, or another process changes them now.
        AccessError: The project has users, and this is none of them or only a viewer.
    """
    project.store.expect_role(reviewer, Role.REVIEWER)
    with exclusive(_folder(project)):
        return _write(project, _rounded(regions), reviewer, seen=seen)


def undo_regions(project: Project, reviewer: str) -> Project:
    """Take the last drawing back that still stands.

    Returns:
        The project opened again.

    Raises:
        NotFoundError: Nothing was drawn.
        ConflictError: Somebody changed the regions in site.yaml since.
        AccessError: See `set_regions`.
    """
    project.store.expect_role(reviewer, Role.REVIEWER)
    with exclusive(_folder(project)):
        history = regions_history(project)
        standing = _standing(history)
        if not standing:
            raise NotFoundError("no drawing of regions to take back")
        last = history[standing[-1]]
        return _write(project, last.before, reviewer, seen=last.after, undoes=standing[-1])


def regions_history(project: Project) -> list[RegionsChange]:
    """Every change that was made here, oldest first.

    Raises:
        DataError: The history is broken.
    """
    path = _path(project)
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[RegionsChange]).validate_python(read_json(path))
    except ValidationError as error:
        raise DataError(
            f"the history of the regions is broken: {error.errors()[0]['msg']}",
            file=path,
            hint="move the file away; site.yaml itself is not touched",
        ) from error


def can_undo(history: Sequence[RegionsChange], now: Regions) -> bool:
    """Whether `undo_regions` would take something back."""
    standing = _standing(history)
    return bool(standing) and history[standing[-1]].after == now


def labels_left_out(project: Project, regions: Regions) -> Mapping[str, int]:
    """How many labels of the working source and of gold stand in the regions, by source."""
    policy = project.config.policy.model_copy(
        update={
            "min_height": 0.0,
            "min_area": 0.0,
            "occluded": "label",
            "ignore_regions": [list(ring) for ring in regions.ignore_regions],
            "far_zone": [list(ring) for ring in regions.far_zone],
        }
    )
    result = {}
    for source in (project.config.labels.working, GOLD_SOURCE):
        annotations = project.store.annotations(source=source, masks=False)
        boxes = np.array([annotation.bbox_xyxy for annotation in annotations], float).reshape(-1, 4)
        result[source] = int(ignored_by_policy(boxes, np.zeros(len(boxes), bool), policy).sum())
    return result


def _standing(history: Sequence[RegionsChange]) -> list[int]:
    undone = {entry.undoes for entry in history}
    return [at for at, entry in enumerate(history) if entry.undoes is None and at not in undone]


def _write(
    project: Project, regions: Regions, reviewer: str, *, seen: Regions | None, undoes: int | None = None
) -> Project:
    path = project.root / SITE_FILE
    now = Project(project.root, load_site(path))
    before = current_regions(now)
    if seen is not None and _rounded(seen) != _rounded(before):
        raise ConflictError(
            "the regions were changed in the meantime",
            file=path,
            hint="reload the page and draw again",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error
    for key, rings in (("ignore_regions", regions.ignore_regions), ("far_zone", regions.far_zone)):
        if _rings(getattr(now.config.policy, key)) != rings:
            text = with_policy_regions(text, key, rings, file=path)
    # Noted first: a history with one entry too many is harmless, a drawing that nobody can take back is not.
    entries = [*regions_history(project), RegionsChange(time.time(), reviewer, before, regions, undoes)]
    write_json(_path(project), [_plain(entry) for entry in entries])
    write_atomically(path, text.encode())
    return Project.open(project.root)


def _plain(entry: RegionsChange) -> dict[str, Any]:
    return asdict(entry)


def _rounded(regions: Regions) -> Regions:
    def rings(values: Sequence[Ring]) -> tuple[Ring, ...]:
        return tuple(tuple((round(x, 1), round(y, 1)) for x, y in ring) for ring in values)

    return Regions(rings(regions.ignore_regions), rings(regions.far_zone))


def _rings(regions: Sequence[Sequence[tuple[float, float]]]) -> tuple[Ring, ...]:
    return tuple(tuple((float(x), float(y)) for x, y in ring) for ring in regions)


def _folder(project: Project) -> Path:
    return project.state_dir / "regions"


def _path(project: Project) -> Path:
    return _folder(project) / "history.json"
