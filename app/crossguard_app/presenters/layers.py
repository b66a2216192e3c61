"""What can be shown over the labels of a frame: the bundled detector, trained runs, other label sources."""

from __future__ import annotations

from datetime import UTC, datetime

from curate.annotations import GOLD_SOURCE
from curate.store import RunRecord
from curate.workflows.assist_client import BUNDLED
from curate.workflows.project import Project

__all__ = ["layer_choices"]

_MOST_RUNS = 12


def layer_choices(project: Project, source: str) -> list[dict[str, str]]:
    """Layers as {"key", "name"}: newest trained run first, then the bundled detector, then other label sources.

    Args:
        project: The project.
        source: The label source that is edited. It is no layer of its own, and the gold labels are none at all:
            who labels for training must not copy from the test. Nor does the test take over what a model says:
            for gold there are no layers.
    """
    if source == GOLD_SOURCE:
        return []
    trained = [run for run in reversed(project.store.runs()) if run.state == "done" and run.version_id]
    sources = [count.source for count in project.store.sources() if count.source not in (source, GOLD_SOURCE)]
    return [
        *({"key": f"run:{run.id}", "name": _run_name(run)} for run in trained[:_MOST_RUNS]),
        {"key": f"run:{BUNDLED}", "name": "Bundled detector"},
        *({"key": f"labels:{name}", "name": f"Labels: {name}"} for name in sources),
    ]


def _run_name(run: RunRecord) -> str:
    made = datetime.fromtimestamp(run.created_at, UTC).strftime("%Y-%m-%d %H:%M")
    return f"Run {run.id[:8]}, {made}"
