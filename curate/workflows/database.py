"""Care of a project's database and files: check, backup, restore, upgrade."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import Frame
from curate.errors import ConflictError, CurateError, FormatError, ProjectError
from curate.store import BACKUP_FILE, Finding, GoldState, Store, read_backup_head
from curate.versions import get_version, list_versions, load_version_annotations
from curate.versions.versions import manifest_digest, rewrite_manifest
from curate.workflows.files import write_atomically
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project

__all__ = [
    "BackupReport",
    "CheckReport",
    "backup",
    "check",
    "file_digest",
    "restore",
    "sqlite_copies",
    "upgrade",
]

_PAGE = 2000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        findings: Everything that is not as it should be.
        frames: Frames looked at.
        versions: Versions looked at.
        repaired: What `repair` put right, in sentences.
    """

    findings: tuple[Finding, ...]
    frames: int
    versions: int
    repaired: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is lost or broken; harmless findings do not count."""
        return all(finding.harmless for finding in self.findings)


@dataclass(frozen=True)
class BackupReport:
    """A backup that was written or read: where, rows of the database, files of frames."""

    path: Path
    rows: int
    frames: int
    sha256: str = ""


def check(
    project: Project, *, hashes: bool = True, repair: bool = False, reporter: Reporter | None = None
) -> CheckReport:
    """Read the whole project and name every broken reference, missing file and hash that does not match.

    Args:
        project: The project.
        hashes: Also read every frame and every version's labels, and compare their digests.
        repair: Put right what can be made again: counts, manifest files, leftovers of a crash.
        reporter: Told how far it is.
    """
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    progress.update(0.0, "reading the database")
    repaired: list[str] = []
    findings = project.store.check_database()
    if repair and any(finding.code == "tally" for finding in findings):
        project.store.recount()
        findings = project.store.check_database()
        repaired.append("issues and labels counted again")
    if any(finding.code in ("schema", "damaged") for finding in findings):
        return CheckReport(tuple(findings), 0, 0, tuple(repaired))
    frames = 0
    total, _ = project.store.frame_counts()
    for frame in _every_frame(project):
        findings += _check_frame(project, frame, hashes)
        frames += 1
        if frames % 100 == 0:
            progress.update(0.1 + 0.6 * frames / total, f"frame {frames} of {total}")
    progress.update(0.7, "versions, gold, runs")
    versions = 0
    for record in list_versions(project.store):
        findings += _check_version(project, record.id, hashes, repair, repaired)
        versions += 1
    findings += [*_check_gold(project), *_check_runs(project), *_check_backups(project, hashes)]
    findings += [*_check_artifacts(project), *_check_purged(project)]
    findings += _check_leftovers(project, repair, repaired)
    progress.update(1.0, f"{len(findings)} findings")
    return CheckReport(tuple(findings), frames, versions, tuple(repaired))


def _every_frame(project: Project) -> Iterator[Frame]:
    page: list[Frame] = project.store.frames_page(_PAGE)
    while page:
        yield from page
        page = project.store.frames_page(_PAGE, after=page[-1])


def _check_frame(project: Project, frame: Frame, hashes: bool) -> Iterator[Finding]:
    path = project.frame_path(frame)
    item = f"frame {frame.name}"
    hint = "restore a backup with frames, or ingest its recording again"
    if not path.is_file():
        yield Finding("file_missing", item, f"its picture is not there: {frame.path}", hint)
    elif hashes and file_digest(path) != frame.sha256:
        yield Finding("file_hash", item, f"its picture was changed: {frame.path}", hint)
    if not frame.sha256.startswith(frame.id):
        yield Finding("reference", item, "its id is not the beginning of its SHA-256")


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _check_version(
    project: Project, version_id: str, hashes: bool, repair: bool, repaired: list[str]
) -> Iterator[Finding]:
    item = f"version {version_id}"
    store = project.store
    try:
        version = get_version(store, version_id)
        if hashes:
            gone = store.tombstones("label")
            held = {key: number for key, number in version.manifest.annotations.items() if key not in gone}
            if len(held) == len(version.manifest.annotations):
                if store.labels_digest(held) != version.manifest.labels_hash:
                    yield Finding("version_hash", item, "its labels are not what they were")
            else:
                load_version_annotations(store, version)
    except CurateError as error:
        yield Finding("version", item, str(error), "restore a backup")
        return
    frames = set(version.manifest.splits)
    missing = frames - set(store.frames_excluded(frames)) - store.tombstones("frame")
    if missing:
        yield Finding("reference", item, f"{len(missing)} of its frames are not there: {min(missing)}, ...")
    file = project.versions_dir / f"{version_id}.json"
    there = file.is_file()
    if there and (not hashes or file_digest(file) == manifest_digest(version)):
        return
    if repair:
        rewrite_manifest(version, project.versions_dir)
        repaired.append(f"manifest file of version {version_id} written again")
        return
    hint = "`curate db check --repair` writes it again"
    if there:
        yield Finding("file_hash", item, "its manifest file was changed (the database has it whole)", hint)
    else:
        message = "its manifest file is not there (the database has it)"
        yield Finding("file_missing", item, message, hint, harmless=True)


def _check_gold(project: Project) -> Iterator[Finding]:
    store = project.store
    gone = store.tombstones("label")
    for gold in store.gold_sets():
        frames = set(gold.manifest.get("frames", ()))
        missing = frames - set(store.frames_excluded(frames)) - store.tombstones("frame")
        if missing:
            message = f"{len(missing)} of its frames are not there: {min(missing)}, ..."
            yield Finding("reference", f"gold set {gold.id}", message)
        if gold.state is GoldState.FROZEN:
            labels = {key: number for key, number in gold.manifest["labels"].items() if key not in gone}
            try:
                store.exact_revisions(labels)
            except CurateError as error:
                yield Finding("reference", f"gold set {gold.id}", str(error))


def _check_runs(project: Project) -> Iterator[Finding]:
    for run in project.store.runs():
        folder = project.root / run.path
        if run.state != "done" or run.kind != "train":
            continue
        if not (folder / "detector.json").is_file():
            hint = "`curate train` on its version makes it again"
            yield Finding("file_missing", f"run {run.id}", f"its detector is not there: {run.path}", hint)
    for entry in project.store.evaluations():
        if entry.path and not (project.root / entry.path).is_file():
            message = f"its file is not there: {entry.path}"
            yield Finding(
                "file_missing", f"evaluation {entry.id}", message, "`curate evaluate`", harmless=True
            )


def _check_artifacts(project: Project) -> Iterator[Finding]:
    """A cache that is gone is made again by the next scan."""
    for artifact in project.store.artifact_files():
        if not (project.root / artifact.path).exists():
            item = f"cache {artifact.stage}/{artifact.key}"
            message = f"its file is not there: {artifact.path}"
            yield Finding("file_missing", item, message, "`curate scan` makes it again", harmless=True)


def _check_backups(project: Project, hashes: bool) -> Iterator[Finding]:
    for path, digest in project.store.backups().items():
        file = Path(path)
        hint = "if you moved it, a purge cannot reach it: purge that copy by hand"
        if not file.is_file():
            yield Finding(
                "file_missing", f"backup {file.name}", f"it is not there: {path}", hint, harmless=True
            )
        elif hashes and file_digest(file) != digest:
            yield Finding("file_hash", f"backup {file.name}", "it was changed after it was written")


def _check_purged(project: Project) -> Iterator[Finding]:
    """A purge that was interrupted."""
    for frame_id in sorted(project.store.tombstones("frame")):
        for path in (project.frames_dir / frame_id[:2]).glob(f"{frame_id}.*"):
            hint = "any `curate purge` finishes it; or delete the file"
            yield Finding(
                "purged", f"frame {frame_id}", f"it was purged, but its picture is there: {path}", hint
            )


def _check_leftovers(project: Project, repair: bool, repaired: list[str]) -> Iterator[Finding]:
    """Halves of files that a crash left behind: nothing ever reads them."""
    for file in sorted(project.state_dir.rglob(".*.tmp")):
        if time.time() - file.stat().st_mtime < 60:
            continue  # Somebody may be writing it.
        if repair:
            file.unlink(missing_ok=True)
            repaired.append(f"leftover {file.name} deleted")
            continue
        hint = "`curate db check --repair` deletes it"
        yield Finding("leftover", str(file.relative_to(project.root)), "half a file", hint, harmless=True)


def backup(
    project: Project, file: Path | None = None, *, frames: bool = False, reporter: Reporter | None = None
) -> BackupReport:
    """Write the database, as it is at one moment, into one file; reviewers go on meanwhile.

    Args:
        project: The project.
        file: Written whole or not at all; by default .crossguard/backups/<time>.zip.
        frames: Also the frames' pictures and site.yaml.
        reporter: Told how far it is.

    Raises:
        ProjectError: The file cannot be written.
        ConflictError: There is a file already.
    """
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
                for frame in _every_frame(project):
                    archive.write(project.frame_path(frame), f"frames/{frame.path}", zipfile.ZIP_STORED)
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
    return BackupReport(file, rows, pictures, digest)


def restore(
    project: Project, file: Path, *, replace: bool = False, reporter: Reporter | None = None
) -> BackupReport:
    """Fill the project's database from a backup, and put pictures that it holds where they are missing.

    Args:
        project: The project.
        file: From `backup`, of this version of Crossguard or an earlier one, from SQLite or PostgreSQL.
        replace: Drop what is in the database; a backup of it is made first.
        reporter: Told how far it is.

    Raises:
        FormatError: Not a backup, or a damaged one; nothing is changed. For a damaged picture the database is
            restored already, and the picture is left out.
        ConflictError: The database is not empty, and `replace` is false.
    """
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    pictures = 0
    try:
        with zipfile.ZipFile(file) as archive:
            read_backup_head(archive)
            if replace:
                backup(project, project.backups_dir / f"before-restore-{time.time_ns()}.zip")
            known, buried = project.store.backups(), project.store.tombstone_rows()
            with project.store.begin():
                rows = project.store.read_tables(archive, replace=replace)
                for path, digest in known.items():  # A purge must still find those written since.
                    project.store.note_backup(path, digest)
                project.store.bury_again(buried)
            frames = {frame.path: frame for frame in _every_frame(project)}
            for entry in archive.namelist():
                frame = frames.get(entry.removeprefix("frames/"))
                if frame is None or not entry.startswith("frames/") or project.frame_path(frame).is_file():
                    continue
                if not project.frame_path(frame).resolve().is_relative_to(project.frames_dir.resolve()):
                    raise FormatError(
                        "a picture in the backup belongs outside the project", file=file, item=frame.name
                    )
                data = archive.read(entry)
                if hashlib.sha256(data).hexdigest() != frame.sha256:
                    raise FormatError("a picture in the backup is damaged", file=file, item=frame.name)
                write_atomically(project.frame_path(frame), data)
                pictures += 1
                progress.update(0.5 + 0.5 * pictures / len(frames), f"picture {pictures}")
    except (OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"not a backup that can be read: {error}", file=file) from error
    project.store.set_site(project.config.classes, project.config.labels.working)
    progress.update(1.0, "done")
    return BackupReport(file, rows, pictures)


def upgrade(project: Project, *, say: Callable[[str], None]) -> tuple[str | None, str]:
    """Bring the database to the schema of this program; each step is one transaction with its data.

    A SQLite file is copied first, as it is.

    Returns:
        Its revision before (None for an empty one) and after.
    """
    url = project.database_url
    if url.startswith("sqlite"):
        source = Path(url.partition(":///")[2])
        if source.is_file():
            say(f"copied to {_copy_sqlite(source)}")
    return Store.upgrade(url)


def sqlite_copies(url: str) -> list[Path]:
    """Copies that `upgrade` made of a SQLite database's file; none for another kind of database."""
    source = Path(url.partition(":///")[2])
    return sorted(source.parent.glob(f"{source.stem}-before-*.db")) if url.startswith("sqlite") else []


def _copy_sqlite(source: Path) -> Path:
    import sqlite3
    from contextlib import closing

    target = source.with_name(f"{source.stem}-before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.db")
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return target
