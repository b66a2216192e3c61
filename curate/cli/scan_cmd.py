"""`curate scan`, `curate issues` and `curate label-next`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.annotations import IssueState, IssueType
from curate.cli.common import (
    JsonOption,
    ProjectOption,
    console,
    emit_json,
    errors,
    example,
    open_project,
    print_table,
    progress_bar,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=example("curate scan"))(scan)
    app.command(epilog=example("curate issues --type missing --limit 20"))(issues)
    app.command(epilog=example("curate rerank"))(rerank)
    app.command("label-next", epilog=example("curate label-next --count 20"))(label_next)


def scan(
    force: Annotated[bool, typer.Option(help="Compute everything again.")] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Look for label errors. Incremental: only what changed since the last scan is done again."""
    from curate.workflows.scan import scan as work

    opened = open_project(project)
    with progress_bar() as reporter:
        report = work(opened, reporter=reporter, force=force)
    if as_json:
        emit_json(report.to_dict())
        return
    if report.unchanged:
        console.print("nothing has changed since the last scan: nothing to do", markup=False)
        return
    for line in report.done:
        console.print(f"- {line}", markup=False)
    rows = [[str(kind), count] for kind, count in sorted(report.open_by_type.items())]
    print_table("open issues", ["type", "count"], rows)


def rerank(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Learn from the decisions so far and put the waiting issues into a new order; looks at no picture."""
    from curate.workflows.rerank import rerank as work

    changed = work(open_project(project))
    if as_json:
        emit_json({"changed": changed})
        return
    console.print(f"{changed} issues have a new probability", markup=False)


def issues(
    kind: Annotated[
        list[IssueType] | None, typer.Option("--type", help="Only this type; repeat for more.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only this class; repeat for more.")
    ] = None,
    state: Annotated[IssueState, typer.Option(help="Only in this state.")] = IssueState.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 20,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """List issues, the most severe first, and say how many errors they hold."""
    import numpy as np

    from curate.issues import expected_errors, issue_looks
    from curate.store.serialize import issue_to_dict

    store = open_project(project).store
    page = store.issues(states=(state,), types=kind, labels=label, limit=limit)
    if as_json:
        emit_json([issue_to_dict(issue) for issue in page.issues])
        return
    waiting = store.open_in_groups(issue.group_id for issue in page.issues if issue.group_id)
    rows = [
        [
            issue.id[:12],
            issue.type.value,
            issue.label,
            issue.probability,
            waiting.get(issue.group_id or "", 1),
            issue.explanation,
        ]
        for issue in page.issues
    ]
    print_table(f"{state.value} issues", ["id", "type", "class", "P(error)", "one answer for", "why"], rows)
    if not rows:
        errors.print("none like that; `curate scan` looks for label errors", markup=False)
    if state is IssueState.OPEN and page.issues:
        looks = [look[0].probability for look in issue_looks(page.issues)]
        console.print(str(expected_errors(np.array(looks))), markup=False)


def label_next(
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many frames.")] = 20,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Choose the frames that teach most when labelled next: what detectors doubt, unlike what is labelled."""
    from curate.workflows.label_next import label_next as work

    opened = open_project(project)
    with progress_bar() as reporter:
        chosen = work(opened, count, reporter=reporter)
    if as_json:
        emit_json([{"frame_id": entry.frame_id, "reason": entry.reason} for entry in chosen])
        return
    names = {frame.id: frame.name for frame in opened.store.frames(ids=[entry.frame_id for entry in chosen])}
    rows = [[entry.frame_id[:12], names[entry.frame_id], entry.reason] for entry in chosen]
    print_table("label next", ["frame", "name", "why"], rows)
