"""`curate db`: check, back up, restore and upgrade the database."""

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
    progress_bar,
)
from curate.errors import StoreError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    db = typer.Typer(no_args_is_help=True, help="Care of the database and the files beside it.")
    db.command(epilog=example("curate db check", "curate db check --repair"))(check)
    db.command(epilog=example("curate db backup", "curate db backup week.zip --frames"))(backup)
    db.command(epilog=example("curate db restore week.zip"))(restore)
    db.command(epilog=example("curate db upgrade"))(upgrade)
    db.command(epilog=example("curate db log --limit 20"))(log)
    app.add_typer(db, name="db")


def check(
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read the pictures and labels again.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what can be made again; never touches labels.")
    ] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Name every broken reference, missing file and hash that does not match; exit code 1 if there is one."""
    from curate.workflows.database import check as work

    with progress_bar() as reporter:
        report = work(open_project(project), hashes=not quick, repair=repair, reporter=reporter)
    if as_json:
        emit_json({"clean": report.clean, **vars(report)})
    else:
        for line in report.repaired:
            console.print(f"repaired: {line}", markup=False)
        for finding in report.findings:
            style = "yellow" if finding.harmless else "red"
            hint = f" ({finding.hint})" if finding.hint else ""
            console.print(
                f"{finding.code}: {finding.item}: {finding.message}{hint}", markup=False, style=style
            )
        console.print(f"looked at {report.frames} frames and {report.versions} versions", markup=False)
    if not report.clean:
        broken = sum(not finding.harmless for finding in report.findings)
        raise StoreError(f"{broken} things are broken", file=open_project(project).root)


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="File to write; default: .crossguard/backups/<time>.zip.")
    ] = None,
    frames: Annotated[bool, typer.Option("--frames", help="Also the pictures and site.yaml.")] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write the database into one file while everybody works on; fits SQLite and PostgreSQL."""
    from curate.workflows.backup import backup as work

    with progress_bar() as reporter:
        report = work(open_project(project), file, frames=frames, reporter=reporter)
    if as_json:
        emit_json(report)
        return
    console.print(f"wrote {report.rows} rows and {report.frames} pictures to {report.path}", markup=False)
    if report.elsewhere:
        console.print(
            f"the pictures are not copied (--frames does it); they lie in {report.elsewhere}", markup=False
        )


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop what is in the database; it is backed up first.")
    ] = False,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Fill the database from a backup: all of it, or nothing."""
    from curate.workflows.backup import restore as work

    opened = open_project(project)
    with progress_bar() as reporter:
        report = work(opened, file, replace=replace, reporter=reporter)
    if as_json:
        emit_json(report)
        return
    console.print(f"restored {report.rows} rows and {report.frames} pictures", markup=False)


def upgrade(project: ProjectOption = Path()) -> None:
    """Bring the database to the schema of this version; other commands do it by themselves, without the copy."""
    from curate.workflows.database import upgrade as work

    before, after = work(open_project(project), say=lambda text: console.print(text, markup=False))
    if before == after:
        console.print(f"the schema is up to date ({after})", markup=False)
    else:
        console.print(f"schema {before or 'none'} is now {after}", markup=False)


def log(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    who: Annotated[str | None, typer.Option(help="Only changes of this person.")] = None,
    item: Annotated[str | None, typer.Option(help="Only changes of this frame, issue, user, ...")] = None,
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Who changed what, the newest first."""
    entries = open_project(project).store.audit_log(limit, actor=who, item=item)
    if as_json:
        emit_json(entries)
        return
    rows = [
        [
            datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%d %H:%M:%S"),
            entry.actor,
            entry.action,
            entry.item[:32],
            " ".join(f"{key}={value}" for key, value in entry.detail.items())[:60],
        ]
        for entry in entries
    ]
    print_table("changes", ["when (UTC)", "who", "what", "on", ""], rows)
