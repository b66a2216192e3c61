"""`curate import`, `curate export` and `curate prelabel`."""

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
    progress_bar,
)
from curate.errors import ConfigError

__all__ = ["register"]

SourceOption = Annotated[
    str | None, typer.Option("--source", help="Label source; default: the working source.")
]
SkipOption = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave broken items out and report them, instead of refusing the file."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    importer = typer.Typer(
        no_args_is_help=True, help="Bring labels in from a file, as a source of their own."
    )
    importer.command("coco", epilog=example("curate import coco labels.json --source cheap"))(import_coco)
    importer.command(
        "cvat", epilog=example("curate import cvat tracks.xml --clip morning --map vehicle=car")
    )(import_cvat)
    app.add_typer(importer, name="import")
    exporter = typer.Typer(no_args_is_help=True, help="Write labels to a file.")
    exporter.command("coco", epilog=example("curate export coco out.json --source cheap"))(export_coco)
    app.add_typer(exporter, name="export")
    app.command(epilog=example("curate prelabel", "curate prelabel --source nanodet --score 0.2"))(prelabel)


def import_coco(
    file: Annotated[
        Path, typer.Argument(help="COCO JSON; its file_name is matched with the ingested frames.")
    ],
    source: SourceOption = None,
    skip_bad: SkipOption = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Import COCO annotations (boxes, polygons, RLE)."""
    from curate.workflows.labels import import_coco as work

    _report(work(open_project(project), file, source=source, skip_bad=skip_bad), as_json)


def import_cvat(
    file: Annotated[Path, typer.Argument(help="CVAT 'for video' XML.")],
    clip: Annotated[
        str | None, typer.Option(help="Recording that the tracks belong to; default: the only one.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="CVAT label=class of this site; repeat for more.")
    ] = None,
    source: SourceOption = None,
    skip_bad: SkipOption = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Import CVAT video tracks; boxes between keyframes are interpolated."""
    from curate.workflows.labels import import_cvat as work

    label_map = {}
    for entry in mapping or []:
        name, equals, target = entry.partition("=")
        if not (name and equals and target):
            raise ConfigError(f"expected LABEL=CLASS, got {entry!r}", item="--map")
        label_map[name] = target
    opened = open_project(project)
    _report(work(opened, file, clip=clip, label_map=label_map, source=source, skip_bad=skip_bad), as_json)


def export_coco(
    file: Annotated[Path, typer.Argument(help="File to write.")],
    source: SourceOption = None,
    version: Annotated[str | None, typer.Option(help="Export this dataset version instead.")] = None,
    project: ProjectOption = Path(),
) -> None:
    """Export labels as COCO; the same labels always give the same bytes."""
    from curate.workflows.labels import export_coco as work

    frames, labels = work(open_project(project), file, source=source, version=version)
    console.print(f"wrote {labels} labels on {frames} frames to {file}", markup=False)


def prelabel(
    source: SourceOption = None,
    score: Annotated[float | None, typer.Option(min=0.01, max=0.99, help="Lowest score kept.")] = None,
    masks: Annotated[bool, typer.Option(help="Also outline each box with the segmenter.")] = True,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Label frames with the bundled generic detector and segmenter, as a source of their own."""
    from curate.workflows.prelabel import prelabel as work

    opened = open_project(project)
    with progress_bar() as reporter:
        report = work(opened, source=source, score=score, masks=masks, reporter=reporter)
    if as_json:
        emit_json(report)
        return
    skipped = f" ({report.skipped} had some already)" if report.skipped else ""
    console.print(f"{report.labels} labels on {report.frames} frames{skipped}", markup=False)


def _report(report: object, as_json: bool) -> None:
    if as_json:
        emit_json(report)
        return
    console.print(str(report), markup=False)
