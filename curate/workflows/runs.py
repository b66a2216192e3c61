"""Finding the training run that a command means."""

from __future__ import annotations

import time
from dataclasses import replace

from curate.errors import ConflictError, DataError, NotFoundError
from curate.files import exclusive
from curate.store import RunRecord
from curate.workflows.evaluate import GENERIC_RUN, baseline_run
from curate.workflows.project import Project

__all__ = ["chosen_run", "newest_run", "refresh_runs"]


def newest_run(project: Project) -> RunRecord:
    """The training run that was finished last.

    Raises:
        NotFoundError: There is none.
    """
    done = [run for run in project.store.runs(kind="train") if run.state == "done"]
    if not done:
        raise NotFoundError(
            "no detector has been trained here yet",
            hint="`curate retrain`, or --run generic for the bundled detector",
        )
    return max(done, key=lambda run: (run.finished_at or 0.0, run.id))


def chosen_run(project: Project, name: str | None) -> RunRecord:
    """A run by its id, `generic`, or the newest finished one for None.

    Raises:
        NotFoundError: No such run.
        DataError: It is not finished.
    """
    if name is None:
        return newest_run(project)
    if name == GENERIC_RUN:
        return baseline_run(project)
    run = project.store.run(name)
    if run.state != "done":
        raise DataError(
            f"the run is {run.state}, not done", item=f"run {run.id}", hint="`curate train` goes on with it"
        )
    return run


def refresh_runs(project: Project) -> list[RunRecord]:
    """Runs that stand as running although nobody trains them (killed, power lost) are put down as cancelled.

    Returns:
        Those runs.
    """
    lost = []
    for run in project.store.runs(kind="train"):
        if run.state != "running":
            continue
        try:
            with exclusive(project.root / run.path):
                # Seen again under the lock: it may have ended a moment ago.
                if project.store.run(run.id).state == "running":
                    error = "its process ended before it did; ask for it again and it goes on"
                    lost.append(
                        project.store.put_run(
                            replace(run, state="cancelled", error=error, finished_at=time.time())
                        )
                    )
        except ConflictError:
            continue
    return lost
