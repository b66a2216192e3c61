"""`curate purge`: erase frames for good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, ProjectOption, console, emit_json, example, open_project
from curate.errors import ConfigError

if TYPE_CHECKING:
    from curate.workflows.purge import PurgePlan, PurgeReport

__all__ = ["register"]

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=example(
            "curate purge --track 17 --reason 'request 2026-04'",
            "curate purge --clip morning --from 12 --to 15.5 --reason 'request 2026-04' --yes",
        )
    )(purge)


def purge(
    names: Annotated[
        list[str] | None, typer.Argument(help="Frame names or ids; without the options below.")
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(help="Frames with a label of this track id; with --clip only those of the recording."),
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Only frames of this recording.")] = None,
    start: Annotated[float | None, typer.Option("--from", help="With --clip: seconds, from.")] = None,
    stop: Annotated[float | None, typer.Option("--to", help="With --clip: seconds, to.")] = None,
    reason: Annotated[
        str, typer.Option(help="A reference to the request; it is kept, so nothing personal.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without, only tell what would be erased.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Finish purges that were cut off or held up; erases nothing new.")
    ] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Erase frames from pictures, labels, caches, predictions and known backups. There is no way back."""
    from curate.workflows.purge import finish_purge, plan_purge
    from curate.workflows.purge import purge as work

    opened = open_project(project)
    if finish:
        if names or track is not None or clip is not None or start is not None or stop is not None:
            raise ConfigError("it ends purges that were begun: name nothing with it", item="--finish")
        _tell_report(finish_purge(opened), as_json)
        return
    between = None
    if start is not None or stop is not None:
        between = (float("-inf") if start is None else start, float("inf") if stop is None else stop)
    plan = plan_purge(opened, names=names or [], track=track, clip=clip, between=between)
    if yes and as_json:
        emit_json(work(opened, plan, reason=reason))
        return
    if as_json:
        emit_json(plan)
        return
    _tell_plan(plan, done=yes)
    if yes:
        _tell_report(work(opened, plan, reason=reason), as_json)
        return
    _tell_by_hand(plan.by_hand)
    console.print("add --yes to do it", markup=False)


def _tell_plan(plan: PurgePlan, *, done: bool) -> None:
    would = "erasing" if done else "would erase"
    console.print(
        f"{would} {len(plan.frames)} frames and {plan.labels} labels for good: {plan.request}", markup=False
    )
    for clip, number in plan.clips.items():
        console.print(f"  {number} frames of recording {clip}", markup=False)
    for frame in plan.frames[:_SHOWN]:
        console.print(f"  {frame.name}", markup=False)
    if len(plan.frames) > _SHOWN:
        console.print(f"  and {len(plan.frames) - _SHOWN} more (--json names all)", markup=False)
    console.print(f"versions that keep a tombstone: {', '.join(plan.versions) or 'none'}", markup=False)
    console.print(f"backups written anew: {', '.join(plan.backups) or 'none'}", markup=False)


def _tell_report(report: PurgeReport, as_json: bool) -> None:
    if as_json:
        emit_json(report)
        return
    console.print(
        f"erased {report.frames} frames, {report.labels} labels, {report.issues} issues, {report.files} files;"
        f" {report.backups} backups written anew",
        markup=False,
    )
    _tell_by_hand(report.by_hand)


def _tell_by_hand(sentences: Sequence[str]) -> None:
    console.print("left to do by hand:", markup=False, style="yellow")
    for sentence in sentences:
        console.print(f"- {sentence}", markup=False, style="yellow", soft_wrap=True)
