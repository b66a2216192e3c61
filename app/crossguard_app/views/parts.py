"""Pieces that several pages show."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from html import escape

import streamlit as st

from crossguard_app.presenters.overview import Stage
from curate.store import Job, JobState
from curate.workflows.project import Project

__all__ = [
    "ago",
    "empty_state",
    "hint_panel",
    "job_line",
    "nothing_to_look_at",
    "plain_text",
    "seconds_text",
    "stage_strip",
]


def empty_state(title: str, text: str, command: str = "", *, way: tuple[str, str] | None = None) -> None:
    """What a page shows before there is anything: what to do, with the exact command.

    Args:
        title: What is missing.
        text: What to do, and why.
        command: For a terminal.
        way: A button that leads to a page: its words, and the page's name in `script`.
    """
    with st.container(border=True, key=f"empty-{zlib.crc32(title.encode())}"):
        st.html(f'<div class="cg-empty"><b>{escape(title)}</b><p>{escape(text)}</p></div>')
        if way is not None and st.button(way[0], type="primary", icon=":material/arrow_forward:"):
            st.switch_page(st.session_state["pages"][way[1]])
        if command:
            st.code(command, language="bash")


def nothing_to_look_at(project: Project) -> bool:
    """Whether frames or labels are missing; then the page has said so, with what comes first."""
    if not project.store.frames():
        empty_state(
            "No frames yet",
            "Everything begins with footage of your camera: a recording, a folder of pictures, or both.",
            "curate ingest VIDEO_OR_FOLDER",
        )
        return True
    working = project.config.labels.working
    if not any(entry.source == working and entry.labels for entry in project.store.sources()):
        empty_state(
            f"No labels of source {working}",
            "Let the bundled detector write first ones (a button on the next page), or import your own.",
            "curate prelabel",
            way=("Prelabel the frames", "train"),
        )
        return True
    return False


def hint_panel(title: str, text: str, facts: Sequence[str] = ()) -> None:
    """What stands beside something to choose from while nothing is chosen."""
    lines = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    st.html(f'<div class="cg-hint"><b>{escape(title)}</b><p>{escape(text)}</p><ul>{lines}</ul></div>')


def stage_strip(stages: list[Stage]) -> None:
    """The loop as a row of stations."""
    cells = "".join(
        f'<div class="cg-stage {stage.state}"><span>{escape(stage.name)}</span>'
        f"<b>{escape(stage.value)}</b><small>{escape(stage.note)}</small></div>"
        for stage in stages
    )
    st.html(f'<div class="cg-stages">{cells}</div>')


def seconds_text(seconds: float) -> str:
    """A length of time for a person: "45 s", "3 min 20 s", "1 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ago(moment: float, now: float) -> str:
    """How long ago something was: "just now", "4 min ago"."""
    passed = now - moment
    for seconds, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if passed >= seconds:
            return f"{int(passed // seconds)} {unit} ago"
    return "just now" if passed < 10 else f"{int(passed)} s ago"


def job_line(job: Job) -> None:
    """One job with its progress."""
    words = {
        JobState.QUEUED: "waits for its worker to start",
        JobState.RUNNING: job.message or "running",
        JobState.DONE: "done",
        JobState.FAILED: f"failed: {job.error}",
        JobState.CANCELLED: "cancelled; what was finished is kept",
        JobState.LOST: "no sign of life from its worker for a minute",
    }
    if job.state in (JobState.QUEUED, JobState.RUNNING, JobState.LOST):
        left = f", about {seconds_text(job.eta)} left" if job.eta is not None else ""
        st.progress(job.progress, text=plain_text(f"{job.kind.capitalize()}: {words[job.state]}{left}"))
    elif job.state is JobState.FAILED:
        st.error(plain_text(f"{job.kind.capitalize()} {words[job.state]}"), icon=":material/error:")
    else:
        st.caption(plain_text(f"{job.kind.capitalize()} {words[job.state]}"))


def plain_text(text: str) -> str:
    """Text for a place that reads Markdown: nothing in it is markup."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]()#+-.!|<>~$:" else char for char in text)
