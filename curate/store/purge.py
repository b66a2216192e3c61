"""Erasing frames for good, with everything in the database that came from them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase, chunked, dump_json
from curate.store.engine import translated
from curate.store.tallies import recount_issues, recount_sources

__all__ = ["Erased", "PurgeStore"]

_SHAPES = ("bbox_xyxy", "mask", "note", "flags", "label")
"""What a decision says about a picture; it goes with it."""
_HOLDING = (
    "decisions",
    "issues",
    "opinions",
    "leases",
    "annotations",
    "annotation_revisions",
    "frame_aliases",
    "frame_origins",
    "frames",
    "artifacts",
)
"""Tables from which something is erased."""
_CLOSE_OTHERS = "close the app and whatever else has it open, then `curate purge --finish`"
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased from a database: numbers of frames, labels, issues, and of decisions that lost what they said."""

    frames: int
    labels: int
    issues: int
    decisions: int


class PurgeStore(StoreBase):
    """Erases. Nothing else in the store ever takes a label revision away."""

    def erase_frames(
        self, frame_ids: Iterable[str], *, reason: str, versions: Mapping[str, Sequence[str]] | None = None
    ) -> Erased:
        """Erase frames, their labels with all revisions, their issues, and what decisions say about them.

        Tombstones with the ids alone stay, so that versions and gold sets that held them can still be read; of a
        blurred frame also one with the digest of the clear picture, so that neither comes back. A
        decision stays as who, what kind and when. One transaction; call `vacuum` afterwards.

        Args:
            frame_ids: Which; unknown ones are left out.
            reason: Kept with the tombstones: a reference to the request, nothing personal.
            versions: Frame id -> ids of the dataset versions that hold it.
        """
        wanted = sorted(set(frame_ids))
        with self.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")  # Overwrites what it frees.
            frames = _ids(connection, schema.frames.c.id, schema.frames.c.id, wanted)
            labels = _ids(connection, schema.heads.c.id, schema.heads.c.frame_id, frames)
            issues = _ids(connection, schema.issues.c.id, schema.issues.c.frame_id, frames)
            origins = schema.frame_origins.c
            clear = _ids(connection, origins.clear_sha256, origins.frame_id, frames)
            decisions = _scrub(connection, set(frames), set(labels), set(issues))
            for table, column, keys in (
                (schema.leases, schema.leases.c.issue_id, issues),
                (schema.opinions, schema.opinions.c.issue_id, issues),
                (schema.issues, schema.issues.c.id, issues),
                (schema.heads, schema.heads.c.id, labels),
                (schema.annotation_revisions, schema.annotation_revisions.c.annotation_id, labels),
                (schema.frame_aliases, schema.frame_aliases.c.frame_id, frames),
                (schema.frame_origins, origins.clear_sha256, clear),
                (schema.artifacts, schema.artifacts.c.key, frames),
                (schema.frames, schema.frames.c.id, frames),
            ):
                for chunk in chunked(keys):
                    connection.execute(sa.delete(table).where(column.in_(chunk)))
            held = versions or {}
            self._bury(connection, "frame", {key: held.get(key, ()) for key in frames}, reason)
            self._bury(connection, "clear", dict.fromkeys(clear, ()), reason)
            self._bury(connection, "label", dict.fromkeys(labels, ()), reason)
            recount_issues(connection)
            recount_sources(connection)
            if frames:
                detail = {"frames": frames, "labels": len(labels), "reason": reason}
                write_audit(connection, self.actor, "purge", detail=detail)
        return Erased(len(frames), len(labels), len(issues), decisions)

    def _bury(
        self, connection: Connection, kind: str, held: Mapping[str, Sequence[str]], reason: str
    ) -> None:
        rows = [
            {
                "kind": kind,
                "id": key,
                "actor": self.actor,
                "reason": reason,
                "versions": dump_json(sorted(versions), item=key),
                "created_at": time.time(),
            }
            for key, versions in held.items()
        ]
        for chunk in chunked(rows):
            connection.execute(sa.insert(schema.tombstones), chunk)

    def buried_versions(self) -> dict[str, tuple[str, ...]]:
        """Version id -> the purged frames that it held."""
        table = schema.tombstones
        query = sa.select(table.c.id, table.c.versions).where(table.c.kind == "frame").order_by(table.c.id)
        found: dict[str, list[str]] = {}
        with self._read() as connection:
            for frame_id, versions in connection.execute(query):
                for version in json.loads(versions):
                    found.setdefault(version, []).append(frame_id)
        return {version: tuple(frames) for version, frames in found.items()}

    def tombstone_rows(self) -> list[dict[str, Any]]:
        """All tombstones, to be kept over a restore (`bury_again`)."""
        with self._read() as connection:
            return [dict(row) for row in connection.execute(sa.select(schema.tombstones)).mappings()]

    def bury_again(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Erase what tombstones of before a restore name, and keep those tombstones: a backup brings nobody back.

        Args:
            rows: From `tombstone_rows`.
        """
        table = schema.tombstones
        frames = {row["id"]: json.loads(row["versions"]) for row in rows if row["kind"] == "frame"}
        with self.begin() as connection:
            self.erase_frames(frames, reason="purged before the restore", versions=frames)
            there = {tuple(row) for row in connection.execute(sa.select(table.c.kind, table.c.id))}
            for chunk in chunked([dict(row) for row in rows if (row["kind"], row["id"]) not in there]):
                connection.execute(sa.insert(table), chunk)

    def vacuum(self, wait: float = 30.0) -> str:
        """Write the database anew, so that no freed page or log of it holds what was erased.

        Args:
            wait: Seconds to wait for other programs that hold the database.

        Returns:
            What may still hold the erased bytes, and what to do about it; "" when nothing does.

        Raises:
            StoreError: The database fails in another way than by being held.
            ProjectError: There is no room for the new file.
        """
        with translated(self.where):
            raw = self._engine.raw_connection()
            try:
                if self._engine.dialect.name == "sqlite":
                    return _vacuum_sqlite(raw.driver_connection, wait)
                return _vacuum_postgres(raw.driver_connection, wait)
            finally:
                raw.close()


def _vacuum_sqlite(driver: Any, wait: float) -> str:
    before = driver.execute("PRAGMA busy_timeout").fetchone()[0]
    driver.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
    try:
        driver.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if (error.sqlite_errorcode & 0xFF) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return f"the database's file, which another program held for {wait:g} seconds: {_CLOSE_OTHERS}"
    else:
        # One that reads the old pages keeps them in the log; the pragma waits for it, then tells instead of failing.
        busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return (
            f"its log (the file ending in -wal), which another program reads: {_CLOSE_OTHERS}" if busy else ""
        )
    finally:
        driver.execute(f"PRAGMA busy_timeout = {before}")


def _vacuum_postgres(driver: Any, wait: float) -> str:
    driver.rollback()
    driver.autocommit = True
    held = []
    driver.execute(f"SET lock_timeout = {int(wait * 1000)}")
    for table in _HOLDING:
        try:
            driver.execute(f"VACUUM FULL {table}")
        except Exception as error:
            if getattr(error, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            held.append(table)
    driver.execute("RESET lock_timeout")
    driver.autocommit = False
    return f"the tables {', '.join(held)}, which another program held: {_CLOSE_OTHERS}" if held else ""


def _ids(
    connection: Connection, column: sa.Column[str], by: sa.Column[str], keys: Sequence[str]
) -> list[str]:
    found: list[str] = []
    for chunk in chunked(keys):
        found += connection.execute(sa.select(column).where(by.in_(chunk))).scalars()
    return sorted(found)


def _scrub(connection: Connection, frames: set[str], labels: set[str], issues: set[str]) -> int:
    """Take out of every decision what concerns these; how many there were."""
    table, revisions = schema.decisions, schema.annotation_revisions
    touched: set[str] = set()
    for column, keys in ((table.c.issue_id, issues), (table.c.annotation_id, labels)):
        touched.update(_ids(connection, table.c.id, column, sorted(keys)))
    causes = _ids_of_causes(connection, revisions, labels)
    touched |= causes | _ids_of_states(connection, issues)
    for frame_id in frames:  # Adds and exclusions without an issue name the frame in their payload only.
        query = sa.select(table.c.id).where(table.c.payload.contains(frame_id, autoescape=True))
        touched.update(connection.execute(query).scalars())
        query = sa.select(table.c.id).where(table.c.effects.contains(frame_id, autoescape=True))
        touched.update(connection.execute(query).scalars())
    for chunk in chunked(sorted(touched)):
        query = sa.select(table.c.id, table.c.payload, table.c.effects).where(table.c.id.in_(chunk))
        for row in connection.execute(query).all():
            values = _scrubbed(json.loads(row.payload), json.loads(row.effects), frames, labels, issues)
            connection.execute(sa.update(table).where(table.c.id == row.id).values(**values))
    return len(touched)


def _ids_of_causes(connection: Connection, revisions: sa.Table, labels: set[str]) -> set[str]:
    found: set[str] = set()
    for chunk in chunked(sorted(labels)):
        query = sa.select(revisions.c.decision_id).where(
            revisions.c.annotation_id.in_(chunk), revisions.c.decision_id.is_not(None)
        )
        found.update(connection.execute(query).scalars())
    return found


def _ids_of_states(connection: Connection, issues: set[str]) -> set[str]:
    """Decisions behind the states of issues, a group's other members included."""
    found: set[str] = set()
    table = schema.issues
    for chunk in chunked(sorted(issues)):
        query = sa.select(table.c.decision_id).where(table.c.id.in_(chunk), table.c.decision_id.is_not(None))
        found.update(connection.execute(query).scalars())
    return found


def _scrubbed(
    payload: dict[str, Any], effects: dict[str, Any], frames: set[str], labels: set[str], issues: set[str]
) -> dict[str, Any]:
    concerned = (
        payload.get("frame_id") in frames
        or payload.get("annotation_id") in labels
        or payload.get("issue_id") in issues
        or any(entry[0] in labels for entry in effects["labels"])
    )
    if concerned:
        payload = {key: value for key, value in payload.items() if key not in _SHAPES}
    for key, gone in (("frame_id", frames), ("annotation_id", labels), ("issue_id", issues)):
        if payload.get(key) in gone:
            del payload[key]
    effects = {
        "labels": [entry for entry in effects["labels"] if entry[0] not in labels],
        "issues": [entry for entry in effects["issues"] if entry[0] not in issues],
        "frames": [entry for entry in effects["frames"] if entry[0] not in frames],
        "left_open": [key for key in effects["left_open"] if key not in issues],
    }
    return {
        "payload": dump_json(payload, item="decision"),
        "effects": dump_json(effects, item="decision"),
        "issue_id": payload.get("issue_id"),
        "annotation_id": payload.get("annotation_id"),
    }
