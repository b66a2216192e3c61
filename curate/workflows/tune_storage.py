"""Where a search for settings keeps its tries, so that several processes and machines search together.

That is the project's own database server: on PostgreSQL a schema of the search's own, as optuna's tables have common
names and a version table that is called as ours is (Alembic's). A SQLite project gets a file of its own for
the same reason, and because tries should not wait for reviewers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from curate.errors import ProjectError
from curate.store.engine import describe, parse_target
from curate.workflows.project import Project

__all__ = ["SCHEMA", "open_study"]

SCHEMA = "crossguard_tune"
"""Of PostgreSQL."""
_FILE = "tune.db"
_BUSY_SECONDS = 60
_TRIES = 5


@contextmanager
def open_study(project: Project, name: str, rung: int) -> Iterator[optuna.Study]:
    """The study of a name, made when it is missing; its connections are closed behind it.

    Args:
        project: Whose database says where.
        name: Of the study.
        rung: Steps after which the first unpromising tries end.

    Raises:
        ProjectError: The database cannot be reached, or no schema may be made there.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = _open_storage(project)
    try:
        yield optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            # No seed: processes that search together would all try the same.
            sampler=optuna.samplers.TPESampler(n_startup_trials=8),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=rung, reduction_factor=2),
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _open_storage(project: Project) -> RDBStorage:
    target = parse_target(project.database_url)
    options: dict[str, Any]
    if target.drivername == "sqlite":
        folder = project.cache_dir / "tune"
        folder.mkdir(parents=True, exist_ok=True)
        target = sa.URL.create("sqlite", database=str(folder / _FILE))
        options = {"connect_args": {"timeout": _BUSY_SECONDS, "isolation_level": None}}
    else:
        options = {"connect_args": {"options": f"-csearch_path={SCHEMA}"}, "pool_pre_ping": True}
    address = target.render_as_string(hide_password=False)
    for attempt in range(_TRIES):
        try:
            if target.drivername != "sqlite":
                _make_schema(target)
            storage = RDBStorage(address, engine_kwargs=options)
            if target.drivername == "sqlite":
                event.listen(storage.engine, "begin", _write_from_the_start)
            return storage
        except (SQLAlchemyError, StorageInternalError) as error:
            # Of two that make the tables at the same time, one is refused, and finds them there next time.
            if attempt == _TRIES - 1:
                raise ProjectError(
                    f"the search's tries cannot be kept in {describe(target)}: {error}",
                    hint=f"on PostgreSQL an owner may have to run CREATE SCHEMA {SCHEMA} AUTHORIZATION your_user",
                ) from error
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("unreachable")


def _write_from_the_start(connection: sa.Connection) -> None:
    """SQLite knows no SELECT ... FOR UPDATE, by which a waiting try is given to one process and not to two."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_schema(target: sa.URL) -> None:
    engine = sa.create_engine(target)
    try:
        with engine.begin() as connection:
            known = connection.execute(
                sa.text("SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"),
                {"name": SCHEMA},
            )
            if known.first() is None:
                connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
    finally:
        engine.dispose()
