"""`curate bench label-errors`: seeded label errors, ours against the best known tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import console, errors, example, plain, progress_bar

__all__ = ["register"]


def register(bench: typer.Typer) -> None:
    """Add the command."""
    bench.command(
        epilog=example(
            "curate bench label-errors --data sample --cache bench-cache",
            "curate bench label-errors --data labels.json --frames images --tools ours",
        )
    )(label_errors)


def label_errors(
    data: Annotated[
        str, typer.Option(help="sample, synth, or a COCO or CVAT file, or a folder that holds such files.")
    ] = "sample",
    frames: Annotated[
        Path | None, typer.Option(help="Folder of its pictures or recordings; default: beside the labels.")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Of the injection; give it several times. Default: 0, 1, 2."),
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            help="Share of the labels: one number, or missing=0.03,spurious=0.02,... Default: 12 % in all."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each detector.")] = 80,
    tools: Annotated[str, typer.Option(help="Out of ours, cleanlab, fiftyone.")] = "ours,cleanlab,fiftyone",
    cache: Annotated[
        Path, typer.Option(help="Everything that takes time is kept here, by content; the next run goes on.")
    ] = Path("bench-cache"),
    peers: Annotated[
        Path, typer.Option(help="Environments of the other tools; benchmarks/setup_peers.sh makes them.")
    ] = Path(".peers"),
    max_frames: Annotated[
        int, typer.Option(min=12, help="Thin a data set of yours out to so many frames; render so many.")
    ] = 160,
    recover: Annotated[
        bool, typer.Option(help="Train on clean, noisy and reviewed labels and judge on gold.")
    ] = True,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also remove each evidence family in turn.")
    ] = False,
    natural: Annotated[
        bool, typer.Option("--natural", help="Also judge the sample's own cheap labels by the reviewed ones.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Seeded label errors, found by our finders and by the best known tools on the same predictions."""
    from curate.bench.label_errors import (
        LabelErrorsSettings,
        bench_label_errors,
        parse_rates,
        parse_tools,
    )

    settings = LabelErrorsSettings(
        data=data,
        frames=frames,
        seeds=tuple(seed or (0, 1, 2)),
        rates=parse_rates(rates),
        steps=steps,
        tools=parse_tools(tools),
        cache=cache,
        peers=peers,
        max_frames=max_frames,
        recover=recover,
        ablate=ablate,
        natural=natural,
    )
    with progress_bar() as reporter:
        result = bench_label_errors(
            settings, reporter=reporter, say=lambda text: errors.print(text, markup=False, soft_wrap=True)
        )
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, plain(result.figures))
