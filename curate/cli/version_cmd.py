"""`curate version`: immutable dataset versions."""

from __future__ import annotations

from datetime import UTC, datetime
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
)
from curate.versions import diff_versions, get_version, list_versions
from curate.workflows.snapshot import snapshot

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    version = typer.Typer(
        no_args_is_help=True, help="Fixed states of the labels, to train on and to compare."
    )
    version.command(epilog=example("curate version create --note 'after the first review'"))(create)
    version.command("list", epilog=example("curate version list"))(list_all)
    version.command(epilog=example("curate version show 3f2a"))(show)
    version.command(epilog=example("curate version diff 3f2a 9c1b"))(diff)
    app.add_typer(version, name="version")


def create(
    note: Annotated[str, typer.Option(help="What it is.")] = "", project: ProjectOption = Path()
) -> None:
    """Fix the labels as they are now; the same content gives the same version."""
    made = snapshot(open_project(project), note=note)
    console.print(
        f"version {made.id}: {len(made.manifest.splits)} frames, {len(made.manifest.annotations)} labels",
        markup=False,
    )


def list_all(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """List the versions, oldest first."""
    records = list_versions(open_project(project).store)
    if as_json:
        emit_json(records)
        return
    rows = [
        [
            entry.id,
            datetime.fromtimestamp(entry.created_at, UTC).strftime("%Y-%m-%d %H:%M"),
            entry.frames,
            entry.labels,
            entry.note,
        ]
        for entry in records
    ]
    print_table("versions", ["id", "made (UTC)", "frames", "labels", "note"], rows)


def show(
    version: Annotated[str, typer.Argument(help="Id, or a beginning that fits one only.")],
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Show one version."""
    found = get_version(open_project(project).store, version)
    if as_json:
        emit_json(found)
        return
    manifest = found.manifest
    rows: list[list[object]] = [
        ["id", found.id],
        ["content hash", found.content_hash],
        ["parent", found.parent],
        ["frames", len(manifest.splits)],
        ["labels", len(manifest.annotations)],
        ["source", manifest.source],
        ["classes", ", ".join(manifest.classes)],
        ["by", found.created_by],
        ["note", found.note],
    ]
    print_table(f"version {found.id}", ["what", "value"], rows)


def diff(
    before: Annotated[str, typer.Argument(help="The older version.")],
    after: Annotated[str, typer.Argument(help="The newer version.")],
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """What changed between two versions."""
    store = open_project(project).store
    found = diff_versions(store, get_version(store, before), get_version(store, after))
    if as_json:
        emit_json(found)
        return
    rows = [
        [name, counts["added"], counts["removed"], counts["changed"]]
        for name, counts in found.labels_by_class().items()
    ]
    print_table(f"{found.before} to {found.after}", ["class", "added", "removed", "changed"], rows)
    console.print(
        f"frames: {len(found.frames_added)} added, {len(found.frames_removed)} removed", markup=False
    )
