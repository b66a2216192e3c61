"""`curate tune`: search for better training settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import (
    JsonOption,
    ProjectOption,
    console,
    emit_json,
    example,
    open_project,
    print_table,
    progress_bar,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example("curate tune --minutes 30", "curate tune --trials 20"))(tune)


def tune(
    trials: Annotated[int | None, typer.Option(min=1, help="Tries of this call.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Time of this call; a try that has begun is finished.")
    ] = None,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Search for better training settings by a validation block, never by gold. Goes on where it was stopped."""
    from curate.workflows.tune import tune as work

    with progress_bar() as reporter:
        report = work(open_project(project), trials=trials, minutes=minutes, reporter=reporter)
    if as_json:
        emit_json(report)
        return
    rows = [
        [
            trial.number,
            f"{trial.state}, today's settings" if trial.today else trial.state,
            trial.box_ap,
            trial.ms_per_frame,
            trial.seconds,
            ", ".join(
                f"{name} {value if isinstance(value, str) else f'{value:.3g}'}"
                for name, value in sorted(trial.settings.items())
            ),
        ]
        for trial in sorted(report.trials, key=lambda trial: -(trial.box_ap or 0))
    ]
    title = f"trained on {report.frames[0]} frames, judged on {report.frames[1]} others"
    print_table(title, ["try", "state", "box AP", "ms a frame", "seconds", "settings"], rows)
    if report.site_yaml:
        if report.gain is not None:
            console.print(f"{report.gain:+.3f} AP against today's settings, one seed each", markup=False)
        console.print(f"for site.yaml:\n{report.site_yaml}", markup=False)
    elif report.best is not None:
        console.print("nothing better than today's settings was found", markup=False)
