"""The store: all parts together, opened by path or URL."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from curate.store.backup import BackupStore
from curate.store.check import CheckStore
from curate.store.decisions import DecisionStore
from curate.store.engine import create_engine, describe, parse_target, translated
from curate.store.frames import FrameStore
from curate.store.issue_ranks import IssueRankStore
from curate.store.issues import IssueStore
from curate.store.jobs import JobStore
from curate.store.labels import LabelStore
from curate.store.leases import LeaseStore
from curate.store.migrate import HEAD, migrate, stored_revision
from curate.store.origins import OriginStore
from curate.store.purge import PurgeStore
from curate.store.results import ResultStore
from curate.store.users import UserStore

__all__ = ["Store"]


class Store(
    FrameStore,
    LabelStore,
    IssueStore,
    IssueRankStore,
    DecisionStore,
    ResultStore,
    JobStore,
    UserStore,
    LeaseStore,
    OriginStore,
    BackupStore,
    CheckStore,
    PurgeStore,
):
    """The database of a project. Threads may share one; each uses a connection of its own.

    Every method is one transaction, or joins the one that `begin` opened on this thread.
    """

    @classmethod
    def open(cls, target: str | Path) -> Store:
        """Open a database and bring its schema up to date; an empty or missing one gets its tables.

        Args:
            target: Path of a SQLite file, sqlite:///path, or postgresql://user:password@host/name.

        Raises:
            ConfigError: Another kind of URL.
            ProjectError: The folder is missing, or the file cannot be read or written, or the disk is full.
            StoreError: Not a database, another program's, a newer Crossguard's, or out of reach.
        """
        url = parse_target(target)
        store = cls(create_engine(url), describe(url))
        try:
            with store._read() as connection:
                ready = stored_revision(connection, store.where) == HEAD
            if not ready:
                # Again inside the write transaction: of two processes only the first one migrates.
                with store.begin() as connection:
                    migrate(connection, store.where)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def upgrade(cls, target: str | Path) -> tuple[str | None, str]:
        """Bring a database up to date and tell its revision before and after; `open` does the same silently.

        Raises:
            The errors of `open`.
        """
        url = parse_target(target)
        with cls(create_engine(url), describe(url)) as store:
            with store._read() as connection:
                before = stored_revision(connection, store.where)
            with store.begin() as connection:
                migrate(connection, store.where)
        return before, HEAD

    def close(self) -> None:
        """Give the connections back. Using the store again opens new ones."""
        with translated(self.where):
            self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
