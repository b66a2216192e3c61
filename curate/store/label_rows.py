"""Labels as rows, and rows as labels; new labels with their counts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.annotations import Annotation
from curate.errors import ConflictError, NotFoundError
from curate.store import schema
from curate.store.base import dump_json
from curate.store.records import Revision
from curate.store.serialize import mask_from_dict, mask_to_dict
from curate.store.tallies import frames_with_labels, shift_source

__all__ = [
    "CONTENT",
    "LabelContent",
    "add_labels",
    "digested",
    "head_values",
    "label_tally",
    "label_values",
    "to_annotation",
    "to_revision",
]

_heads = schema.heads
_revisions = schema.annotation_revisions
SIDES = ("x1", "y1", "x2", "y2")
PLAIN = ("frame_id", "source", "label", "score", "track_id", "iscrowd", "occluded", "difficult", "ignore")
CONTENT = (*PLAIN, *SIDES, "mask", "attributes")
"""The columns that make up what a label says."""


@dataclass(frozen=True, slots=True)
class LabelContent:
    """A label as a dataset version holds it.

    Attributes:
        annotation_id: The label.
        content_of: The first revision with this content.
        frame_id: The frame.
        label: Class name.
        digested: What `labels_digest` digests of it.
    """

    annotation_id: str
    content_of: int
    frame_id: str
    label: str
    digested: bytes


def digested(label_id: str, content: Sequence[Any]) -> bytes:
    """What of a label goes into `LabelStore.labels_digest`."""
    return json.dumps([label_id, *content]).encode()


def to_annotation(row: Any) -> Annotation:
    """A revision's row as a label."""
    return Annotation(
        id=row.annotation_id,
        bbox_xyxy=(row.x1, row.y1, row.x2, row.y2),
        mask=None
        if row.mask is None
        else mask_from_dict(json.loads(row.mask), f"annotation {row.annotation_id}"),
        attributes={} if row.attributes == "{}" else json.loads(row.attributes),
        revision=row.revision,
        **{name: getattr(row, name) for name in PLAIN},
    )


def to_revision(row: Any) -> Revision:
    """A revision's row as an entry of the history."""
    return Revision(
        to_annotation(row),
        row.parent,
        row.content_of,
        row.deleted,
        row.actor,
        row.decision_id,
        row.created_at,
    )


def label_values(annotation: Annotation, actor: str) -> dict[str, Any]:
    """The row of a first revision."""
    item = f"annotation {annotation.id}"
    return {
        "annotation_id": annotation.id,
        "revision": 0,
        "parent": None,
        "content_of": 0,
        "deleted": False,
        **{name: getattr(annotation, name) for name in PLAIN},
        **dict(zip(SIDES, annotation.bbox_xyxy, strict=True)),
        "score": None if annotation.score is None else float(annotation.score),
        "mask": None if annotation.mask is None else dump_json(mask_to_dict(annotation.mask), item=item),
        "attributes": dump_json(dict(annotation.attributes), item=item),
        "actor": actor,
        "decision_id": None,
        "created_at": time.time(),
    }


def head_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a label's head, from its newest revision."""
    names = ("revision", "content_of", "deleted", "frame_id", "source", "label")
    return {"id": values["annotation_id"], **{name: values[name] for name in names}}


def label_tally(connection: Connection, annotation_id: str, frame_id: str, source: str) -> tuple[int, int]:
    """Whether the label counts now, and whether its frame does, for its source."""
    query = sa.select(_heads.c.id).where(_heads.c.id == annotation_id, ~_heads.c.deleted)
    counts = connection.execute(query).first() is not None
    return int(counts), len(frames_with_labels(connection, source, [frame_id]))


def add_labels(connection: Connection, annotations: list[Annotation], actor: str) -> int:
    """Add those labels of a chunk that are not there yet, count them, and tell how many; see `add_annotations`."""
    _check_frames(connection, annotations)
    query = sa.select(_revisions).where(
        _revisions.c.annotation_id.in_({annotation.id for annotation in annotations}),
        _revisions.c.revision == 0,
    )
    known: dict[str, Any] = {row["annotation_id"]: row for row in connection.execute(query).mappings()}
    new: list[dict[str, Any]] = []
    for annotation in annotations:
        values = label_values(annotation, actor)
        before = known.setdefault(annotation.id, values)
        if before is values:
            new.append(values)
            continue
        changed = [name for name in CONTENT if before[name] != values[name]]
        if changed:
            raise ConflictError(
                f"a label with this id came in before with another {changed[0]}"
                f" ({before[changed[0]]!r}, now {values[changed[0]]!r})",
                item=f"annotation {annotation.id}",
                hint="give changed labels new ids or another source",
            )
    if new:
        connection.execute(sa.insert(_revisions), new)
        _count(connection, new)
        connection.execute(sa.insert(_heads), [head_values(values) for values in new])
    return len(new)


def _count(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Count new labels, before they are there."""
    changes: dict[str, tuple[int, int]] = {}
    for source in {row["source"] for row in rows}:
        frames = [row["frame_id"] for row in rows if row["source"] == source]
        distinct = set(frames)
        known = frames_with_labels(connection, source, distinct)
        changes[source] = (len(frames), len(distinct - known))
    shift_source(connection, changes)


def _check_frames(connection: Connection, annotations: list[Annotation]) -> None:
    wanted = {annotation.frame_id for annotation in annotations}
    query = sa.select(schema.frames.c.id).where(schema.frames.c.id.in_(wanted))
    known = set(connection.execute(query).scalars())
    for annotation in annotations:
        if annotation.frame_id not in known:
            raise NotFoundError(
                f"the label names frame {annotation.frame_id}, which is not in the store",
                item=f"annotation {annotation.id}",
                hint="ingest the frames first",
            )
