"""Where the loop stands, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueState
from curate.issues import expected_errors, issue_looks
from curate.store import GoldState, JobState
from curate.workflows.gold import GOLD_SOURCE
from curate.workflows.project import Project

__all__ = ["ProjectStatus", "project_status"]

_LOOKS = 50
_PAGE = 500


@dataclass(frozen=True)
class ProjectStatus:
    """The state of a project in numbers.

    Attributes:
        site: Name of the site.
        camera: Name of the camera.
        frames: All frames.
        excluded: Of them taken out by decisions.
        gold_frames: Frames of the newest gold set.
        gold_state: "none", "draft" or "frozen".
        labels: Label source -> current labels.
        open_issues: Issues that wait.
        issues: "type/state" -> count.
        expected_errors: Sum of the probabilities of the open issues.
        decisions: Decisions made.
        versions: Dataset versions.
        runs: Finished training runs.
        running_jobs: Kinds of the jobs at work.
        quarantined: Items that could not be taken in.
        forecast: What the next 50 looks hold, in a sentence; "" when nothing is open.
        next_step: What to do now, with the command.
    """

    site: str
    camera: str
    frames: int
    excluded: int
    gold_frames: int
    gold_state: str
    labels: Mapping[str, int]
    open_issues: int
    issues: Mapping[str, int]
    expected_errors: float
    decisions: int
    versions: int
    runs: int
    running_jobs: tuple[str, ...]
    quarantined: int
    forecast: str
    next_step: str


def project_status(project: Project) -> ProjectStatus:
    """Count everything and name the next step."""
    store, config = project.store, project.config
    frames, excluded = store.frame_counts()
    golds = store.gold_sets()
    labels = {entry.source: entry.labels for entry in store.sources()}
    counts = store.issue_counts()
    opened = [entry for entry in counts if entry.state is IssueState.OPEN]
    runs = [run for run in store.runs(kind="train") if run.state == "done"]
    versions = store.versions()
    gold_state = golds[-1].state.value if golds else "none"
    status = ProjectStatus(
        site=config.site,
        camera=config.camera,
        frames=frames,
        excluded=excluded,
        gold_frames=len(golds[-1].manifest["frames"]) if golds else 0,
        gold_state=gold_state,
        labels=labels,
        open_issues=sum(entry.count for entry in opened),
        issues={f"{entry.type.value}/{entry.state.value}": entry.count for entry in counts},
        expected_errors=sum(entry.expected for entry in opened),
        decisions=store.decision_count(),
        versions=len(versions),
        runs=len(runs),
        running_jobs=tuple(job.kind for job in store.jobs(states=(JobState.RUNNING, JobState.QUEUED))),
        quarantined=len(store.quarantined()),
        forecast=_forecast(project) if opened else "",
        next_step="",
    )
    object.__setattr__(status, "next_step", _next_step(project, status))
    return status


def _forecast(project: Project) -> str:
    """Of the next looks; a group is one look."""
    page = project.store.issues(states=(IssueState.OPEN,), limit=_PAGE)
    looks = [look[0].probability for look in issue_looks(page.issues)]
    return str(expected_errors(np.array(looks), _LOOKS)) if looks else ""


def _next_step(project: Project, status: ProjectStatus) -> str:
    working = project.config.labels.working
    if status.running_jobs:
        return f"wait: {', '.join(status.running_jobs)} is running"
    if not status.frames:
        return "take frames from a recording: curate ingest VIDEO_OR_FOLDER"
    if status.gold_state == "none":
        return "set test frames aside, before any label is made: curate gold create"
    if status.gold_state == GoldState.DRAFT.value:
        if not status.labels.get(GOLD_SOURCE):
            return "label the gold frames (app: Frames, gold) or curate import coco FILE --source gold"
        return "when every gold frame is labelled: curate gold freeze"
    if not status.labels.get(working):
        return f"get first labels: curate prelabel, or curate import coco FILE --source {working}"
    if not status.runs:
        return "train a first detector, to compare with later: curate retrain"
    if not status.issues:
        return "look for label errors: curate scan"
    if status.open_issues and not status.decisions:
        return "review the queue: curate app"
    newest_run = max(run.created_at for run in project.store.runs(kind="train"))
    newest = project.store.decisions(limit=1)
    if newest and newest[0].decision.created_at > newest_run:
        return "train on the reviewed labels and compare: curate retrain (or review on: curate app)"
    return "scan again (curate scan) or review on (curate app)"
