"""Fills a SQLite project with frames and labels by SQL: what a measurement needs to stand on, itself not measured."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

__all__ = ["CLIP", "LABELS_A_FRAME", "fill", "frame_digest"]

LABELS_A_FRAME = 10
CLIP = 1000
"""Frames a recording."""
_STEP = 100_000
_DROPPED = ("annotation_revisions", "annotations")


def frame_digest(number: int) -> str:
    """SHA-256 (hex) that stands for a frame's content: spread evenly, as content addresses are."""
    return hashlib.sha256(f"frame {number}".encode()).hexdigest()


def fill(database: Path, start: int, stop: int, ends: float) -> int:
    """Add frames `start` to `stop` with their labels, as an ingest and an import leave them.

    Args:
        database: A SQLite file with the schema of today that holds the frames before `start`.
        start: First frame.
        stop: One behind the last.
        ends: `time.monotonic()` at which to stop.

    Returns:
        One behind the last frame added; less than `stop` when the time was up.
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript(
            "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;"
            "PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL;"
        )
        connection.create_function("digest", 1, frame_digest, deterministic=True)
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?)",
            _DROPPED,
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        at = start
        while at < stop and time.monotonic() < ends:
            upto = min(at + _STEP, stop)
            connection.execute("BEGIN IMMEDIATE")
            _add(connection, at, upto)
            connection.execute("COMMIT")
            at = upto
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return at


def _add(connection: sqlite3.Connection, start: int, stop: int) -> None:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {stop})"
    connection.execute(
        f"{numbers}, d(i, digest) AS MATERIALIZED (SELECT i, digest(i) FROM n)"
        " INSERT INTO frames SELECT substr(digest, 1, 32),"
        f" printf('clip-%05d_%06d.jpg', i / {CLIP}, i % {CLIP}), 'camera-1', printf('clip-%05d', i / {CLIP}),"
        f" i % {CLIP}, i / 2.0, 0, 1920, 1080, digest, substr(digest, 1, 2) || '/' || substr(digest, 1, 32) || '.jpg',"
        f" printf('clip-%05d.mp4', i / {CLIP}), 0 FROM d"
    )
    connection.execute(
        f"{numbers} INSERT INTO artifacts SELECT 'covered/cheap', substr(digest(i), 1, 32), '', '', 0.0 FROM n"
    )
    labels = (
        f"{numbers}, k(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM k WHERE k < {LABELS_A_FRAME - 1}),"
        " f(i, frame) AS MATERIALIZED (SELECT i, substr(digest(i), 1, 32) FROM n),"
        f" label(id, frame, k) AS (SELECT 'cheap:' || (i * {LABELS_A_FRAME} + k + 1), frame, k FROM f, k)"
    )
    name = "CASE k % 2 WHEN 0 THEN 'person' ELSE 'car' END"
    x, y = "abs(random() % 180000) / 100.0", "abs(random() % 90000) / 100.0"
    connection.execute(
        f"{labels}, box AS MATERIALIZED (SELECT id, frame, k, {x} AS x, {y} AS y FROM label)"
        " INSERT INTO annotation_revisions"
        " (annotation_id, revision, parent, content_of, deleted, frame_id, source, label, x1, y1, x2, y2, mask, score,"
        " track_id, iscrowd, occluded, difficult, ignore, attributes, actor, decision_id, created_at)"
        f" SELECT id, 0, NULL, 0, 0, frame, 'cheap', {name}, x, y, x + 40.5, y + 90.25, NULL, NULL, NULL,"
        " 0, 0, 0, 0, '{}', 'cheap', NULL, 0.0 FROM box ORDER BY id"
    )
    connection.execute(
        f"{labels} INSERT INTO annotations (id, revision, content_of, deleted, frame_id, source, label)"
        f" SELECT id, 0, 0, 0, frame, 'cheap', {name} FROM label ORDER BY id"
    )
    connection.execute(
        "INSERT INTO source_tallies VALUES ('cheap', ?, ?) ON CONFLICT (source) DO UPDATE SET"
        " labels = labels + excluded.labels, frames = frames + excluded.frames",
        ((stop - start) * LABELS_A_FRAME, stop - start),
    )
