"""Labels as append-only revisions, with the head of each label beside them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.annotations import Annotation, replace
from curate.errors import ConflictError, NotFoundError
from curate.store import schema
from curate.store.base import StoreBase, chunked, dump_json
from curate.store.records import LabelHead, Revision, SourceCount
from curate.store.serialize import mask_from_dict, mask_to_dict

__all__ = ["LabelStore"]

_heads = schema.heads
_revisions = schema.annotation_revisions
_is_head = (_revisions.c.annotation_id == _heads.c.id) & (_revisions.c.revision == _heads.c.revision)
_SIDES = ("x1", "y1", "x2", "y2")
_PLAIN = ("frame_id", "source", "label", "score", "track_id", "iscrowd", "occluded", "difficult", "ignore")
_CONTENT = (*_PLAIN, *_SIDES, "mask", "attributes")


class LabelStore(StoreBase):
    """Labels and their history."""

    def add_annotations(self, annotations: Iterable[Annotation], actor: str) -> int:
        """Add labels as first revisions (`Annotation.revision` is not looked at).

        A label whose id is known and that came in with the same content is left as it is, with all its later
        edits: importing a file again changes nothing.

        Returns:
            Number of new labels.

        Raises:
            ConflictError: A known id with other content; nothing is added.
            NotFoundError: A frame is unknown; nothing is added.
            DataError: An attribute is not a JSON value; nothing is added.
        """
        added = 0
        with self.begin() as connection:
            for chunk in chunked(annotations):
                added += _add_chunk(connection, chunk, actor)
        return added

    def annotations(
        self,
        source: str | None = None,
        frame_ids: Iterable[str] | None = None,
        label: str | None = None,
    ) -> list[Annotation]:
        """Current labels (deleted ones are left out) by frame id and label id; each filter narrows."""
        query = sa.select(_revisions).join_from(_heads, _revisions, _is_head).where(~_heads.c.deleted)
        if source is not None:
            query = query.where(_heads.c.source == source)
        if label is not None:
            query = query.where(_heads.c.label == label)
        query = query.order_by(_heads.c.frame_id, _heads.c.id)
        with self._read() as connection:
            if frame_ids is None:
                return [_annotation(row) for row in connection.execute(query)]
            result: list[Annotation] = []
            for chunk in chunked(sorted(set(frame_ids))):
                rows = connection.execute(query.where(_heads.c.frame_id.in_(chunk)))
                result += [_annotation(row) for row in rows]
        return result

    def annotation(self, annotation_id: str) -> Annotation:
        """One label as it is now.

        Raises:
            NotFoundError: No such label, or it was deleted.
        """
        last = self.last_revision(annotation_id)
        if last.deleted:
            raise NotFoundError(f"the label was deleted by {last.actor}", item=f"annotation {annotation_id}")
        return last.annotation

    def has_annotation(self, annotation_id: str) -> bool:
        """Whether a label with this id was ever there, deleted or not."""
        with self._read() as connection:
            query = sa.select(_heads.c.id).where(_heads.c.id == annotation_id)
            return connection.execute(query).first() is not None

    def last_revision(self, annotation_id: str) -> Revision:
        """The newest revision of a label, be it a deletion.

        Raises:
            NotFoundError: No such label.
        """
        query = (
            sa.select(_revisions).join_from(_heads, _revisions, _is_head).where(_heads.c.id == annotation_id)
        )
        with self._read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError("no such label", item=f"annotation {annotation_id}")
        return _revision(row)

    def revisions(self, annotation_id: str) -> list[Revision]:
        """The whole history of a label, oldest first.

        Raises:
            NotFoundError: No such label.
        """
        query = sa.select(_revisions).where(_revisions.c.annotation_id == annotation_id)
        with self._read() as connection:
            rows = connection.execute(query.order_by(_revisions.c.revision)).all()
        if not rows:
            raise NotFoundError("no such label", item=f"annotation {annotation_id}")
        return [_revision(row) for row in rows]

    def exact_revisions(self, wanted: Mapping[str, int]) -> list[Annotation]:
        """Labels exactly as in the given revisions (label id -> revision), by frame id and label id.

        Raises:
            NotFoundError: A revision is not there.
        """
        found: list[Annotation] = []
        with self._read() as connection:
            for chunk in chunked(sorted(wanted)):
                rows = connection.execute(sa.select(_revisions).where(_revisions.c.annotation_id.in_(chunk)))
                found += [_annotation(row) for row in rows if wanted[row.annotation_id] == row.revision]
        if len(found) < len(wanted):
            missing = min(set(wanted) - {annotation.id for annotation in found})
            raise NotFoundError(f"no revision {wanted[missing]} of this label", item=f"annotation {missing}")
        return sorted(found, key=lambda annotation: (annotation.frame_id, annotation.id))

    def labels_digest(self, wanted: Mapping[str, int]) -> str:
        """SHA-256 (hex) of the content of the given revisions (label id -> revision), whatever their order.

        Raises:
            NotFoundError: A revision is not there.
        """
        digest = hashlib.sha256()
        columns = [_revisions.c[name] for name in ("annotation_id", "revision", *_CONTENT)]
        query = sa.select(*columns).order_by(_revisions.c.annotation_id)
        count = 0
        with self._read() as connection:
            for chunk in chunked(sorted(wanted)):
                for label_id, revision, *content in connection.execute(
                    query.where(_revisions.c.annotation_id.in_(chunk))
                ):
                    if wanted[label_id] == revision:
                        count += 1
                        digest.update(json.dumps([label_id, *content]).encode())
        if count < len(wanted):
            raise NotFoundError(
                f"{len(wanted) - count} of {len(wanted)} label revisions are not in the store"
            )
        return digest.hexdigest()

    def label_heads(
        self, source: str | None = None, frame_ids: Iterable[str] | None = None
    ) -> dict[str, LabelHead]:
        """Label id -> head of every current label: far cheaper than the labels themselves."""
        query = sa.select(_heads).where(~_heads.c.deleted)
        if source is not None:
            query = query.where(_heads.c.source == source)
        with self._read() as connection:
            chunks = [None] if frame_ids is None else chunked(sorted(set(frame_ids)))
            return {
                row.id: LabelHead(row.id, row.revision, row.content_of, row.frame_id, row.label)
                for chunk in chunks
                for row in connection.execute(
                    query if chunk is None else query.where(_heads.c.frame_id.in_(chunk))
                )
            }

    def sources(self) -> list[SourceCount]:
        """Every label source with its current labels and their frames."""
        query = (
            sa.select(_heads.c.source, sa.func.count(), sa.func.count(_heads.c.frame_id.distinct()))
            .where(~_heads.c.deleted)
            .group_by(_heads.c.source)
            .order_by(_heads.c.source)
        )
        with self._read() as connection:
            return [SourceCount(*row) for row in connection.execute(query)]

    def append_revision(
        self,
        annotation: Annotation,
        *,
        parent: int | None,
        actor: str,
        decision_id: str | None,
        deleted: bool = False,
        restores: int | None = None,
    ) -> Annotation:
        """Add one revision to a label's history and move its head there. Reviewers do it by a decision.

        Args:
            annotation: The content; its `revision` is not looked at.
            parent: The revision that it replaces, None for a new label.
            actor: Reviewer or label source.
            decision_id: The stored decision that causes it.
            deleted: The label is gone from now on.
            restores: The revision whose content comes back, for an undo.

        Returns:
            The label with its new revision number.

        Raises:
            ConflictError: `parent` is not the label's newest revision.
        """
        revision = 0 if parent is None else parent + 1
        with self.begin() as connection:
            head = connection.execute(
                sa.select(_heads.c.revision).where(_heads.c.id == annotation.id)
            ).scalar()
            if head != parent:
                raise ConflictError(
                    f"expected revision {parent} of the label, found {head}",
                    item=f"annotation {annotation.id}",
                )
            values = _values(annotation, actor) | {
                "revision": revision,
                "parent": parent,
                "content_of": revision if restores is None else restores,
                "deleted": deleted,
                "decision_id": decision_id,
            }
            connection.execute(sa.insert(_revisions), values)
            if parent is None:
                connection.execute(sa.insert(_heads), _head_values(values))
            else:
                update = sa.update(_heads).where(_heads.c.id == annotation.id)
                connection.execute(update.values(**_head_values(values)))
        return replace(annotation, revision=revision)


def _annotation(row: Any) -> Annotation:
    return Annotation(
        id=row.annotation_id,
        bbox_xyxy=(row.x1, row.y1, row.x2, row.y2),
        mask=None
        if row.mask is None
        else mask_from_dict(json.loads(row.mask), f"annotation {row.annotation_id}"),
        attributes=json.loads(row.attributes),
        revision=row.revision,
        **{name: getattr(row, name) for name in _PLAIN},
    )


def _revision(row: Any) -> Revision:
    return Revision(
        _annotation(row), row.parent, row.content_of, row.deleted, row.actor, row.decision_id, row.created_at
    )


def _values(annotation: Annotation, actor: str) -> dict[str, Any]:
    """The row of a first revision."""
    item = f"annotation {annotation.id}"
    return {
        "annotation_id": annotation.id,
        "revision": 0,
        "parent": None,
        "content_of": 0,
        "deleted": False,
        **{name: getattr(annotation, name) for name in _PLAIN},
        **dict(zip(_SIDES, annotation.bbox_xyxy, strict=True)),
        "score": None if annotation.score is None else float(annotation.score),
        "mask": None if annotation.mask is None else dump_json(mask_to_dict(annotation.mask), item=item),
        "attributes": dump_json(dict(annotation.attributes), item=item),
        "actor": actor,
        "decision_id": None,
        "created_at": time.time(),
    }


def _head_values(values: Mapping[str, Any]) -> dict[str, Any]:
    names = ("revision", "content_of", "deleted", "frame_id", "source", "label")
    return {"id": values["annotation_id"], **{name: values[name] for name in names}}


def _add_chunk(connection: Connection, annotations: list[Annotation], actor: str) -> int:
    _check_frames(connection, annotations)
    query = sa.select(_revisions).where(
        _revisions.c.annotation_id.in_({annotation.id for annotation in annotations}),
        _revisions.c.revision == 0,
    )
    known: dict[str, Any] = {row["annotation_id"]: row for row in connection.execute(query).mappings()}
    new: list[dict[str, Any]] = []
    for annotation in annotations:
        values = _values(annotation, actor)
        before = known.setdefault(annotation.id, values)
        if before is values:
            new.append(values)
            continue
        changed = [name for name in _CONTENT if before[name] != values[name]]
        if changed:
            raise ConflictError(
                f"a label with this id came in before with another {changed[0]}"
                f" ({before[changed[0]]!r}, now {values[changed[0]]!r})",
                item=f"annotation {annotation.id}",
                hint="give changed labels new ids or another source",
            )
    if new:
        connection.execute(sa.insert(_revisions), new)
        connection.execute(sa.insert(_heads), [_head_values(values) for values in new])
    return len(new)


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
