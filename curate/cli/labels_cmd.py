"""`curate import`, `curate export`, `curate formats` and `curate prelabel`."""

from __future__ import annotations

from enum import StrEnum
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
from curate.errors import ConfigError
from curate.formats.describe import formats_markdown, losses, losses_help
from curate.formats.registry import FORMATS

__all__ = ["register"]

_READ = [name for name, entry in FORMATS.items() if entry.read]
_WRITTEN = [name for name, entry in FORMATS.items() if entry.write]

SourceOption = Annotated[
    str | None, typer.Option("--source", help="Label source; default: the working source.")
]


class OnErrorChoice(StrEnum):
    """`curate import --on-error`."""

    FAIL = "fail"
    SKIP = "skip"
    QUARANTINE = "quarantine"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "import",
        epilog=example(
            "curate import coco labels.json --source cheap",
            "curate import auto export.zip --dry-run",
            "curate import cvat-video tracks.xml --clip morning --map vehicle=car --map bus=",
        ),
    )(import_labels)
    app.command(
        "export",
        help="Write labels to a file or folder; the same labels always give the same bytes.\n\n"
        "What a format has no place for is lost:\n\n" + losses_help(),
        epilog=example("curate export coco out.json --source cheap", "curate export yolo out --images"),
    )(export_labels)
    app.command(epilog=example("curate formats", "curate formats --markdown"))(formats)
    app.command(epilog=example("curate prelabel", "curate prelabel --source nanodet --score 0.2"))(prelabel)


def import_labels(
    format_name: Annotated[
        str, typer.Argument(metavar="FORMAT", help="auto, or one of: " + ", ".join(_READ) + ".")
    ],
    path: Annotated[Path, typer.Argument(help="File, folder or .zip.")],
    source: SourceOption = None,
    clip: Annotated[
        str | None,
        typer.Option(help="For formats that count frames: the recording; default: the only one."),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="CLASS OF THE FILE=class of this site, nothing after = to leave it out; "
            "'vehicle[type=truck]=truck' where an attribute decides. Repeat for more.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="For coco-results: the COCO file of their images.")
    ] = None,
    on_error: Annotated[
        OnErrorChoice,
        typer.Option(
            help="Broken items: refuse the file, leave them out and report them, or also note them in the "
            "project's quarantine (see `curate status`)."
        ),
    ] = OnErrorChoice.FAIL,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would happen, change nothing.")
    ] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Bring labels in from a file, as a source of their own; other sources are never touched."""
    from curate.workflows.labels import import_labels as work

    label_map: dict[str, str | None] = {}
    for entry in mapping or []:
        name, equals, target = entry.rpartition("=")
        if not (name and equals):
            raise ConfigError(f"expected LABEL=CLASS, got {entry!r}", item="--map")
        label_map[name] = target or None
    report = work(
        open_project(project),
        path,
        format=format_name,
        source=source,
        clip=clip,
        label_map=label_map,
        images=images,
        on_error=on_error.value,
        dry_run=dry_run,
    )
    if as_json:
        emit_json(report)
        return
    console.print(str(report), markup=False)


def export_labels(
    format_name: Annotated[
        str, typer.Argument(metavar="FORMAT", help="One of: " + ", ".join(_WRITTEN) + ".")
    ],
    path: Annotated[Path, typer.Argument(help="File to write, or a new folder.")],
    source: SourceOption = None,
    version: Annotated[str | None, typer.Option(help="Export this dataset version instead.")] = None,
    clip: Annotated[str | None, typer.Option(help="Only frames of this recording.")] = None,
    images: Annotated[bool, typer.Option("--images", help="Copy the images too, for folders.")] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Replaced by the help text above."""
    from curate.workflows.label_export import export_labels as work

    frames, labels = work(
        open_project(project),
        path,
        format=format_name,
        source=source,
        version=version,
        clip=clip,
        images=images,
    )
    lost = losses(FORMATS[format_name])
    if as_json:
        emit_json({"format": format_name, "frames": frames, "labels": labels, "path": path, "lost": lost})
        return
    console.print(
        f"wrote {labels} labels on {frames} frames to {path}; the format loses: {lost}", markup=False
    )


def formats(
    markdown: Annotated[bool, typer.Option("--markdown", help="As in docs/formats.md.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the label formats, and what each of them loses."""
    if as_json:
        emit_json(
            {
                entry.name: {
                    "title": entry.title,
                    "layout": entry.layout,
                    "reads": entry.read is not None,
                    "writes": entry.write is not None,
                    "keeps": entry.keeps,
                    "notes": entry.notes,
                }
                for entry in FORMATS.values()
            }
        )
        return
    if markdown:
        typer.echo(formats_markdown(), nl=False)
        return
    rows = [
        [entry.name, entry.title, "in" if entry.read else "", "out" if entry.write else "", losses(entry)]
        for entry in FORMATS.values()
    ]
    print_table("label formats", ["name", "what it is", "", "", "loses"], rows)


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
