"""`curate bench blur`: whom the blurring at ingest would reach."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import ProjectOption, console, emit_json, example, open_project, progress_bar
from curate.config import Blur
from curate.errors import ConfigError

__all__ = ["register"]

_SETTINGS: tuple[Blur, ...] = ("heads_and_plates", "people_and_vehicles")


def register(bench: typer.Typer) -> None:
    """Add the command."""
    bench.command(epilog=example("curate bench blur --source gold"))(blur)


def blur(
    source: Annotated[str, typer.Option(help="Labels that hold everybody.")] = "gold",
    setting: Annotated[
        str, typer.Option(help="heads_and_plates or people_and_vehicles.")
    ] = "heads_and_plates",
    project: ProjectOption = Path(),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Which share of labelled heads and plates `privacy.blur` covers, on this project's clear pictures."""
    settings: dict[str, Blur] = {name: name for name in _SETTINGS}
    if setting not in settings:
        raise ConfigError(f"expected {' or '.join(settings)}, got {setting!r}", item="--setting")
    from curate.bench.blur import bench_blur

    opened = open_project(project)
    with progress_bar() as reporter:
        result = bench_blur(opened, source=source, setting=settings[setting], reporter=reporter)
    console.print(result.markdown, markup=False, soft_wrap=True)
    if json_file is not None:
        from curate.workflows.files import write_json

        write_json(json_file, asdict(result))
    else:
        emit_json(asdict(result))
