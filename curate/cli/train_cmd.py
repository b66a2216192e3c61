"""`curate retrain`, `train`, `evaluate` and `compare`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

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
from curate.errors import CompareError, ConfigError

__all__ = ["register"]

SeedsOption = Annotated[
    int, typer.Option(min=1, max=50, help="Training seeds a side; one is only indicative.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=example("curate retrain", "curate retrain --seeds 5"))(retrain)
    app.command(epilog=example("curate train 3f2a --seed 1"))(train)
    app.command(epilog=example("curate evaluate RUN", "curate evaluate generic", "curate evaluate --all"))(
        evaluate
    )
    app.command(epilog=example("curate compare --before RUN --after RUN", "curate compare --list"))(compare)


def retrain(
    seeds: SeedsOption = 1,
    warm: Annotated[
        bool | None,
        typer.Option(
            "--warm/--cold",
            help="Start from the last run's weights where few labels changed; default: with one seed.",
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Kept with the new version.")] = "",
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """New version, new detector, honest before and after on gold. Goes on where it was stopped."""
    from curate.evaluation.report import comparison_markdown
    from curate.workflows.retrain import retrain as work

    opened = open_project(project)
    with progress_bar() as reporter:
        result = work(opened, seeds=seeds, warm=warm, note=note, reporter=reporter)
    if as_json:
        emit_json(result.to_dict())
        return
    starts = [
        f"{run} ({f'from {start}' if start else 'from the start'})"
        for run, start in zip(result.runs, result.starts, strict=True)
    ]
    console.print(f"version {result.version}, runs {', '.join(starts)}", markup=False, soft_wrap=True)
    for record in (result.against_torchvision, result.against_generic, result.against_before):
        if record is not None:
            console.print(
                f"\n{record.title}\n{comparison_markdown(record.comparison)}", markup=False, soft_wrap=True
            )
    if result.against_torchvision is None:
        hint = "fetch them once with `curate evaluate torchvision`"
        console.print(f"torchvision's COCO weights are not here, so it is not compared: {hint}", markup=False)


def train(
    version: Annotated[str, typer.Argument(help="Dataset version, or a beginning that fits one only.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Training seed; default from site.yaml.")] = None,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Train on a dataset version. A finished run is not repeated; one cut off goes on."""
    from curate.workflows.train import train_version

    opened = open_project(project)
    with progress_bar() as reporter:
        run = train_version(opened, version, seed=seed, reporter=reporter)
    if os.environ.get("RANK", "0") != "0":  # One of several processes; the first one tells.
        return
    if as_json:
        emit_json(run)
        return
    console.print(f"run {run.id}: {run.state}", markup=False)


def evaluate(
    run: Annotated[
        str | None,
        typer.Argument(help="A run; `generic` or `torchvision` for the COCO detectors as they are."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every finished run, on the newest gold set.")] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Judge a run on the frozen gold set."""
    from curate.evaluation.report import evaluation_markdown
    from curate.workflows.evaluate import (
        GENERIC_RUN,
        TORCHVISION_RUN,
        baseline_run,
        evaluate_run,
        needed_gold,
    )

    if (run is None) != every:
        raise ConfigError("give one run, or --all", item="RUN")
    opened = open_project(project)
    gold = needed_gold(opened)
    if run in (GENERIC_RUN, TORCHVISION_RUN):
        runs = [baseline_run(opened, run)]
    elif run is not None:
        runs = [opened.store.run(run)]
    else:
        runs = [entry for entry in opened.store.runs() if entry.state == "done"]
    judged = []
    with progress_bar() as reporter:
        for chosen in runs:
            try:
                judged.append(evaluate_run(opened, chosen, gold, reporter=reporter))
            except CompareError as error:
                if not every:
                    raise
                errors.print(f"passed over: {error}", markup=False, style="yellow")
    if as_json:
        emit_json({entry.run.id: entry.result.to_dict() for entry in judged})
        return
    for entry in judged:
        console.print(f"\n{entry.run.id}\n{evaluation_markdown(entry.result)}", markup=False, soft_wrap=True)


def compare(
    before: Annotated[
        list[str] | None, typer.Option(help="Run of the first side; repeat for more seeds.")
    ] = None,
    after: Annotated[
        list[str] | None, typer.Option(help="Run of the second side; repeat for more seeds.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Class that the verdict speaks of.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the stored comparisons.")] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Compare runs on gold, with intervals over time blocks and seeds."""
    from curate.evaluation.report import comparison_markdown
    from curate.workflows.compare import compare_runs, comparisons

    opened = open_project(project)
    if show:
        records = comparisons(opened)
        if as_json:
            emit_json(
                [
                    {"id": entry.id, "title": entry.title, "verdict": entry.comparison.verdict}
                    for entry in records
                ]
            )
            return
        rows = [[entry.id, entry.title, entry.comparison.verdict] for entry in records]
        print_table("comparisons", ["id", "what", "verdict"], rows)
        return
    if not before or not after:
        raise ConfigError(
            "a comparison needs --before and --after",
            item="RUN",
            hint="`curate compare --list` shows old ones",
        )
    sides = [[opened.store.run(name) for name in names] for names in (before, after)]
    with progress_bar() as reporter:
        title = f"{', '.join(before)} against {', '.join(after)}"
        record = compare_runs(opened, *sides, title=title, label=label, reporter=reporter)
    if as_json:
        emit_json(record.comparison.to_dict())
        return
    console.print(comparison_markdown(record.comparison), markup=False, soft_wrap=True)
