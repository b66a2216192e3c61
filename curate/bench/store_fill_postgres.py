"""Fills a PostgreSQL project as `store_fill` fills a SQLite file: the same frames, labels at random places."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from curate.bench.store_fill import CLIP, LABELS_A_FRAME
from curate.errors import StoreError
from curate.store.engine import describe, parse_target, translated

__all__ = ["fill_postgres", "make_schema"]

_STEP = 50_000
_TABLES = ("annotation_revisions", "annotations")
_FRAMES = f"""
WITH n AS MATERIALIZED (
    SELECT i, encode(sha256(convert_to('frame ' || i, 'UTF8')), 'hex') AS digest,
           'clip-' || lpad((i / {CLIP})::text, 5, '0') AS clip
    FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint) - 1) AS i)
INSERT INTO frames
    (id, name, camera, clip, position, captured_at, wall_time, width, height, sha256, path, source, excluded)
SELECT substr(digest, 1, 32), clip || '_' || lpad((i % {CLIP})::text, 6, '0') || '.jpg', 'camera-1', clip, i % {CLIP},
       i / 2.0, false, 1920, 1080, digest, substr(digest, 1, 2) || '/' || substr(digest, 1, 32) || '.jpg',
       clip || '.mp4', false
FROM n
"""
_COVERED = """
INSERT INTO artifacts (stage, key, input_hash, path, created_at)
SELECT 'covered/cheap', substr(encode(sha256(convert_to('frame ' || i, 'UTF8')), 'hex'), 1, 32), '', '', 0.0
FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint) - 1) AS i
"""
_LABELS = f"""
WITH f AS MATERIALIZED (
    SELECT i, substr(encode(sha256(convert_to('frame ' || i, 'UTF8')), 'hex'), 1, 32) AS frame
    FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint) - 1) AS i),
label AS MATERIALIZED (
    SELECT 'cheap:' || (i * {LABELS_A_FRAME} + k + 1) AS id, frame,
           CASE k % 2 WHEN 0 THEN 'person' ELSE 'car' END AS name,
           floor(random() * 180000) / 100.0 AS x, floor(random() * 90000) / 100.0 AS y
    FROM f, generate_series(0, {LABELS_A_FRAME - 1}) AS k)
"""
_REVISIONS = f"""{_LABELS}
INSERT INTO annotation_revisions
    (annotation_id, revision, parent, content_of, deleted, frame_id, source, label, x1, y1, x2, y2, mask, score,
     track_id, iscrowd, occluded, difficult, ignore, attributes, actor, decision_id, created_at)
SELECT id, 0, NULL, 0, false, frame, 'cheap', name, x, y, x + 40.5, y + 90.25, NULL, NULL,
       NULL, false, false, false, false, '{{}}', 'cheap', NULL, 0.0
FROM label ORDER BY id
"""
_HEADS = f"""{_LABELS}
INSERT INTO annotations (id, revision, content_of, deleted, frame_id, source, label)
SELECT id, 0, 0, false, frame, 'cheap', name FROM label ORDER BY id
"""
_TALLY = """
INSERT INTO source_tallies (source, labels, frames) VALUES ('cheap', :labels, :frames)
ON CONFLICT (source) DO UPDATE SET
    labels = source_tallies.labels + excluded.labels, frames = source_tallies.frames + excluded.frames
"""


def make_schema(url: str, name: str) -> str:
    """A schema of a database, made when it is missing; the URL of what lies in it.

    Raises:
        StoreError: It is no PostgreSQL database, it cannot be reached, or no schema may be made there.
    """
    target = _postgres(url)
    engine = sa.create_engine(target)
    with translated(describe(target)), engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
    engine.dispose()
    inside = target.update_query_dict({"options": f"-csearch_path={name}"})
    return inside.render_as_string(hide_password=False)


def fill_postgres(url: str, start: int, stop: int, ends: float) -> int:
    """Add frames `start` to `stop` with their labels; see `curate.bench.store_fill.fill`.

    Args:
        url: Of a database with the schema of today that holds the frames before `start`; its user has to be a
            superuser, who alone may leave the checks of references out.
        start: First frame.
        stop: One behind the last.
        ends: `time.monotonic()` at which to stop.

    Returns:
        One behind the last frame added; less than `stop` when the time was up.

    Raises:
        StoreError: The database fails, or the user may not do this.
    """
    target = _postgres(url)
    engine = sa.create_engine(target)
    with translated(describe(target)):
        with engine.begin() as connection:
            indexes = _drop_indexes(connection)
        at = start
        while at < stop and time.monotonic() < ends:
            upto = min(at + _STEP, stop)
            with engine.begin() as connection:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
                for statement in (_FRAMES, _COVERED, _REVISIONS, _HEADS):
                    connection.execute(sa.text(statement), {"start": at, "stop": upto})
                counts = {"labels": (upto - at) * LABELS_A_FRAME, "frames": upto - at}
                connection.execute(sa.text(_TALLY), counts)
            at = upto
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
            for statement in indexes:
                connection.exec_driver_sql(statement)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()
    return at


def _postgres(url: str) -> URL:
    target = parse_target(url)
    if target.drivername == "sqlite":
        raise StoreError(
            "expected the URL of a PostgreSQL database",
            file=describe(target),
            hint="such as postgresql://user@127.0.0.1/name",
        )
    return target


def _drop_indexes(connection: Connection) -> list[str]:
    """Drop what is no key of the tables of labels; the statements that make it again."""
    rows = connection.execute(
        sa.text(
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE schemaname = current_schema() AND tablename = ANY(:tables) AND indexdef NOT LIKE '%UNIQUE%'"
        ),
        {"tables": list(_TABLES)},
    ).all()
    for name, _ in rows:
        connection.exec_driver_sql(f'DROP INDEX "{name}"')
    return [definition for _, definition in rows]
