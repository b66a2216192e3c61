"""Databases for contract tests: a SQLite file for each test, one private PostgreSQL for the whole run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

KEY = pytest.StashKey[str]()
PARAMS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def database_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """URL of an empty database of this kind."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'crossguard.db'}"
    server = _server(request.config)
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(_driver(server), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))

    def drop() -> None:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))

    request.addfinalizer(drop)
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def _driver(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg")


def _server(config: pytest.Config) -> str:
    """URL of a server where databases may be made; starts one when Debian's PostgreSQL is installed."""
    given = os.environ.get("CROSSGUARD_TEST_POSTGRES")
    if given:
        return given
    if KEY not in config.stash:
        config.stash[KEY] = _start(config)
    return config.stash[KEY]


def _start(config: pytest.Config) -> str:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not programs:
        pytest.skip("needs PostgreSQL: set CROSSGUARD_TEST_POSTGRES to a URL or install Debian's postgresql")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("needs PostgreSQL: it does not run as root, and there is no runuser")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="crossguard-postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")
    binaries, data = programs[-1].parent, folder / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_user, str(binaries / program), "-D", str(data), *arguments],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    # A language that does not sort by bytes, where the server offers one: order must not depend on it.
    icu = ["--locale-provider=icu", "--icu-locale=en"] if int(binaries.parent.name) >= 15 else []
    call("initdb", "-U", "crossguard", "--auth=trust", "-E", "UTF8", "--no-sync", *icu)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.add_cleanup(lambda: call("pg_ctl", "stop", "-m", "immediate"))
    call("pg_ctl", "start", "-w", "-o", options, "-l", str(folder / "log"))
    return f"postgresql://crossguard@127.0.0.1:{port}/postgres"
