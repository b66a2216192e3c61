"""`curate predict` and `curate export-model`: use a trained detector, here and elsewhere."""

from __future__ import annotations

import re
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
    progress_bar,
)
from curate.errors import ConfigError

__all__ = ["register"]

RunOption = Annotated[str | None, typer.Option(help="Training run; default: the one finished last.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=example(
            "curate predict footage.mp4 --video found.mp4",
            "curate predict images/ --coco found.json --score 0.05",
            "curate predict rtsp://camera/live --video found.mp4 --seconds 60",
        )
    )(predict)
    app.command("export-model", epilog=example("curate export-model detector/"))(export_model)


def predict(
    source: Annotated[
        str, typer.Argument(help="Video, folder of images, image, or a stream's address (rtsp, http, ...).")
    ],
    video: Annotated[Path | None, typer.Option(help="MP4 to write, detections drawn in.")] = None,
    coco: Annotated[
        Path | None, typer.Option(help="COCO results to write; ids are explained in a file beside it.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Training run, or `generic` for the bundled detector; default: the one finished last."
        ),
    ] = None,
    score: Annotated[
        float | None, typer.Option(min=0.01, max=0.99, help="Lowest score; default: evaluation.score.")
    ] = None,
    masks: Annotated[bool, typer.Option(help="Also predict masks.")] = False,
    every_n: Annotated[int, typer.Option(min=1, help="Take every n-th picture.")] = 1,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so much footage.")] = None,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Detect on footage. Ctrl+C ends it early and keeps what was seen: a stream has no other end."""
    from curate.workflows.predict import predict as work

    opened = open_project(project)
    with progress_bar() as reporter:
        report = work(
            opened,
            source,
            run=run,
            video=video,
            coco=coco,
            score=score,
            masks=masks,
            every_n=every_n,
            most_seconds=seconds,
            reporter=reporter,
        )
    if as_json:
        emit_json(report)
        return
    ended = " (stopped)" if report.stopped else ""
    console.print(
        f"{report.detections} detections on {report.pictures} pictures{ended}, {report.ms_per_picture:.1f} ms a "
        f"picture, by run {report.run}: {', '.join(report.files)}",
        markup=False,
        soft_wrap=True,
    )


def export_model(
    folder: Annotated[Path, typer.Argument(help="Folder to write into.")],
    run: RunOption = None,
    frame_size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT of the frames; default: that of the project's frames.")
    ] = None,
    masks: Annotated[bool, typer.Option(help="With masks, where the detector has some.")] = True,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write the detector as ONNX with a signature, to run anywhere without torch (docs/deploy.md)."""
    from curate.workflows.export_model import export_model as work

    report = work(open_project(project), folder, run=run, frame_size=_size(frame_size), masks=masks)
    if as_json:
        emit_json(report)
        return
    files = ", ".join(report.files)
    console.print(f"run {report.run} in {report.folder}: {files}", markup=False, soft_wrap=True)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not all(re.fullmatch(r"[1-9][0-9]{0,4}", side) for side in (width, height)):
        raise ConfigError(f"expected WIDTHxHEIGHT such as 1920x1080, got {text!r}", item="--frame-size")
    return int(width), int(height)
