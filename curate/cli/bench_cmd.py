"""`curate bench`: measurements, with the table they print for docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli import (
    bench_blur_cmd,
    bench_faults_cmd,
    bench_label_errors_cmd,
    bench_map_cmd,
    bench_scoring_cmd,
    bench_store_cmd,
    bench_train_cmd,
    bench_ui_cmd,
)
from curate.cli.common import console, emit_json, example, progress_bar

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    bench = typer.Typer(
        no_args_is_help=True, help="Measure, on this machine; docs/benchmarks.md holds our tables."
    )
    bench.callback()(_root)
    bench.command(epilog=example("curate bench loop --seeds 5"))(loop)
    bench_blur_cmd.register(bench)
    bench_ui_cmd.register(bench)
    bench_label_errors_cmd.register(bench)
    bench_map_cmd.register(bench)
    bench_scoring_cmd.register(bench)
    bench_store_cmd.register(bench)
    bench_faults_cmd.register(bench)
    bench_train_cmd.register(bench)
    app.add_typer(bench, name="bench")


def _root() -> None:
    pass


def loop(
    demo: Annotated[Path, typer.Option(help="A finished demo project.")] = Path("demo-site"),
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Training seeds a side.")] = 5,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Before against after the demo's review, with several training seeds a side."""
    from curate.bench.loop import bench_loop

    with progress_bar() as reporter:
        result = bench_loop(demo, seeds=seeds, reporter=reporter)
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, result.figures)
    else:
        emit_json(result.figures)
