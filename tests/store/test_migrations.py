"""Every migration is tried on a database of the revision before that has something in every table."""

import json
import zlib
from hashlib import sha256

import pytest
import sqlalchemy as sa
from alembic import command

from curate.annotations import IssueState, IssueType
from curate.store import Store, schema
from curate.store.engine import create_engine, parse_target
from curate.store.migrate import HEAD, alembic_config, migrate
from curate.versions import get_version

FRAME = "ab" * 16
FIRST = {
    "settings": {"key": "classes", "value": '["person"]'},
    "frames": {
        "id": FRAME,
        "name": "one.jpg",
        "camera": "north",
        "clip": "morning",
        "position": 0,
        "captured_at": 1.5,
        "wall_time": False,
        "width": 320,
        "height": 240,
        "sha256": "ab" * 32,
        "path": "ab/x.jpg",
        "source": "morning.avi",
        "excluded": False,
    },
    "frame_aliases": {"name": "other.jpg", "frame_id": FRAME},
    "quarantine": {"source": "bad.jpg", "item": "", "reason": "broken", "created_at": 1.0},
    "decisions": {
        "id": "d1",
        "kind": "keep",
        "reviewer": "ann",
        "issue_id": "i1",
        "created_at": 2.0,
        "payload": '{"id":"d1","kind":"keep","reviewer":"ann","issue_id":"i1","created_at":2.0}',
        "effects": '{"labels":[],"issues":[["i1","open","decided",null,"d1"]],"frames":[],"left_open":[]}',
    },
    "annotation_revisions": {
        "annotation_id": "a",
        "revision": 0,
        "content_of": 0,
        "deleted": False,
        "frame_id": FRAME,
        "source": "cheap",
        "label": "person",
        "x1": 1.0,
        "y1": 2.0,
        "x2": 3.0,
        "y2": 4.0,
        "iscrowd": False,
        "occluded": False,
        "difficult": False,
        "ignore": False,
        "attributes": "{}",
        "actor": "cheap",
        "created_at": 1.0,
    },
    "annotations": {
        "id": "a",
        "revision": 0,
        "content_of": 0,
        "deleted": False,
        "frame_id": FRAME,
        "source": "cheap",
        "label": "person",
    },
    "issues": {
        "id": "i1",
        "type": "spurious",
        "state": "decided",
        "frame_id": FRAME,
        "annotation_id": "a",
        "annotation_revision": 0,
        "label": "person",
        "severity": 0.5,
        "probability": 0.25,
        "payload": '{"id":"i1","type":"spurious","frame_id":"x","severity":0.5,"probability":0.25,'
        '"explanation":"","evidence":{},"proposal":{"kind":"none"}}',
        "decision_id": "d1",
        "created_at": 1.0,
    },
    "client_acks": {"client_id": "tab", "sequence": 3, "updated_at": 1.0},
    "artifacts": {"stage": "plate", "key": "x", "input_hash": "h", "path": "", "created_at": 1.0},
    "gold_sets": {
        "id": "g1",
        "name": "gold",
        "revision": 1,
        "state": "draft",
        "content_hash": "",
        "manifest": "{}",
        "created_at": 1.0,
    },
    "versions": {
        "id": "7c2a8b",
        "content_hash": "",
        "created_by": "ann",
        "note": "first",
        "frames": 1,
        "labels": 1,
        "manifest": '{"annotations":{"a":0},"classes":["person"],"format":1,"frames":{"'
        + FRAME
        + '":"train"},'
        '"labels_hash":"h","policy_hash":"","source":"cheap"}',
        "created_at": 1.0,
    },
    "runs": {
        "id": "r1",
        "version_id": "7c2a8b",
        "kind": "train",
        "state": "done",
        "seed": 0,
        "path": "runs/r1",
        "config": "{}",
        "result": "{}",
        "error": "",
        "created_at": 1.0,
    },
    "evaluations": {
        "id": "e1",
        "run_id": "r1",
        "gold_id": "g1",
        "path": "",
        "metrics": "{}",
        "created_at": 1.0,
    },
    "jobs": {
        "id": "j1",
        "kind": "scan",
        "params": "{}",
        "state": "done",
        "progress": 1.0,
        "message": "",
        "cancel_requested": False,
        "error": "",
        "created_at": 1.0,
    },
}
"""One row for every table of the first schema."""
MANIFEST = FIRST["versions"]["manifest"]
ADDED = {
    "0002": {
        "version_parts": {"version_id": "7c2a8b", "number": 0, "content": zlib.compress(MANIFEST.encode())},
        "issue_tallies": {
            "type": "spurious",
            "state": "decided",
            "verdict": "keep",
            "count": 1,
            "expected": 0.25,
        },
        "source_tallies": {"source": "cheap", "labels": 1, "frames": 1},
        "backups": {"path": "/away/week.zip", "sha256": "ab", "created_at": 1.0},
    },
    "0003": {
        "users": {
            "name": "ann",
            "role": "owner",
            "password": "hash",
            "active": True,
            "created_by": "ann",
            "created_at": 1.0,
        },
        "leases": {"issue_id": "i1", "reviewer": "ann", "expires_at": 1.0},
        "opinions": {"issue_id": "i1", "reviewer": "bob", "kind": "keep", "created_at": 3.0},
        "audit": {
            "at": 1.0,
            "actor": "ann",
            "action": "frames.add",
            "item": "",
            "detail": "{}",
            "digest": sha256(json.dumps(["", "1.0", "ann", "frames.add", "", "{}"]).encode()).hexdigest(),
        },
        "tombstones": {
            "kind": "frame",
            "id": "cd" * 16,
            "actor": "ann",
            "reason": "r 1",
            "versions": '["7c2a8b"]',
            "created_at": 1.0,
        },
    },
    "0004": {},
    "0005": {
        "frame_origins": {
            "clear_sha256": "ef" * 32,
            "frame_id": FRAME,
            "blur": '{"setting":"heads_and_plates"}',
        }
    },
}
"""One row for every table that a revision brought; the revisions in their order."""


def _fill(connection, rows):
    metadata = sa.MetaData()
    metadata.reflect(connection)
    for name, values in rows.items():
        connection.execute(sa.insert(metadata.tables[name]), values)


def _rows_at(revision):
    """One row for every table of a revision."""
    version = FIRST["versions"] | {"content_hash": sha256(MANIFEST.encode()).hexdigest()}
    rows = FIRST | {"versions": version}
    for added in (name for name in ADDED if name <= revision):
        rows |= ADDED[added]
    if revision >= "0002":
        del version["manifest"]
    if revision >= "0004":
        rows["issues"] = FIRST["issues"] | {"clip": "morning"}
    return rows


def _at(url, revision):
    """A database of a revision with something in every table."""
    engine = create_engine(parse_target(url))
    with engine.connect() as plain:
        connection = plain.execution_options(crossguard_write=True)
        with connection.begin():
            command.upgrade(alembic_config(connection), revision)
            _fill(connection, _rows_at(revision))
    engine.dispose()


def _at_first(url):
    _at(url, "0001")


@pytest.mark.parametrize("revision", ["0001", *ADDED])
def test_every_revision_goes_up_to_today_with_its_data(url, revision):
    assert list(ADDED)[-1] == HEAD, "a new migration needs a row for each of its tables here"
    _at(url, revision)
    with Store.open(url) as store:
        with store.begin() as connection:
            counts = {
                name: connection.execute(
                    sa.select(sa.func.count()).select_from(schema.metadata.tables[name])
                ).scalar()
                for name in _rows_at(HEAD)
            }
        here = set(_rows_at(revision)) | {"version_parts", "issue_tallies", "source_tallies"}
        assert counts == {name: int(name in here) for name in counts}
        assert set(counts) == set(schema.metadata.tables)
        assert store.check_database() == []
        assert [issue.id for issue in store.issues((IssueState.DECIDED,), clip="morning").issues] == ["i1"]
        assert store.issues((IssueState.DECIDED,), clip="evening").issues == ()
        assert dict(get_version(store, "7c2a8b").manifest.annotations) == {"a": 0}


def test_the_first_release_goes_up_to_today_with_its_data(url):
    _at_first(url)
    with Store.open(url) as store:
        with store.begin() as connection:
            assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == HEAD
            for name in FIRST:
                table = schema.metadata.tables[name]
                assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 1, name
        assert store.frame_by_name("other.jpg").id == FRAME
        assert store.annotation("a").bbox_xyxy == (1, 2, 3, 4)
        assert store.decision("d1").decision.reviewer == "ann"
        (count,) = store.issue_counts()
        assert (count.type, count.state, count.count) == (IssueType.SPURIOUS, IssueState.DECIDED, 1)
        assert [(tally.kind.value, tally.count) for tally in store.decision_tallies()] == [("keep", 1)]
        assert [(entry.source, entry.labels, entry.frames) for entry in store.sources()] == [("cheap", 1, 1)]
        version = get_version(store, "7c2a8b")
        assert dict(version.manifest.annotations) == {"a": 0}


def test_a_migration_that_fails_leaves_the_database_as_it_was(url, monkeypatch):
    _at_first(url)
    engine = create_engine(parse_target(url))

    class Fails(Exception):
        pass

    def fail(*_, **__):
        raise Fails

    def revision():
        with engine.connect() as connection:
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    monkeypatch.setattr("alembic.op.create_index", fail)
    try:
        with engine.connect() as plain:
            connection = plain.execution_options(crossguard_write=True)
            with connection.begin():
                migrate(connection, "here")
    except Fails:
        pass
    monkeypatch.undo()
    assert revision() == "0001"
    engine.dispose()
    with Store.open(url) as store:
        assert store.annotation("a").label == "person"
