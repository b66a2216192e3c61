"""Care of a project's database and files: check and upgrade."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import Frame
from curate.errors import CurateError, ImageError
from curate.store import Finding, GoldState, Role, Store
from curate.versions import get_version, list_versions, load_version_annotations
from curate.versions.versions import manifest_digest, rewrite_manifest
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project

__all__ = ["CheckReport", "check", "file_digest", "sqlite_copies", "upgrade"]

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


def check(
    project: Project, *, hashes: bool = True, repair: bool = False, reporter: Reporter | None = None
) -> CheckReport:
    """Read the whole project and name every broken reference, missing file and hash that does not match.

    Args:
        project: The project.
        hashes: Also read every frame and every version's labels, and compare their digests.
        repair: Put right what can be made again: counts, manifest files, leftovers of a crash.
        reporter: Told how far it is.

    Raises:
        AccessError: It shall repair, the project has users, and who asks is none of them or only a viewer.
    """
    if repair:
        project.expect_role(Role.REVIEWER)
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
    for frame in project.store.each_frame():
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


def _check_frame(project: Project, frame: Frame, hashes: bool) -> Iterator[Finding]:
    files, item = project.frame_files, f"frame {frame.name}"
    hint = "restore a backup with frames, or ingest its recording again"
    try:
        digest = files.digest(frame) if hashes else frame.sha256 if files.exists(frame.path) else None
    except ImageError as error:
        yield Finding("reference", item, str(error), hint)
        return
    if digest is None:
        yield Finding("file_missing", item, f"its picture is not there: {frame.path}", hint)
    elif digest != frame.sha256:
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
    for frame_id, path in project.frame_files.copies(project.store.tombstones("frame")):
        hint = "`curate purge --finish` deletes it; or delete the file"
        yield Finding("purged", f"frame {frame_id}", f"it was purged, but its picture is there: {path}", hint)


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
    for place in project.frame_files.leftovers():
        yield Finding("leftover", place, "half a picture", "delete it there", harmless=True)


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
