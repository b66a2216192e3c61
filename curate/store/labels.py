"""Labels as append-only revisions, with the head of each label beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa

from curate.annotations import Annotation, Frame, replace
from curate.errors import ConflictError, NotFoundError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import STREAM, StoreBase, chunked
from curate.store.label_rows import (
    CONTENT,
    LabelContent,
    add_labels,
    digested,
    head_values,
    label_tally,
    label_values,
    to_annotation,
    to_revision,
)
from curate.store.records import LabelHead, Revision, SourceCount
from curate.store.tallies import shift_source

__all__ = ["LabelStore"]

_FRAMES = 500
_heads = schema.heads
_revisions = schema.annotation_revisions
_is_head = (_revisions.c.annotation_id == _heads.c.id) & (_revisions.c.revision == _heads.c.revision)


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
        with self.bulk() as connection:
            for chunk in chunked(annotations):
                added += add_labels(connection, chunk, actor)
            if added:
                write_audit(connection, self.actor, "labels.add", actor, {"labels": added})
        return added

    def annotations(
        self,
        source: str | None = None,
        frame_ids: Iterable[str] | None = None,
        label: str | None = None,
        *,
        masks: bool = True,
    ) -> list[Annotation]:
        """Current labels (deleted ones are left out) by frame id and label id; each filter narrows.

        Args:
            source: Only of this label source.
            frame_ids: Only on these frames.
            label: Only of this class.
            masks: False leaves the masks out, unread: many times faster where only boxes matter.
        """
        columns = list(_revisions.c)
        if not masks:
            columns = [c for c in columns if c.name != "mask"] + [sa.null().label("mask")]  # type: ignore[list-item]
        query = sa.select(*columns).join_from(_heads, _revisions, _is_head).where(~_heads.c.deleted)
        if source is not None:
            query = query.where(_heads.c.source == source)
        if label is not None:
            query = query.where(_heads.c.label == label)
        query = query.order_by(_heads.c.frame_id, _heads.c.id)
        with self._read() as connection:
            if frame_ids is None:
                return [to_annotation(row) for row in connection.execute(query)]
            result: list[Annotation] = []
            for chunk in chunked(sorted(set(frame_ids))):
                rows = connection.execute(query.where(_heads.c.frame_id.in_(chunk)))
                result += [to_annotation(row) for row in rows]
        return result

    def labels_by_frame(
        self, frames: Iterable[Frame], source: str, *, masks: bool = True
    ) -> Iterator[tuple[Frame, list[Annotation]]]:
        """Each frame with its current labels of a source by id, some hundred frames in memory at a time.

        With `each_frame` it reads a project of any size; inside `reading` from one view.

        Args:
            frames: In any order, which is kept.
            source: Label source.
            masks: See `annotations`.
        """
        for chunk in chunked(frames, _FRAMES):
            found: dict[str, list[Annotation]] = {frame.id: [] for frame in chunk}
            for label in self.annotations(source, found, masks=masks):
                found[label.frame_id].append(label)
            for frame in chunk:
                yield frame, found[frame.id]

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
        return to_revision(row)

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
        return [to_revision(row) for row in rows]

    def exact_revisions(self, wanted: Mapping[str, int]) -> list[Annotation]:
        """Labels exactly as in the given revisions (label id -> revision), by frame id and label id.

        Raises:
            NotFoundError: A revision is not there.
        """
        found: list[Annotation] = []
        missing: list[str] = []
        with self._read() as connection:
            for chunk in chunked(sorted(wanted.items())):
                here = dict(chunk)
                rows = connection.execute(sa.select(_revisions).where(_revisions.c.annotation_id.in_(here)))
                labels = [to_annotation(row) for row in rows if here[row.annotation_id] == row.revision]
                found += labels
                missing += sorted(set(here) - {label.id for label in labels})
        if missing:
            raise NotFoundError(
                f"no revision {wanted[missing[0]]} of this label", item=f"annotation {missing[0]}"
            )
        return sorted(found, key=lambda annotation: (annotation.frame_id, annotation.id))

    def labels_digest(self, wanted: Mapping[str, int]) -> str:
        """SHA-256 (hex) of the content of the given revisions (label id -> revision), whatever their order.

        Raises:
            NotFoundError: A revision is not there.
        """
        digest = hashlib.sha256()
        columns = [_revisions.c[name] for name in ("annotation_id", "revision", *CONTENT)]
        query = sa.select(*columns).order_by(_revisions.c.annotation_id)
        count = 0
        with self._read() as connection:
            for chunk in chunked(sorted(wanted.items())):
                here = dict(chunk)
                for label_id, revision, *content in connection.execute(
                    query.where(_revisions.c.annotation_id.in_(here))
                ):
                    if here[label_id] == revision:
                        count += 1
                        digest.update(digested(label_id, content))
        if count < len(wanted):
            raise NotFoundError(
                f"{len(wanted) - count} of {len(wanted)} label revisions are not in the store"
            )
        return digest.hexdigest()

    def label_contents(self, source: str) -> Iterator[LabelContent]:
        """Every current label of a source by id, one at a time: its head, and what `labels_digest` digests.

        Read it inside `reading`, or an edit in between may be seen.
        """
        content = [_revisions.c[name] for name in CONTENT]
        same = (_revisions.c.annotation_id == _heads.c.id) & (_revisions.c.revision == _heads.c.content_of)
        query = (
            sa.select(_heads.c.id, _heads.c.content_of, *content)
            .join_from(_heads, _revisions, same)
            # Not `source = ...`: a database would then walk the source's index and sort millions of rows.
            .where(_heads.c.source.concat("") == source, ~_heads.c.deleted)
            .order_by(_heads.c.id)
        )
        with self._read() as connection, connection.execute(query.execution_options(**STREAM)) as rows:
            for label_id, revision, *values in rows:
                yield LabelContent(label_id, revision, values[0], values[2], digested(label_id, values))

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

    def label_ids(self, frame_ids: Iterable[str]) -> list[str]:
        """Ids of the labels that ever were on some frames, of all sources, deleted ones too."""
        query, found = sa.select(_heads.c.id), list[str]()
        with self._read() as connection:
            for chunk in chunked(sorted(set(frame_ids))):
                found += connection.execute(query.where(_heads.c.frame_id.in_(chunk))).scalars()
        return found

    def label_ids_by_frame(self, frames: Iterable[Frame], source: str) -> Iterator[str]:
        """Ids of the labels of `labels_by_frame`, far cheaper than the labels."""
        query = sa.select(_heads.c.id).where(_heads.c.source == source, ~_heads.c.deleted)
        for chunk in chunked((frame.id for frame in frames), _FRAMES):
            with self._read() as connection:
                found = list(connection.execute(query.where(_heads.c.frame_id.in_(chunk))).scalars())
            yield from found

    def sources(self) -> list[SourceCount]:
        """Every label source with its current labels and their frames."""
        table = schema.source_tallies
        with self._read() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.source))
            return [SourceCount(*row) for row in rows]

    def labelled_frame_ids(self, source: str, label: str | None = None) -> set[str]:
        """Ids of the frames that have a current label of this source, and of this class if one is named."""
        query = sa.select(_heads.c.frame_id).where(_heads.c.source == source, ~_heads.c.deleted).distinct()
        if label is not None:
            query = query.where(_heads.c.label == label)
        with self._read() as connection:
            return set(connection.execute(query).scalars())

    def label_counts(self, source: str) -> dict[str, int]:
        """Frame id -> number of its current labels of a source; frames without any are left out."""
        query = sa.select(_heads.c.frame_id, sa.func.count()).where(
            _heads.c.source == source, ~_heads.c.deleted
        )
        with self._read() as connection:
            rows = connection.execute(query.group_by(_heads.c.frame_id))
            return {str(frame): int(count) for frame, count in rows}

    def has_masks(self, source: str, sample: int = 500) -> bool | None:
        """Whether any of the first current labels of a source has a mask; None without labels.

        Args:
            source: Label source.
            sample: So many labels are looked at: a source has masks or it has none.
        """
        some = (
            sa.select(_revisions.c.mask.is_not(None).label("masked"))
            .join_from(_heads, _revisions, _is_head)
            .where(_heads.c.source == source, ~_heads.c.deleted)
            .limit(sample)
            .subquery()
        )
        with self._read() as connection:
            found = connection.execute(
                sa.select(sa.func.max(sa.cast(some.c.masked, sa.Integer)))
            ).scalar_one()
        return None if found is None else bool(found)

    def frames_of_track(self, track_id: str) -> set[str]:
        """Ids of the frames that have a current label of this track; reads every label, so that it may take seconds."""
        query = (
            sa.select(_heads.c.frame_id)
            .join_from(_heads, _revisions, _is_head)
            .where(_revisions.c.track_id == track_id, ~_heads.c.deleted)
        )
        with self._read() as connection:
            return set(connection.execute(query.distinct()).scalars())

    def label_count(self, frame_ids: Iterable[str]) -> int:
        """Number of current labels on some frames, of all sources."""
        query = sa.select(sa.func.count()).select_from(_heads).where(~_heads.c.deleted)
        with self._read() as connection:
            chunks = chunked(sorted(set(frame_ids)))
            return sum(
                int(connection.execute(query.where(_heads.c.frame_id.in_(chunk))).scalar_one())
                for chunk in chunks
            )

    def frames_of_labels(self, ids: Iterable[str]) -> dict[str, str]:
        """Label id -> frame id of those of the labels that are there and not deleted."""
        query = sa.select(_heads.c.id, _heads.c.frame_id).where(~_heads.c.deleted)
        found: dict[str, str] = {}
        with self._read() as connection:
            for chunk in chunked(sorted(set(ids))):
                rows = connection.execute(query.where(_heads.c.id.in_(chunk)))
                found.update((row.id, row.frame_id) for row in rows)
        return found

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
            values = label_values(annotation, actor) | {
                "revision": revision,
                "parent": parent,
                "content_of": revision if restores is None else restores,
                "deleted": deleted,
                "decision_id": decision_id,
            }
            connection.execute(sa.insert(_revisions), values)
            before = label_tally(connection, annotation.id, annotation.frame_id, annotation.source)
            if parent is None:
                connection.execute(sa.insert(_heads), head_values(values))
            else:
                update = sa.update(_heads).where(_heads.c.id == annotation.id)
                connection.execute(update.values(**head_values(values)))
            after = label_tally(connection, annotation.id, annotation.frame_id, annotation.source)
            if after != before:
                change = (after[0] - before[0], after[1] - before[1])
                shift_source(connection, {annotation.source: change})
        return replace(annotation, revision=revision)
