"""The project's database, and its pictures if wanted, into one file and back."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import ConflictError, FormatError, ImageError, ProjectError
from curate.store import BACKUP_FILE, Role, backup_rows, read_backup_head
from curate.workflows.database import file_digest
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project

__all__ = ["BackupReport", "backup", "restore"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class BackupReport:
    """A backup that was written or read.

    Attributes:
        path: The file.
        rows: Rows of the database.
        frames: Pictures that it holds.
        sha256: Of the file.
        elsewhere: The place of the pictures, when the backup holds none of them.
    """

    path: Path
    rows: int
    frames: int
    sha256: str = ""
    elsewhere: str = ""


def backup(
    project: Project, file: Path | None = None, *, frames: bool = False, reporter: Reporter | None = None
) -> BackupReport:
    """Write the database, as it is at one moment, into one file; reviewers go on meanwhile.

    Args:
        project: The project.
        file: Written whole or not at all; by default .crossguard/backups/<time>.zip.
        frames: Also the frames' pictures, wherever they lie, and site.yaml. The options by which a remote place
            is reached are never copied.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        ProjectError: The file cannot be written.
        ConflictError: There is a file already.
    """
    project.expect_role(Role.REVIEWER)
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    file = (file or project.backups_dir / f"{name}.zip").absolute()
    if file.exists():
        raise ConflictError("there is a file already", file=file, hint="choose another name")
    partial = file.with_name(f".{file.name}.tmp")
    pictures = 0
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            progress.update(0.0, "the database")
            head = project.store.write_tables(archive)
            if frames:
                archive.write(project.root / "site.yaml", "site.yaml")
                total = head["tables"]["frames"]["rows"]
                for frame in project.store.each_frame():
                    place, content = f"frames/{frame.path}", project.frame_files.read(frame)
                    archive.writestr(place, content, zipfile.ZIP_STORED)
                    pictures += 1
                    progress.update(0.3 + 0.6 * pictures / total, f"frame {pictures} of {total}")
            archive.writestr(BACKUP_FILE, json.dumps(head))
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(file)
    except OSError as error:
        raise ProjectError(f"the backup cannot be written: {error.strerror or error}", file=file) from error
    finally:
        partial.unlink(missing_ok=True)
    digest = file_digest(file)
    project.store.note_backup(str(file), digest)
    progress.update(1.0, "done")
    rows = sum(table["rows"] for table in head["tables"].values())
    return BackupReport(file, rows, pictures, digest, "" if frames else project.frame_files.shown)


def restore(
    project: Project, file: Path, *, replace: bool = False, reporter: Reporter | None = None
) -> BackupReport:
    """Fill the project's database from a backup, and put pictures that it holds where they are missing.

    Every table and every picture is read and compared with its SHA-256 before anything is changed. The pictures are
    written first: until the database names them, they are files that nothing reads.

    Args:
        project: The project.
        file: From `backup`, of this version of Crossguard or an earlier one, from SQLite or PostgreSQL.
        replace: Drop what is in the database; a backup of it is made first.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is not an owner.
        FormatError: Not a backup, or a damaged one; nothing is changed.
        ConflictError: The database is not empty, and `replace` is false.
        ProjectError: A picture cannot be written; the database is as it was.
    """
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    project.expect_role(Role.OWNER)
    store = project.store
    try:
        with zipfile.ZipFile(file) as archive:
            head = read_backup_head(archive)
            if not replace:
                store.expect_empty()
            missing = _missing_pictures(project, archive, head, progress)
            if replace:
                backup(project, project.backups_dir / f"before-restore-{time.time_ns()}.zip")
            written: list[str] = []
            try:
                for number, (entry, frame_id) in enumerate(missing.items()):
                    written.append(frame_id)
                    project.frame_files.write(entry.removeprefix("frames/"), archive.read(entry))
                    progress.update(0.5 + 0.3 * number / len(missing), f"picture {number} of {len(missing)}")
                rows = _replace_tables(project, archive, replace=replace)
            except BaseException:
                project.frame_files.erase(written)
                raise
    except (OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"not a backup that can be read: {error}", file=file) from error
    store.set_site(project.config.classes, project.config.labels.working)
    progress.update(1.0, "done")
    return BackupReport(file, rows, len(missing))


def _missing_pictures(
    project: Project, archive: zipfile.ZipFile, head: dict[str, Any], progress: SubReporter
) -> dict[str, str]:
    """Entry of the backup -> id of the frame whose picture is missing; all tables and those pictures are whole."""
    for name in head["tables"]:
        if name != "frames":
            for _ in backup_rows(archive, head, name):
                pass
    buried = project.store.tombstones("frame")
    entries = set(archive.namelist())
    missing: dict[str, str] = {}
    for number, row in enumerate(backup_rows(archive, head, "frames")):
        entry = f"frames/{row['path']}"
        if entry not in entries or row["id"] in buried:
            continue
        try:
            if project.frame_files.exists(str(row["path"])):
                continue
        except ImageError as error:
            raise FormatError(
                "a picture in the backup belongs outside the project", file=archive.filename, item=row["name"]
            ) from error
        if _entry_digest(archive, entry) != row["sha256"]:
            raise FormatError("a picture in the backup is damaged", file=archive.filename, item=row["name"])
        missing[entry] = str(row["id"])
        progress.update(
            0.5 * number / max(1, head["tables"]["frames"]["rows"]), f"read {len(missing)} pictures"
        )
    return missing


def _entry_digest(archive: zipfile.ZipFile, entry: str) -> str:
    """SHA-256 (hex) of a file in the backup; "" when it cannot be unpacked."""
    digest = hashlib.sha256()
    try:
        with archive.open(entry) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return ""
    return digest.hexdigest()


def _replace_tables(project: Project, archive: zipfile.ZipFile, *, replace: bool) -> int:
    """The tables of the backup instead of what is there, in one transaction; how many rows."""
    store = project.store
    known, buried = store.backups(), store.tombstone_rows()
    with store.begin():
        rows = store.read_tables(archive, replace=replace)
        for path, digest in known.items():  # A purge must still find those written since.
            store.note_backup(path, digest)
        store.bury_again(buried)
    return rows
