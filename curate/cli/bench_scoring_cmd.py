"""`curate bench scoring`: how fast the finders are by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, errors, example, progress_bar

__all__ = ["register"]


def register(bench: typer.Typer) -> None:
    """Add the command."""
    bench.command(epilog=example("curate bench scoring", "curate bench scoring --frames 1000 --json s.json"))(
        scoring
    )


def scoring(
    frames: Annotated[
        list[int] | None, typer.Option(min=1, help="Frames; may be given again. [1000 10000 100000]")
    ] = None,
    masks: Annotated[int, typer.Option(min=0, help="So many masks apart; 0 = none.")] = 1000,
    rerank: Annotated[int, typer.Option(min=0, help="So many labels ranked again; 0 = none.")] = 100_000,
    peers: Annotated[Path, typer.Option(help="Environments of the other tools.")] = Path(".peers"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Scoring alone on synthetic predictions: seconds, memory, growth, and the ratio to cleanlab."""
    from curate.bench.scoring import SIZES, bench_scoring

    with progress_bar() as reporter:
        result = bench_scoring(
            sizes=frames or SIZES,
            masks=masks,
            decided=rerank,
            peers=peers,
            reporter=reporter,
            say=lambda text: errors.print(text, markup=False, soft_wrap=True),
        )
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, result.figures)
