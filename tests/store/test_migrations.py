"""Every migration is tried on a database of the revision before that has something in every table."""

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


def _fill(connection, rows):
    metadata = sa.MetaData()
    metadata.reflect(connection)
    for name, values in rows.items():
        connection.execute(sa.insert(metadata.tables[name]), values)


def _at_first(url):
    """A database of the first release, filled."""
    from hashlib import sha256

    engine = create_engine(parse_target(url))
    with engine.connect() as plain:
        connection = plain.execution_options(crossguard_write=True)
        with connection.begin():
            command.upgrade(alembic_config(connection), "0001")
            digest = sha256(FIRST["versions"]["manifest"].encode()).hexdigest()
            _fill(connection, FIRST | {"versions": FIRST["versions"] | {"content_hash": digest}})
    engine.dispose()


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
