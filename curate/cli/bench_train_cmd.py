"""`curate bench train`, `detect` and `null`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli.common import console, emit_json, example, progress_bar
from curate.errors import ConfigError

__all__ = ["register"]

FolderOption = Annotated[
    Path | None, typer.Option("--project", help="Project with a frozen gold set; default: the sample.")
]
SourceOption = Annotated[
    str | None,
    typer.Option(help="Label source to train on; default: the sample's reviewed, or the working source."),
]
CacheOption = Annotated[
    Path, typer.Option(help="What was trained is kept here, by content; a run that was cut off goes on.")
]
_CACHE = Path("bench-cache")
FileOption = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]


def register(bench: typer.Typer) -> None:
    """Add the commands."""
    bench.command(epilog=example("curate bench train --json train.json"))(train)
    bench.command(
        epilog=example(
            "curate bench detect --json detect.json",
            "curate bench detect --minutes 1 --ablations background,paste",
            "curate bench detect --minutes 3 --seeds 5",
        )
    )(detect)
    bench.command(epilog=example("curate bench null --seeds 5 --pool 12"))(null)


def train(
    steps: Annotated[int, typer.Option(min=1, help="Timed steps of a round.")] = 20,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds of each loop, by turns; the better one counts.")
    ] = 3,
    frames: Annotated[
        str, typer.Option(help="Sizes of the data set for the growth table.")
    ] = "500,2000,8000",
    minutes: Annotated[
        float, typer.Option(min=0, help="Of training by each loop for the time to AP; 0: leave it out.")
    ] = 2.0,
    project: FolderOption = None,
    source: SourceOption = None,
    cache: CacheOption = _CACHE,
    json_file: FileOption = None,
) -> None:
    """Images a second and time to AP against torchvision's reference loop: same network, data, machine, one run."""
    from curate.bench.kept import Kept
    from curate.bench.train import bench_train, train_markdown
    from curate.bench.train_data import train_data
    from curate.workflows.progress import SubReporter

    sizes = [int(value) for value in _numbers(frames, "--frames")]
    with train_data(project, source) as data, progress_bar() as reporter:
        figures = bench_train(
            data,
            Kept(cache),
            steps=steps,
            rounds=rounds,
            frames=sizes,
            minutes=minutes,
            reporter=SubReporter(reporter, 0.0, 1.0),
        )
    _tell(train_markdown(figures), figures, json_file)


def detect(
    minutes: Annotated[str, typer.Option(help="Training budgets.")] = "1,3,5,15",
    ablations: Annotated[
        str, typer.Option(help="Of background, paste, scratch, mirror, anchors; each at the smallest budget.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds of ours at each budget.")] = 1,
    project: FolderOption = None,
    source: SourceOption = None,
    cache: CacheOption = _CACHE,
    json_file: FileOption = None,
) -> None:
    """Accuracy on gold, milliseconds and memory: the generic detector, torchvision's FCOS fine-tuned, ours."""
    from curate.bench.detect import bench_detect, detect_markdown
    from curate.bench.kept import Kept
    from curate.bench.train_data import train_data
    from curate.workflows.progress import SubReporter

    names = [name.strip() for name in ablations.split(",") if name.strip()]
    budgets = _numbers(minutes, "--minutes")
    with train_data(project, source) as data, progress_bar() as reporter:
        whole = SubReporter(reporter, 0.0, 1.0)
        found = bench_detect(data, Kept(cache), minutes=budgets, ablations=names, reporter=whole, seeds=seeds)
    _tell(detect_markdown(found), asdict(found), json_file)


def null(
    comparisons: Annotated[int, typer.Option(min=1, help="Random splits of the seeds into two sides.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds a side.")] = 5,
    pool: Annotated[int, typer.Option(min=2, help="Seeds trained in all.")] = 12,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 40,
    project: FolderOption = None,
    source: SourceOption = None,
    cache: CacheOption = _CACHE,
    json_file: FileOption = None,
) -> None:
    """False claims of comparisons between detectors that differ by their training seed only."""
    from curate.bench.kept import Kept
    from curate.bench.null import bench_null, null_markdown
    from curate.bench.train_data import train_data
    from curate.workflows.progress import SubReporter

    with train_data(project, source) as data, progress_bar() as reporter:
        figures = bench_null(
            data,
            Kept(cache),
            comparisons=comparisons,
            seeds=seeds,
            pool=pool,
            steps=steps,
            reporter=SubReporter(reporter, 0.0, 1.0),
        )
    _tell(null_markdown(figures), figures, json_file)


def _numbers(text: str, item: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"expected numbers such as 1,3,5, got {text!r}", item=item) from error
    if any(not 0 < value < 1e6 for value in values):
        raise ConfigError(f"expected numbers above 0, got {text!r}", item=item)
    return values


def _tell(markdown: str, figures: dict[str, Any], json_file: Path | None) -> None:
    console.print(markdown, markup=False, soft_wrap=True)
    if json_file is None:
        emit_json(figures)
        return
    from curate.workflows.files import write_json

    write_json(json_file, figures)
