"""`curate review`: decisions from the command line, and their files."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from curate.annotations import Decision, DecisionKind
from curate.cli.common import (
    JsonOption,
    ProjectOption,
    console,
    emit_json,
    example,
    open_project,
    print_table,
)
from curate.errors import ConfigError, FormatError
from curate.review import (
    agreement,
    agreement_by_pair,
    apply_decisions,
    decide,
    export_decisions,
    give_opinion,
    review_progress,
    reviewer_stats,
    second_queue,
    undo_last,
)
from curate.store.serialize import decision_to_dict
from curate.workflows.profile import reviewer_name

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    review = typer.Typer(
        no_args_is_help=True, help="Decide issues without the app, and move decisions in files."
    )
    review.command("list", epilog=example("curate review list --limit 10"))(list_decisions)
    review.command("decide", epilog=example("curate review decide ISSUE apply"))(decide_issue)
    review.command("undo", epilog=example("curate review undo"))(undo)
    review.command("apply", epilog=example("curate review apply decisions.jsonl"))(apply)
    review.command("export", epilog=example("curate review export decisions.jsonl"))(export)
    review.command("stats", epilog=example("curate review stats"))(stats)
    review.command("second", epilog=example("curate review second --share 0.1"))(second)
    review.command("opinion", epilog=example("curate review opinion ISSUE keep --as bob"))(opinion)
    review.command("progress", epilog=example("curate review progress"))(progress)
    app.add_typer(review, name="review")


ReviewerOption = Annotated[
    str | None,
    typer.Option("--as", help="Name of the reviewer; default: that of your profile, else your login."),
]


def _reviewer(name: str | None) -> str:
    return name or reviewer_name()


def list_decisions(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """List decisions, the newest first."""
    records = open_project(project).store.decisions(limit=limit)
    if as_json:
        emit_json([decision_to_dict(record.decision) | {"undone_by": record.undone_by} for record in records])
        return
    rows = [
        [
            record.decision.id[:12],
            record.decision.kind.value,
            record.decision.reviewer,
            (record.decision.issue_id or "")[:12],
            len(record.effects.labels),
            "undone" if record.undone_by else "",
        ]
        for record in records
    ]
    print_table("decisions", ["id", "kind", "reviewer", "issue", "labels changed", ""], rows)


def decide_issue(
    issue: Annotated[str, typer.Argument(help="Id of the issue, as `curate issues --json` shows it.")],
    kind: Annotated[DecisionKind, typer.Argument(help="What to do.")],
    label: Annotated[str | None, typer.Option(help="New class, for relabel.")] = None,
    box: Annotated[str | None, typer.Option(help="New box as x1,y1,x2,y2, for edit and add.")] = None,
    group: Annotated[bool, typer.Option(help="All open issues of the same place.")] = False,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    reviewer: ReviewerOption = None,
    project: ProjectOption = Path(),
) -> None:
    """Decide one issue."""
    opened = open_project(project)
    corners = None
    if box is not None:
        try:
            x1, y1, x2, y2 = (float(part) for part in box.split(","))
        except ValueError as error:
            raise ConfigError(f"expected x1,y1,x2,y2, got {box!r}", item="--box") from error
        corners = (x1, y1, x2, y2)
    outcome = decide(
        opened.store,
        Decision(
            id=uuid.uuid4().hex,
            kind=kind,
            reviewer=_reviewer(reviewer),
            issue_id=issue,
            label=label,
            bbox_xyxy=corners,
            group=group,
            note=note,
        ),
    )
    console.print(f"{kind.value}: {len(outcome.labels)} labels changed", markup=False)


def undo(reviewer: ReviewerOption = None, project: ProjectOption = Path()) -> None:
    """Take your last decision back; again: the one before."""
    outcome = undo_last(open_project(project).store, _reviewer(reviewer))
    console.print(f"undone: {outcome.decision.undoes}", markup=False)


def apply(
    file: Annotated[Path, typer.Argument(help="JSON lines, as `curate review export` writes them.")],
    keep_going: Annotated[bool, typer.Option(help="Carry out what can be; default: all or nothing.")] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Carry out a file of decisions; known ones are passed over."""
    report = apply_decisions(open_project(project).store, file, keep_going=keep_going)
    if as_json:
        emit_json(report)
        return
    console.print(f"{report.applied} carried out, {report.repeated} known already", markup=False)
    for failed in report.failed:
        console.print(f"line {failed.line}: {failed.reason}", markup=False, style="yellow")
    if report.failed:
        raise FormatError(f"{len(report.failed)} decisions could not be carried out", file=file)


def export(
    file: Annotated[Path, typer.Argument(help="File to write, JSON lines.")], project: ProjectOption = Path()
) -> None:
    """Write all decisions to a file."""
    count = export_decisions(open_project(project).store, file)
    console.print(f"wrote {count} decisions to {file}", markup=False)


def stats(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """What every reviewer did, and how far two reviewers agree on the issues that both judged."""
    store = open_project(project).store
    people, both, pairs = reviewer_stats(store), agreement(store), agreement_by_pair(store)
    if as_json:
        named = [{"reviewers": pair, **asdict(entry)} for pair, entry in pairs.items()]
        emit_json({"reviewers": people, "agreement": both, "pairs": named})
        return
    rows = [
        [
            entry.reviewer,
            entry.decisions,
            entry.corrected,
            entry.kept,
            entry.skipped,
            entry.undone,
            entry.opinions,
            entry.agreement,
            entry.seconds_per_decision,
        ]
        for entry in people
    ]
    columns = [
        "reviewer",
        "decisions",
        "corrected",
        "kept",
        "skipped",
        "undone",
        "opinions",
        "agrees",
        "s each",
    ]
    print_table("reviewers", columns, rows)
    if both.issues:
        kappa = "undefined" if both.kappa is None else f"{both.kappa:.2f}"
        console.print(
            f"{both.issues} issues judged twice: same verdict on {both.same_verdict:.0%},"
            f" agreed whether it is an error on {both.same_side:.0%}, kappa {kappa}",
            markup=False,
        )
    if len(pairs) > 1:
        rows = [
            [*pair, entry.issues, entry.same_verdict, entry.kappa, entry.mean_iou]
            for pair, entry in pairs.items()
        ]
        print_table("pairs", ["one", "other", "issues", "same verdict", "kappa", "mean IoU"], rows)


def second(
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the decided issues.")] = 0.1,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 16,
    reviewer: ReviewerOption = None,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Decided issues of others that you should judge too, without what they decided."""
    found = second_queue(open_project(project).store, _reviewer(reviewer), share=share, limit=limit)
    if as_json:
        emit_json(found)
        return
    rows = [[issue.id, issue.type.value, issue.label, issue.proposal.kind.value] for issue in found]
    print_table("for a second opinion", ["issue", "type", "class", "proposal"], rows)


def opinion(
    issue: Annotated[str, typer.Argument(help="Id, from `curate review second`.")],
    kind: Annotated[DecisionKind, typer.Argument(help="What you would have decided.")],
    label: Annotated[str | None, typer.Option(help="New class, for relabel.")] = None,
    reviewer: ReviewerOption = None,
    project: ProjectOption = Path(),
) -> None:
    """Give a second opinion; no label changes."""
    give_opinion(open_project(project).store, issue, _reviewer(reviewer), kind, label)
    console.print(f"noted: {kind.value}", markup=False)


def progress(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """How right the queue was so far, and how many errors are left."""
    state = review_progress(open_project(project).store)
    if as_json:
        emit_json(state)
        return
    rows = [
        [entry.type.value, entry.open, entry.corrected, entry.kept, entry.precision, entry.expected]
        for entry in state.types
    ]
    print_table("review", ["type", "open", "corrected", "kept", "precision", "expected errors left"], rows)
