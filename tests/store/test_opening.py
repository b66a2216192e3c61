import resource
import signal
import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from curate.errors import ConfigError, ProjectError, StoreError
from curate.store import Store, schema
from curate.store.migrate import HEAD


def test_the_migrations_make_the_tables_of_the_schema(empty):
    with empty.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_migrated_and_declared_indexes_are_the_same(tmp_path):
    Store.open(tmp_path / "migrated.db").close()
    declared = sa.create_engine(f"sqlite:///{tmp_path / 'declared.db'}", poolclass=sa.NullPool)
    schema.metadata.create_all(declared)

    def indexes(name):
        with sqlite3.connect(tmp_path / name) as connection:
            rows = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            )
            found = sorted(rows)
        connection.close()
        return found

    assert indexes("migrated.db") == indexes("declared.db")


def test_reopening_finds_everything(url, make_frame):
    with Store.open(url) as store:
        store.add_frames([make_frame(1)])
    with Store.open(url) as store:
        assert store.frames() == [make_frame(1)]


def test_a_path_is_enough(tmp_path):
    for target in (tmp_path / "x.db", str(tmp_path / "x.db"), f"sqlite:///{tmp_path / 'x.db'}"):
        Store.open(target).close()
    assert {file.name for file in tmp_path.iterdir()} == {"x.db"}


def test_what_was_acknowledged_survives_a_power_cut(tmp_path):
    with Store.open(tmp_path / "x.db") as store, store.begin() as connection:

        def pragma(name):
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)
        assert pragma("busy_timeout") >= 10_000


def test_a_newer_schema_is_left_alone(empty, url):
    with empty.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=rf"9999.*newer than this program's {HEAD}"):
        Store.open(url)


def test_another_programs_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE songs (id)")
    connection.close()
    with pytest.raises(StoreError, match=r"another program.*songs"):
        Store.open(tmp_path / "x.db")


def test_not_a_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"\xff\xd8 not a database at all" * 100)
    with pytest.raises(StoreError, match=r"x\.db: this file is not a database"):
        Store.open(tmp_path / "x.db")


def test_a_damaged_database(tmp_path, make_frame):
    with Store.open(tmp_path / "x.db") as store:
        store.add_frames(make_frame(number) for number in range(500))
    with (tmp_path / "x.db").open("r+b") as file:
        for page in range(2, (tmp_path / "x.db").stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 512)
    with pytest.raises(StoreError, match="damaged"), Store.open(tmp_path / "x.db") as store:
        store.frames()


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("{folder}", ProjectError),
        ("{folder}/missing/x.db", ProjectError),
        ("/proc/crossguard.db", ProjectError),
        ("mysql://host/name", ConfigError),
        ("sqlite://", ConfigError),
        ("://", ConfigError),
    ],
)
def test_impossible_places_are_clear_errors(tmp_path, target, error):
    with pytest.raises(error):
        Store.open(target.format(folder=tmp_path))


def test_an_unreachable_server_is_named_without_its_password():
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://ann:secret@127.0.0.1:1/crossguard")
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_full_disk_saves_nothing_of_the_step(tmp_path, make_frame):
    with Store.open(tmp_path / "x.db") as store:
        store.add_frames([make_frame(0)])
        with store.begin() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(ProjectError, match=r"x\.db: the disk is full"):
            store.add_frames(make_frame(number) for number in range(1, 5000))
        assert store.frames() == [make_frame(0)]


def test_a_database_that_stays_busy(tmp_path, monkeypatch):
    monkeypatch.setattr("curate.store.engine._BUSY_SECONDS", 0.1)
    with Store.open(tmp_path / "x.db") as store:
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"x\.db: the database was busy for 0\.1 seconds"):
            store.set_ack("tab", 1)
        assert store.ack("tab") == 0, "reading goes on"
        other.execute("ROLLBACK")
        other.close()
        assert store.set_ack("tab", 1) == 1


WRITER = """
import resource, signal, sys
from curate.errors import ProjectError
from curate.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    for number in range(100_000):
        store.quarantine(str(number), "", "x" * 1000)
except ProjectError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.fault
def test_writes_that_the_system_refuses(tmp_path):
    """The file may not grow: one clear error, and what was saved before is whole."""
    assert hasattr(resource, "RLIMIT_FSIZE")
    assert hasattr(signal, "SIGXFSZ")
    command = [sys.executable, "-c", WRITER, str(tmp_path / "x.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "x.db" in done.stdout
    with Store.open(tmp_path / "x.db") as store:
        saved = [entry.source for entry in store.quarantined()]
        with store.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert sorted(map(int, saved)) == list(range(len(saved)))


OPENER = """
import sys
from curate.store import Store
store = Store.open(sys.argv[1])
for number in range(20):
    store.set_ack(sys.argv[2], number)
"""


def test_processes_may_open_a_new_database_at_once(url):
    commands = [[sys.executable, "-c", OPENER, url, str(number)] for number in range(3)]
    running = [subprocess.Popen(command) for command in commands]
    assert [process.wait() for process in running] == [0, 0, 0]
    with Store.open(url) as store:
        assert [store.ack(str(number)) for number in range(3)] == [19, 19, 19]


LIGHT = """
import sys
from curate.store import Store
Store.open(sys.argv[1])
sys.exit("alembic" in sys.modules)
"""


def test_a_ready_database_opens_without_alembic(tmp_path):
    Store.open(tmp_path / "x.db").close()
    command = [sys.executable, "-c", LIGHT, str(tmp_path / "x.db")]
    assert subprocess.run(command, check=False).returncode == 0
