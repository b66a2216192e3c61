"""The entry point: assembles the commands, turns expected errors into one line and an exit code."""

from __future__ import annotations

import os
import sys

# Before anything loads OpenMP: threads that wait for each other sleep instead of spinning. On an idle machine a
# training step takes 6 % longer, beside one other busy process 40 % less (docs/benchmarks.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer

from curate import __version__
from curate.cli import (
    app_cmd,
    bench_cmd,
    db_cmd,
    demo_cmd,
    gold_cmd,
    ingest_cmd,
    labels_cmd,
    predict_cmd,
    project_cmd,
    purge_cmd,
    review_cmd,
    scan_cmd,
    train_cmd,
    tune_cmd,
    users_cmd,
    version_cmd,
    work_cmd,
)
from curate.cli.common import errors
from curate.errors import ConfigError, CurateError
from curate.workflows.progress import Cancelled

__all__ = ["app", "run"]

app = typer.Typer(
    name="curate",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Find, fix and retrain: the training data of a detector that knows one intersection.\n\n"
    "A first round: `curate init`, `curate ingest`, `curate gold create`, `curate prelabel`, `curate scan`, "
    "`curate app`, `curate retrain`.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"crossguard {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", callback=_version, is_eager=True
    ),
) -> None:
    pass


for module in (
    project_cmd,
    ingest_cmd,
    labels_cmd,
    gold_cmd,
    scan_cmd,
    review_cmd,
    version_cmd,
    train_cmd,
    tune_cmd,
    predict_cmd,
    app_cmd,
    demo_cmd,
    bench_cmd,
    db_cmd,
    users_cmd,
    purge_cmd,
    work_cmd,
):
    module.register(app)


def run() -> None:
    """Run the command line. Exit code 0: done; 1: it could not be done; 2: wrong usage or configuration."""
    try:
        app()
    except ConfigError as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(2)
    except CurateError as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, Cancelled):
        errors.print(
            "stopped; what was finished is kept, the same command goes on from there", style="yellow"
        )
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    run()
