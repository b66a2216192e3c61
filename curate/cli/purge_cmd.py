"""`curate purge`: erase frames for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import JsonOption, ProjectOption, console, emit_json, example, open_project
from curate.errors import ConfigError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=example(
            "curate purge --track 17 --reason 'request 2026-04'",
            "curate purge --clip morning --from 12 --to 15.5 --reason 'request 2026-04' --yes",
        )
    )(purge)


def purge(
    names: Annotated[list[str] | None, typer.Argument(help="Frame names or ids.")] = None,
    track: Annotated[str | None, typer.Option(help="All frames with a label of this track id.")] = None,
    clip: Annotated[str | None, typer.Option(help="A recording.")] = None,
    start: Annotated[float | None, typer.Option("--from", help="With --clip: seconds, from.")] = None,
    stop: Annotated[float | None, typer.Option("--to", help="With --clip: seconds, to.")] = None,
    reason: Annotated[
        str, typer.Option(help="A reference to the request; it is kept, so nothing personal.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without, only tell what would be erased.")
    ] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Erase frames from pictures, labels, caches, predictions and known backups. There is no way back."""
    from curate.workflows.purge import plan_purge
    from curate.workflows.purge import purge as work

    if clip is None and (start is not None or stop is not None):
        raise ConfigError("--from and --to belong to a recording", item="--clip")
    opened = open_project(project)
    limits = (float("-inf") if start is None else start, float("inf") if stop is None else stop)
    plan = plan_purge(opened, names=names or [], track=track, clip=clip, between=limits)
    if not yes:
        if as_json:
            emit_json(plan)
            return
        console.print(
            f"would erase {len(plan.frames)} frames and {plan.labels} labels for good", markup=False
        )
        for frame in plan.frames[:10]:
            console.print(f"  {frame.name}", markup=False)
        console.print(f"versions that keep a tombstone: {', '.join(plan.versions) or 'none'}", markup=False)
        console.print(f"backups written anew: {', '.join(plan.backups) or 'none'}", markup=False)
        for path in plan.gone:
            console.print(f"not where it was, purge it by hand: {path}", markup=False, style="yellow")
        console.print(f"not ours to delete: {', '.join(plan.sources)}", markup=False)
        console.print("add --yes to do it", markup=False)
        return
    report = work(opened, plan, reason=reason)
    if as_json:
        emit_json(report)
        return
    console.print(
        f"erased {report.frames} frames, {report.labels} labels, {report.issues} issues, {report.files} files;"
        f" {report.backups} backups written anew",
        markup=False,
    )
    if report.runs:
        console.print(f"trained on them, train again: {', '.join(report.runs)}", markup=False, style="yellow")
