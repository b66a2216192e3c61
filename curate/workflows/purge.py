"""Erase frames for good: pictures, labels, caches, predictions, and the backups that are known."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import Frame
from curate.errors import DataError, FormatError, ProjectError
from curate.store import BACKUP_FILE, Role, Store
from curate.versions import get_version, list_versions
from curate.workflows.database import file_digest, sqlite_copies
from curate.workflows.files import write_atomically
from curate.workflows.project import Project

__all__ = ["PurgePlan", "PurgeReport", "plan_purge", "purge"]


@dataclass(frozen=True)
class PurgePlan:
    """What a purge would erase.

    Attributes:
        frames: The frames.
        labels: Number of labels on them, of all sources.
        versions: Ids of the dataset versions that hold one of them; they keep a tombstone.
        sources: Recordings and image files that they came from: not ours to delete, so delete or cut them.
        backups: Known backups; each is written anew without the frames.
        gone: Known backups that are not where they were: purge those copies by hand.
    """

    frames: tuple[Frame, ...]
    labels: int
    versions: tuple[str, ...]
    sources: tuple[str, ...]
    backups: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class PurgeReport:
    """What a purge erased: numbers, files deleted, backups written anew, runs whose weights saw a frame."""

    frames: int
    labels: int
    issues: int
    decisions: int
    files: int
    backups: int
    runs: tuple[str, ...]


def plan_purge(
    project: Project,
    *,
    names: Sequence[str] = (),
    track: str | None = None,
    clip: str | None = None,
    between: tuple[float, float] | None = None,
) -> PurgePlan:
    """Find the frames of a request. Several ways of naming add up.

    Args:
        project: The project.
        names: Frame names, aliases or ids.
        track: All frames with a label of this track id: one person's way through the picture.
        clip: A recording; all of it, or with `between` a part.
        between: From and to, in the seconds of `Frame.captured_at`.

    Raises:
        DataError: A name is unknown, or nothing was named.
    """
    store = project.store
    found: dict[str, Frame] = {}
    for name in names:
        hits = store.frames(names=[name]) or store.frames(ids=[name])
        if not hits:
            raise DataError("no frame has this name or id", item=name)
        found[hits[0].id] = hits[0]
    if track is not None:
        ids = {label.frame_id for label in store.annotations() if label.track_id == track}
        found.update((frame.id, frame) for frame in store.frames(ids=ids))
    if clip is not None:
        low, high = between or (float("-inf"), float("inf"))
        inside = [frame for frame in store.frames(clip=clip) if low <= frame.captured_at <= high]
        found.update((frame.id, frame) for frame in inside)
    if not found:
        raise DataError(
            "the request names no frame", hint="give names, --track, or --clip with --from and --to"
        )
    held = _versions_with(project, set(found))
    backups = store.backups()
    return PurgePlan(
        frames=tuple(sorted(found.values(), key=lambda frame: (frame.clip, frame.index))),
        labels=len(store.annotations(frame_ids=found)),
        versions=tuple(sorted({version for versions in held.values() for version in versions})),
        sources=tuple(sorted({frame.source for frame in found.values()})),
        backups=tuple(path for path in backups if Path(path).is_file()),
        gone=tuple(path for path in backups if not Path(path).is_file()),
    )


def _versions_with(project: Project, frame_ids: set[str]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for record in list_versions(project.store):
        for frame_id in frame_ids & set(get_version(project.store, record.id).manifest.splits):
            held.setdefault(frame_id, []).append(record.id)
    return held


def purge(project: Project, plan: PurgePlan, *, reason: str) -> PurgeReport:
    """Carry a plan out. There is no way back.

    The database goes first, in one transaction; were the program killed then, `curate db check` names what is left,
    and any later purge finishes it. Weights that were trained on a frame are not changed: the report names the runs.

    Args:
        project: The project.
        plan: From `plan_purge`.
        reason: A reference to the request, nothing personal; it is kept.

    Raises:
        AccessError: The project has users, and who asks is not an owner.
        DataError: No reason was given.
        ProjectError: A backup could not be written anew; everything else is erased.
    """
    if not reason.strip():
        raise DataError("a purge needs a reason, such as the number of the request", item="--reason")
    store = project.store
    store.expect_role(store.actor, Role.OWNER)
    ids = {frame.id for frame in plan.frames}
    held = _versions_with(project, ids)
    erased = store.erase_frames(ids, reason=reason, versions=held)
    store.vacuum()
    # From here on everything that was ever purged is gone after: a purge cut off here is finished by the next one.
    ids |= store.tombstones("frame")
    for version, frames in store.buried_versions().items():
        for frame_id in frames:
            held.setdefault(frame_id, []).append(version)
    held = {frame_id: sorted(set(versions)) for frame_id, versions in held.items()}
    files = _sweep(project, plan.frames)
    rewritten, failed = _copies(project, ids, held, reason), []
    for path in store.backups():
        try:
            rewritten += _rewrite(project, Path(path), ids, held, reason)
        except (OSError, zipfile.BadZipFile, FormatError) as error:
            failed.append(f"{path}: {error}")
    if failed:
        raise ProjectError(
            f"purged, but these backups still hold the frames: {'; '.join(failed)}",
            hint="mend or delete them by hand; every later purge tries them again",
        )
    runs = tuple(sorted(run.id for run in store.runs() if run.version_id in plan.versions))
    return PurgeReport(erased.frames, erased.labels, erased.issues, erased.decisions, files, rewritten, runs)


def _sweep(project: Project, frames: Iterable[Frame]) -> int:
    """Delete the pictures of everything that was ever purged, and what was computed from pictures."""
    deleted = 0
    for frame_id in project.store.tombstones("frame"):
        for path in (project.frames_dir / frame_id[:2]).glob(f"{frame_id}.*"):
            path.unlink()
            deleted += 1
    # Embeddings, evidence, plates and predictions of one frame stand in files with those of others, and all of them
    # can be computed again.
    for folder in (project.cache_dir,):
        deleted += sum(path.is_file() for path in folder.rglob("*"))
        shutil.rmtree(folder, ignore_errors=True)
    project.store.forget_files()
    names = {mark for frame in frames for mark in (frame.id, frame.name)}
    marks = [mark.encode() for mark in names | project.store.tombstones("frame")]
    for folder in (project.runs_dir, project.logs_dir):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (path.suffix == ".parquet" or _mentions(path, marks)):
                path.unlink()
                deleted += 1
    return deleted


def _mentions(path: Path, marks: Sequence[bytes]) -> bool:
    """Whether a report or a log names one of them; weights and checkpoints name no frame."""
    if path.suffix in (".safetensors", ".onnx"):
        return False
    content = path.read_bytes()
    return any(mark in content for mark in marks)


def _rewrite(
    project: Project, path: Path, ids: set[str], held: Mapping[str, Sequence[str]], reason: str
) -> bool:
    """Write a backup anew without the frames, in the schema of today."""
    if not path.is_file():
        return False
    folder = project.state_dir / "purge.tmp"
    shutil.rmtree(folder, ignore_errors=True)  # Of a purge that was killed: it holds what was to be erased.
    folder.mkdir()
    try:
        draft = folder / "draft.zip"
        with (
            Store.open(folder / "backup.db") as store,
            zipfile.ZipFile(path) as old,
            zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
        ):
            store.read_tables(old)
            with store.acting(project.store.actor):
                store.erase_frames(ids, reason=reason, versions=held)
            head = store.write_tables(new)
            for entry in old.infolist():
                name = entry.filename
                if name != BACKUP_FILE and not name.startswith("tables/") and Path(name).stem not in ids:
                    new.writestr(entry, old.read(entry))
            new.writestr(BACKUP_FILE, json.dumps(head))
        with draft.open("rb") as packed:
            write_atomically(path, iter(lambda: packed.read(1 << 20), b""))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    project.store.note_backup(str(path), file_digest(path))
    return True


def _copies(project: Project, ids: set[str], held: Mapping[str, Sequence[str]], reason: str) -> int:
    """Copies that `curate db upgrade` made of the database's file."""
    copies = sqlite_copies(project.database_url)
    for path in copies:
        with Store.open(path) as store, store.acting(project.store.actor):
            store.erase_frames(ids, reason=reason, versions=held)
            store.vacuum()
    return len(copies)
