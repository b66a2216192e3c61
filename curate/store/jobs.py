"""Jobs of worker processes: rows that outlive the browser, the server and the worker."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from curate.errors import ConflictError, NotFoundError, StoreError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase, dump_json
from curate.store.records import Job, JobState

__all__ = ["JobStore"]

_table = schema.jobs
_ALIVE = (JobState.RUNNING.value, JobState.LOST.value)
_FINAL = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobStore(StoreBase):
    """A queue of jobs and their signs of life."""

    def create_job(self, kind: str, params: Mapping[str, Any] | None = None) -> Job:
        """Queue a job."""
        job_id = uuid.uuid4().hex
        values = {
            "id": job_id,
            "kind": kind,
            "params": dump_json(dict(params or {}), item=f"job {kind}"),
            "state": JobState.QUEUED.value,
            "progress": 0.0,
            "message": "",
            "cancel_requested": False,
            "error": "",
            "created_at": time.time(),
        }
        with self.begin() as connection:
            connection.execute(sa.insert(_table), values)
            write_audit(connection, self.actor, f"job.{kind}", job_id)
            return self.job(job_id)

    def claim_job(
        self, job_id: str | None = None, *, kinds: Sequence[str] | None = None, pid: int
    ) -> Job | None:
        """Take a queued job, so that no other worker does.

        Args:
            job_id: This one; None for the oldest that waits.
            kinds: Only of these kinds.
            pid: Process id of the worker.

        Returns:
            The running job, or None when none waits (any more).
        """
        query = sa.select(_table.c.id).where(_table.c.state == JobState.QUEUED.value)
        if job_id is not None:
            query = query.where(_table.c.id == job_id)
        if kinds is not None:
            query = query.where(_table.c.kind.in_(kinds))
        with self.begin() as connection:
            found = connection.execute(query.order_by(_table.c.created_at, _table.c.id).limit(1)).scalar()
            if found is None:
                return None
            now = time.time()
            return self._set(found, state=JobState.RUNNING.value, pid=pid, started_at=now, heartbeat=now)

    def heartbeat_job(
        self,
        job_id: str,
        *,
        progress: float | None = None,
        message: str | None = None,
        eta: float | None = None,
    ) -> bool:
        """Give a sign of life; a job that was taken for lost runs again.

        Args:
            job_id: The job.
            progress: 0..1, None for no change.
            message: What it is doing, None for no change.
            eta: Seconds left, None for unknown.

        Returns:
            Whether somebody asked the job to stop.

        Raises:
            ConflictError: The job is not running (it was finished or cancelled).
            StoreError: `progress` is outside 0..1.
        """
        if progress is not None and not 0 <= progress <= 1:
            raise StoreError(f"progress must be within 0..1, got {progress}", item=f"job {job_id}")
        values: dict[str, Any] = {"heartbeat": time.time(), "eta": eta, "state": JobState.RUNNING.value}
        values |= {} if progress is None else {"progress": progress}
        values |= {} if message is None else {"message": message}
        with self.begin():
            self._expect_alive(job_id)
            return self._set(job_id, **values).cancel_requested

    def finish_job(
        self, job_id: str, state: JobState, *, result: Mapping[str, Any] | None = None, error: str = ""
    ) -> Job:
        """End a running job as done, failed or cancelled.

        Raises:
            ConflictError: The job is not running.
            StoreError: `state` is not an end.
        """
        if state not in _FINAL:
            raise StoreError(
                f"a job ends as done, failed or cancelled, not {state.value}", item=f"job {job_id}"
            )
        values: dict[str, Any] = {
            "state": state.value,
            "error": error,
            "eta": None,
            "finished_at": time.time(),
        }
        values["result"] = None if result is None else dump_json(dict(result), item=f"job {job_id}")
        if state is JobState.DONE:
            values["progress"] = 1.0
        with self.begin():
            self._expect_alive(job_id)
            return self._set(job_id, **values)

    def cancel_job(self, job_id: str) -> Job:
        """Ask a job to stop: a queued or lost one ends at once, a running one when it next looks."""
        with self.begin():
            job = self.job(job_id)
            if job.state in (JobState.QUEUED, JobState.LOST):
                ended = {"state": JobState.CANCELLED.value, "finished_at": time.time()}
                return self._set(job_id, cancel_requested=True, **ended)
            if job.state is JobState.RUNNING:
                return self._set(job_id, cancel_requested=True)
            return job

    def mark_lost_jobs(self, stale_seconds: float = 60.0) -> list[Job]:
        """Mark the running jobs lost whose last heartbeat is older than this.

        Returns:
            The jobs that became lost.
        """
        stale = (_table.c.state == JobState.RUNNING.value) & (
            _table.c.heartbeat < time.time() - stale_seconds
        )
        with self.begin() as connection:
            ids = connection.execute(
                sa.select(_table.c.id).where(stale).order_by(_table.c.created_at)
            ).scalars()
            return [self._set(job_id, state=JobState.LOST.value) for job_id in ids.all()]

    def job(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFoundError: No such job.
        """
        with self._read() as connection:
            row = connection.execute(sa.select(_table).where(_table.c.id == job_id)).mappings().first()
        if row is None:
            raise NotFoundError("no such job", item=f"job {job_id}")
        return _job(row)

    def jobs(
        self, states: Sequence[JobState] | None = None, kinds: Sequence[str] | None = None, limit: int = 100
    ) -> list[Job]:
        """The newest jobs, newest first; each filter narrows."""
        query = sa.select(_table).order_by(_table.c.created_at.desc(), _table.c.id).limit(limit)
        if states is not None:
            query = query.where(_table.c.state.in_([state.value for state in states]))
        if kinds is not None:
            query = query.where(_table.c.kind.in_(kinds))
        with self._read() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def _set(self, job_id: str, **values: Any) -> Job:
        with self.begin() as connection:
            connection.execute(sa.update(_table).where(_table.c.id == job_id).values(**values))
            return self.job(job_id)

    def _expect_alive(self, job_id: str) -> None:
        state = self.job(job_id).state
        if state.value not in _ALIVE:
            raise ConflictError(f"the job is {state.value}, not running", item=f"job {job_id}")


def _job(row: Any) -> Job:
    return Job(
        **{
            **row,
            "params": json.loads(row["params"]),
            "state": JobState(row["state"]),
            "result": None if row["result"] is None else json.loads(row["result"]),
        }
    )
