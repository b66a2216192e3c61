"""`curate gold`: the frozen test set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import ProjectOption, console, example, open_project

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    gold = typer.Typer(no_args_is_help=True, help="The frozen test set that before and after are judged on.")
    gold.command(epilog=example("curate gold create --share 0.25"))(create)
    gold.command(epilog=example("curate gold freeze"))(freeze)
    gold.command(epilog=example("curate gold revise"))(revise)
    app.add_typer(gold, name="gold")


def create(
    share: Annotated[float | None, typer.Option(min=0.01, max=0.89, help="Share of the footage.")] = None,
    project: ProjectOption = Path(),
) -> None:
    """Set whole blocks of time aside, with a gap around them; label them next, blind to any model."""
    from curate.workflows.gold import create_gold

    made = create_gold(open_project(project), share=share)
    frames, gap = len(made.manifest["frames"]), len(made.manifest["gap_frames"])
    console.print(f"draft {made.id}: {frames} test frames, {gap} more left out as a gap", markup=False)
    console.print(
        "next: label them in the app (Frames, gold) or import them, then `curate gold freeze`", markup=False
    )


def freeze(
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Frames without a label are empty indeed.")
    ] = False,
    project: ProjectOption = Path(),
) -> None:
    """Freeze the draft: its labels never change again."""
    from curate.workflows.gold import freeze_gold

    made = freeze_gold(open_project(project), allow_empty=allow_empty)
    labels = len(made.manifest["labels"])
    console.print(f"frozen {made.id}, revision {made.revision}: {labels} labels", markup=False)


def revise(
    project: ProjectOption = Path(),
) -> None:
    """Open a new revision as a draft; after its freeze, `curate evaluate --all` judges the runs on it again."""
    from curate.workflows.gold import revise_gold

    made = revise_gold(open_project(project))
    console.print(
        f"draft {made.id}, revision {made.revision}: correct its labels, then `curate gold freeze`",
        markup=False,
    )
