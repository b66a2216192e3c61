"""Frames, their other names, and what could not be taken in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.annotations import Frame
from curate.errors import ConflictError, NotFoundError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase, chunked, dump_json
from curate.store.origins import add_origins
from curate.store.records import FrameOrigin, QuarantinedItem, SiteSettings

__all__ = ["FrameStore"]

_PAGE = 2000
_ORDER = (schema.frames.c.clip, schema.frames.c.position, schema.frames.c.id)


class FrameStore(StoreBase):
    """Frames by id and by name."""

    def add_frames(self, frames: Iterable[Frame], origins: Iterable[FrameOrigin] = ()) -> int:
        """Add what is not there yet.

        A frame whose id is known is left as it is; if it comes with another name, that becomes an alias.

        Args:
            frames: The frames.
            origins: Of those among them that were blurred; one whose clear picture is known is left as it is.

        Returns:
            Number of new frames.

        Raises:
            ConflictError: A name belongs to another frame; nothing is added.
        """
        added = 0
        with self.begin() as connection:
            for chunk in chunked(frames):
                added += _add_chunk(connection, chunk)
            blurred = add_origins(connection, origins)
            if added or blurred:
                detail = {"frames": added, "blurred": blurred} if blurred else {"frames": added}
                write_audit(connection, self.actor, "frames.add", detail=detail)
        return added

    def frames(
        self,
        ids: Iterable[str] | None = None,
        names: Iterable[str] | None = None,
        clip: str | None = None,
        include_excluded: bool = True,
    ) -> list[Frame]:
        """Frames by recording, position and id; each filter narrows, unknown ids and names are left out.

        Args:
            ids: Only these.
            names: Only these (aliases count).
            clip: Only of this recording.
            include_excluded: Also those that a decision took out.
        """
        query = sa.select(schema.frames)
        if clip is not None:
            query = query.where(schema.frames.c.clip == clip)
        if not include_excluded:
            query = query.where(~schema.frames.c.excluded)
        with self._read() as connection:
            wanted = None if ids is None else set(ids)
            if names is not None:
                named = set(_ids_by_name(connection, set(names)).values())
                wanted = named if wanted is None else wanted & named
            if wanted is None:
                rows: list[Any] = list(connection.execute(query.order_by(*_ORDER)))
            else:
                rows = []
                for chunk in chunked(sorted(wanted)):
                    rows += connection.execute(query.where(schema.frames.c.id.in_(chunk)))
                rows.sort(key=lambda row: (row.clip, row.position, row.id))
        return [_frame(row) for row in rows]

    def frames_by_name(self, names: Iterable[str]) -> dict[str, Frame]:
        """Name -> frame of those names or aliases that are known."""
        with self._read() as connection:
            ids = _ids_by_name(connection, set(names))
            frames = {frame.id: frame for frame in self.frames(ids=ids.values())}
        return {name: frames[frame_id] for name, frame_id in ids.items()}

    def frames_excluded(self, ids: Iterable[str]) -> dict[str, bool]:
        """Frame id -> whether a decision took it out, of those ids that are there, sorted."""
        columns = (schema.frames.c.id, schema.frames.c.excluded)
        found: dict[str, bool] = {}
        with self._read() as connection:
            for chunk in chunked(sorted(set(ids))):
                query = sa.select(*columns).where(schema.frames.c.id.in_(chunk)).order_by(columns[0])
                found.update((row.id, row.excluded) for row in connection.execute(query))
        return found

    def frame_counts(self) -> tuple[int, int]:
        """Number of frames, and of those that decisions took out."""
        query = sa.select(schema.frames.c.excluded, sa.func.count()).group_by(schema.frames.c.excluded)
        with self._read() as connection:
            counts = {bool(excluded): int(number) for excluded, number in connection.execute(query)}
        return sum(counts.values()), counts.get(True, 0)

    def frames_page(
        self,
        limit: int = 1000,
        after: Frame | None = None,
        include_excluded: bool = True,
        clip: str | None = None,
    ) -> list[Frame]:
        """A page of all frames in the order of `frames`: by recording, position and id.

        Args:
            limit: At most so many.
            after: The last frame of the page before.
            include_excluded: Also those that a decision took out.
            clip: Only of this recording.
        """
        query = sa.select(schema.frames).order_by(*_ORDER).limit(limit)
        if after is not None:
            query = query.where(sa.tuple_(*_ORDER) > sa.tuple_(after.clip, after.index, after.id))
        if clip is not None:
            query = query.where(schema.frames.c.clip == clip)
        if not include_excluded:
            # Not the plain column: SQLite would take the index of the few excluded ones and sort what is left.
            query = query.where(~sa.func.coalesce(schema.frames.c.excluded, sa.false()))
        with self._read() as connection:
            return [_frame(row) for row in connection.execute(query)]

    def each_frame(self, *, clip: str | None = None, include_excluded: bool = True) -> Iterator[Frame]:
        """All frames in the order of `frames`, a page of them in memory at a time.

        Each page is a view of its own; inside `reading` all of them are one.

        Args:
            clip: Only of this recording.
            include_excluded: Also those that a decision took out.
        """
        page = self.frames_page(_PAGE, None, include_excluded, clip)
        while page:
            yield from page
            page = self.frames_page(_PAGE, page[-1], include_excluded, clip)

    def each_frame_by_name(self, *, include_excluded: bool = True) -> Iterator[Frame]:
        """As `each_frame`, of all recordings in the order of the names."""
        table = schema.frames
        query = sa.select(table).order_by(table.c.name).limit(_PAGE)
        if not include_excluded:
            query = query.where(~sa.func.coalesce(table.c.excluded, sa.false()))
        page = query
        while True:
            with self._read() as connection:
                frames = [_frame(row) for row in connection.execute(page)]
            yield from frames
            if len(frames) < _PAGE:
                return
            page = query.where(table.c.name > frames[-1].name)

    def frame(self, frame_id: str) -> Frame:
        """One frame.

        Raises:
            NotFoundError: No such frame.
        """
        with self._read() as connection:
            row = connection.execute(sa.select(schema.frames).where(schema.frames.c.id == frame_id)).first()
        if row is None:
            raise NotFoundError("no such frame", item=f"frame {frame_id}")
        return _frame(row)

    def frames_after(self, frame_id: str, count: int) -> list[str]:
        """Ids of the next frames of the same recording, in their order; excluded ones are left out.

        Raises:
            NotFoundError: There is no such frame.
        """
        here = self.frame(frame_id)
        table = schema.frames
        later = sa.tuple_(table.c.position, table.c.id) > sa.tuple_(
            sa.literal(here.index), sa.literal(here.id)
        )
        query = sa.select(table.c.id).where(table.c.clip == here.clip, ~table.c.excluded, later)
        with self._read() as connection:
            return list(connection.execute(query.order_by(*_ORDER).limit(count)).scalars())

    def frames_around(self, frame: Frame, count: int) -> tuple[list[Frame], list[Frame]]:
        """At most `count` frames of the same recording before it and as many after it, each in their order."""
        table = schema.frames.c
        order = sa.tuple_(table.position, table.id)
        here = sa.tuple_(frame.index, frame.id)
        query = sa.select(schema.frames).where(table.clip == frame.clip)
        earlier = query.where(order < here).order_by(table.position.desc(), table.id.desc()).limit(count)
        later = query.where(order > here).order_by(table.position, table.id).limit(count)
        with self._read() as connection:
            before = [_frame(row) for row in connection.execute(earlier)]
            after = [_frame(row) for row in connection.execute(later)]
        return before[::-1], after

    def clips(self) -> list[str]:
        """Names of the recordings."""
        # From one name to the next along the index: as quick with a million frames as with ten.
        smallest = sa.select(sa.func.min(schema.frames.c.clip).label("clip"))
        walk = smallest.cte("walk", recursive=True)
        following = smallest.where(schema.frames.c.clip > walk.c.clip).scalar_subquery()
        walk = walk.union_all(sa.select(following).where(walk.c.clip.is_not(None)))
        with self._read() as connection:
            found = connection.execute(sa.select(walk.c.clip).where(walk.c.clip.is_not(None)))
            return [str(name) for name in found.scalars()]

    def frame_by_name(self, name: str) -> Frame:
        """The frame of a name or alias.

        Raises:
            NotFoundError: No such name.
        """
        with self._read() as connection:
            found = _ids_by_name(connection, {name})
            if name not in found:
                raise NotFoundError("no frame has this name", item=f"frame {name}")
            return self.frame(found[name])

    def frame_ids_by_name(self, names: Iterable[str]) -> dict[str, str]:
        """Name or alias -> frame id, of those that are known."""
        with self._read() as connection:
            return _ids_by_name(connection, set(names))

    def frame_aliases(self) -> dict[str, str]:
        """Alias -> frame id, of all frames that came under several names."""
        with self._read() as connection:
            rows = connection.execute(sa.select(schema.frame_aliases).order_by(schema.frame_aliases.c.name))
            return {row.name: row.frame_id for row in rows}

    def set_frame_excluded(self, frame_id: str, excluded: bool) -> None:
        """Take a frame out of training and queue, or back in. Reviewers do it by a decision.

        Raises:
            NotFoundError: No such frame.
        """
        with self.begin() as connection:
            update = sa.update(schema.frames).where(schema.frames.c.id == frame_id).values(excluded=excluded)
            if connection.execute(update).rowcount == 0:
                raise NotFoundError("no such frame", item=f"frame {frame_id}")

    def quarantine(self, source: str, item: str, reason: str) -> None:
        """Note that something could not be taken in; the newest reason counts."""
        table = schema.quarantine
        with self.begin() as connection:
            here = (table.c.source == source) & (table.c.item == item)
            connection.execute(sa.delete(table).where(here))
            connection.execute(
                sa.insert(table),
                {"source": source, "item": item, "reason": reason, "created_at": time.time()},
            )
            write_audit(connection, self.actor, "quarantine.add", source, {"item": item})

    def quarantined(self) -> list[QuarantinedItem]:
        """All that could not be taken in, by source and item."""
        table = schema.quarantine
        with self._read() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.source, table.c.item))
            return [QuarantinedItem(row.source, row.item, row.reason, row.created_at) for row in rows]

    def release_quarantined(self, source: str, item: str = "") -> bool:
        """Take a note back, after a good copy came in; whether there was one."""
        table = schema.quarantine
        with self.begin() as connection:
            here = (table.c.source == source) & (table.c.item == item)
            there = connection.execute(sa.delete(table).where(here)).rowcount > 0
            if there:
                write_audit(connection, self.actor, "quarantine.release", source, {"item": item})
        return there

    def set_site(self, classes: Sequence[str], working_source: str) -> None:
        """Tell the store what decisions need of site.yaml."""
        table = schema.settings
        values = {"classes": list(classes), "working_source": working_source}
        with self.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.key.in_(values)))
            connection.execute(
                sa.insert(table),
                [{"key": key, "value": dump_json(value, item=key)} for key, value in values.items()],
            )
            write_audit(connection, self.actor, "site.set", detail=values)

    def site(self) -> SiteSettings:
        """What `set_site` was told last, or the defaults."""
        with self._read() as connection:
            values = {
                row.key: json.loads(row.value) for row in connection.execute(sa.select(schema.settings))
            }
        if "classes" not in values:
            return SiteSettings()
        return SiteSettings(tuple(values["classes"]), values["working_source"])


def _frame(row: Any) -> Frame:
    return Frame(
        id=row.id,
        name=row.name,
        camera=row.camera,
        clip=row.clip,
        index=row.position,
        captured_at=row.captured_at,
        wall_time=row.wall_time,
        width=row.width,
        height=row.height,
        sha256=row.sha256,
        path=row.path,
        source=row.source,
        excluded=row.excluded,
    )


def _values(frame: Frame) -> dict[str, Any]:
    columns = schema.frames.c.keys()
    return {name: frame.index if name == "position" else getattr(frame, name) for name in columns}


def _ids_by_name(connection: Connection, names: set[str]) -> dict[str, str]:
    frames, aliases = schema.frames.c, schema.frame_aliases.c
    found: dict[str, str] = {}
    for chunk in chunked(sorted(names)):
        for query in (
            sa.select(frames.name, frames.id).where(frames.name.in_(chunk)),
            sa.select(aliases.name, aliases.frame_id).where(aliases.name.in_(chunk)),
        ):
            found.update((name, frame_id) for name, frame_id in connection.execute(query))
    return found


def _add_chunk(connection: Connection, frames: list[Frame]) -> int:
    owners: dict[str, str] = _ids_by_name(connection, {frame.name for frame in frames})
    query = sa.select(schema.frames.c.id).where(schema.frames.c.id.in_({frame.id for frame in frames}))
    known = set(connection.execute(query).scalars())
    new: list[Mapping[str, Any]] = []
    aliases: list[Mapping[str, Any]] = []
    for frame in frames:
        owner = owners.get(frame.name)
        if owner is not None and owner != frame.id:
            raise ConflictError(
                f"the name belongs to another frame ({owner})",
                file=frame.source,
                item=f"frame {frame.name}",
                hint="names are unique: rename the file or the recording",
            )
        if frame.id not in known:
            new.append(_values(frame))
        elif owner is None:
            aliases.append({"name": frame.name, "frame_id": frame.id})
        known.add(frame.id)
        owners[frame.name] = frame.id
    if new:
        connection.execute(sa.insert(schema.frames), new)
    if aliases:
        connection.execute(sa.insert(schema.frame_aliases), aliases)
    return len(new)
