"""What `curate bench store` stands on: rows put there by SQL are those that an ingest and an import leave."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from curate.bench.store import bench_store
from curate.bench.store_calls import _frame, frame_id
from curate.bench.store_fill import fill
from curate.bench.store_fill_postgres import fill_postgres, make_schema
from curate.errors import ConfigError, StoreError
from curate.store import SourceCount, Store
from curate.workflows.progress import Quiet


def add(url, start, stop, ends=math.inf):
    if url.startswith("sqlite"):
        return fill(Path(url.removeprefix("sqlite:///")), start, stop, ends)
    return fill_postgres(url, start, stop, ends)


def indexes(url):
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg") if "post" in url else url)
    inspector = sa.inspect(engine)
    found = {
        (table, index["name"])
        for table in ("annotations", "annotation_revisions")
        for index in inspector.get_indexes(table)
    }
    engine.dispose()
    return found


def test_rows_by_sql_are_whole(url):
    with Store.open(url):
        pass
    if url.startswith("postgresql"):
        url = make_schema(make_schema(url, "bench_30"), "bench_30")
        with Store.open(url):
            pass
    before = indexes(url)
    assert before
    assert add(url, 0, 20) == 20
    assert add(url, 20, 30, time.monotonic() - 1) == 20, "no time left"
    assert add(url, 20, 30) == 30
    assert indexes(url) == before
    with Store.open(url) as store:
        assert sorted(store.each_frame(), key=lambda frame: frame.index) == [_frame(at) for at in range(30)]
        labels = store.annotations("cheap", [frame_id(29)])
        assert [label.id for label in labels] == sorted(f"cheap:{number}" for number in range(291, 301))
        assert {label.label for label in labels} == {"person", "car"}
        assert store.sources() == [SourceCount("cheap", 300, 30)]
        assert len(store.artifact_keys("covered/cheap")) == 30
        assert store.check_database() == []


def test_what_is_no_postgresql_database_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for make in (lambda: make_schema("nonsense", "s"), lambda: fill_postgres("nonsense", 0, 1, math.inf)):
        with pytest.raises(StoreError, match="expected the URL of a PostgreSQL database"):
            make()
    assert list(tmp_path.iterdir()) == []


def test_only_calls_on_which_no_other_stands_are_left_out(tmp_path):
    for name in ("fill", "nonsense"):
        with pytest.raises(ConfigError, match=f"'{name}' is no call that can be left out"):
            bench_store([20], tmp_path / "bench", reporter=Quiet(), skip={name})
    assert not (tmp_path / "bench").exists()
