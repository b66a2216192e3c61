"""Long work in worker processes of their own: they outlive the browser and the server, and say how far they are."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from curate.errors import ConfigError, CurateError
from curate.store import Job, JobState, Role
from curate.workflows.progress import Cancelled, Reporter, SubReporter, eta_seconds
from curate.workflows.project import Project
from curate.workflows.runs import refresh_runs

__all__ = ["JOB_KINDS", "cancel_job", "refresh_jobs", "run_job", "start_job"]

STALE_SECONDS = 60.0
_BEAT_SECONDS = 5.0
_WRITE_SECONDS = 0.5


def _scan(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.scan import scan

    return scan(project, reporter=reporter, force=bool(params.get("force", False))).to_dict()


def _retrain(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.retrain import retrain

    seeds, warm = int(params.get("seeds", 1)), params.get("warm")
    return retrain(
        project, seeds=seeds, warm=None if warm is None else bool(warm), reporter=reporter
    ).to_dict()


def _prelabel(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.prelabel import prelabel

    report = prelabel(project, masks=bool(params.get("masks", True)), reporter=reporter)
    return {"frames": report.frames, "skipped": report.skipped, "labels": report.labels}


def _label_next(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.label_next import label_next

    chosen = label_next(project, int(params.get("count", 20)), reporter=reporter)
    return {"frames": [list(entry) for entry in chosen]}


def _evaluate(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.evaluate import evaluate_run, needed_gold

    gold, ids = needed_gold(project), [str(run_id) for run_id in params["runs"]]
    for at, run_id in enumerate(ids):
        part = SubReporter(reporter, at / len(ids), (at + 1) / len(ids))
        evaluate_run(project, project.store.run(run_id), gold, reporter=part)
    return {"runs": ids}


def _compare(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.compare import compare_runs

    sides = [[project.store.run(str(run_id)) for run_id in params[side]] for side in ("before", "after")]
    record = compare_runs(project, *sides, title=str(params["title"]), reporter=reporter)
    return {"comparison": record.id}


def _rerank(project: Project, params: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    from curate.workflows.rerank import rerank

    return {"changed": rerank(project)}


JOB_KINDS: Mapping[str, Callable[[Project, Mapping[str, Any], Reporter], Mapping[str, Any]]] = {
    "scan": _scan,
    "retrain": _retrain,
    "prelabel": _prelabel,
    "label_next": _label_next,
    "rerank": _rerank,
    "evaluate": _evaluate,
    "compare": _compare,
}
"""What a worker can do, by name."""


def start_job(project: Project, kind: str, params: Mapping[str, Any] | None = None) -> str:
    """Queue a job and start a worker process for it; while one of the kind runs, that one's id is returned.

    Args:
        project: The project.
        kind: One of `JOB_KINDS`.
        params: JSON values.

    Raises:
        ConfigError: No such kind.
        AccessError: The project has users, and who asks is none of them or only a viewer.
    """
    project.expect_role(Role.REVIEWER)
    if kind not in JOB_KINDS:
        raise ConfigError(f"unknown kind of job {kind!r}", hint=f"there are {', '.join(JOB_KINDS)}")
    refresh_jobs(project)
    with project.store.begin():
        busy = project.store.jobs(states=(JobState.QUEUED, JobState.RUNNING), kinds=(kind,), limit=1)
        if busy:
            return busy[0].id
        job = project.store.create_job(kind, params)
    with _log_path(project, job.id).open("ab") as log:
        subprocess.Popen(
            project.worker_command("work", job.id),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=project.root,
            # What the worker writes is in the name of whoever started it, not of the server's account.
            env={**os.environ, "CROSSGUARD_REVIEWER": project.store.actor},
        )
    return job.id


def _log_path(project: Project, job_id: str) -> Path:
    return project.logs_dir / f"{job_id}.log"


def cancel_job(project: Project, job_id: str) -> Job:
    """Ask a job to stop.

    Raises:
        AccessError: See `start_job`.
    """
    project.expect_role(Role.REVIEWER)
    with project.store.begin():
        project.store.log("job.cancel", job_id)
        return project.store.cancel_job(job_id)


def refresh_jobs(project: Project) -> None:
    """Put jobs to rest whose worker has given no sign of life for a minute, or whose process is gone."""
    project.store.mark_lost_jobs(STALE_SECONDS)
    refresh_runs(project)
    for job in project.store.jobs(states=(JobState.QUEUED,)):
        if time.time() - job.created_at > STALE_SECONDS:  # Its worker died before it could claim the job.
            project.store.cancel_job(job.id)
    for job in project.store.jobs(states=(JobState.LOST,)):
        if job.pid is not None and not _alive(job.pid):
            project.store.finish_job(
                job.id,
                JobState.FAILED,
                error="the worker process died; start it again: it goes on where it was",
            )


def _alive(pid: int) -> bool:
    """Whether the process is there and at work: one that was killed stays a zombie until its parent looks."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def run_job(project: Project, job_id: str) -> Job:
    """What the worker process does: claim the job, do it, and write down how it ended.

    Raises:
        ConfigError: The job waits no more.
    """
    job = project.store.claim_job(job_id, pid=os.getpid())
    if job is None:
        raise ConfigError("this job is not waiting", item=f"job {job_id}")
    reporter = JobReporter(project, job_id)
    try:
        with reporter:
            result = JOB_KINDS[job.kind](project, job.params, reporter)
    except Cancelled:
        return project.store.finish_job(job_id, JobState.CANCELLED)
    except CurateError as error:
        return project.store.finish_job(job_id, JobState.FAILED, error=str(error))
    except BaseException as error:
        project.store.finish_job(
            job_id,
            JobState.FAILED,
            error=f"{type(error).__name__}: {error}; see {_log_path(project, job_id)}",
        )
        raise
    return project.store.finish_job(job_id, JobState.DONE, result=result)


class JobReporter:
    """Writes progress into the job's row, at most twice a second, and a heartbeat every few seconds besides."""

    def __init__(self, project: Project, job_id: str) -> None:
        self._project = project
        self._job_id = job_id
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._written = 0.0
        self._latest: tuple[float, str] = (0.0, "starting")
        self._stop = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> JobReporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, fraction: float, message: str) -> None:
        """Note it; written when the last write is half a second old."""
        with self._lock:
            self._latest = (min(1.0, max(0.0, fraction)), message)
            due = time.monotonic() - self._written >= _WRITE_SECONDS
        if due:
            self._write()

    def should_stop(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self._stop

    def _write(self) -> None:
        with self._lock:
            fraction, message = self._latest
            self._written = time.monotonic()
        eta = eta_seconds(self._started, fraction)
        self._stop = self._project.store.heartbeat_job(
            self._job_id, progress=fraction, message=message, eta=eta
        )

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            self._write()
