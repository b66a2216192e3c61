"""Erase frames for good: pictures, labels, caches, predictions, and the backups that are known."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import Frame
from curate.errors import ConfigError, DataError, FormatError, ProjectError
from curate.store import BACKUP_FILE, Erased, Role, Store
from curate.versions import get_version, list_versions
from curate.workflows.database import file_digest, sqlite_copies
from curate.workflows.files import write_atomically
from curate.workflows.project import Project

__all__ = ["PurgePlan", "PurgeReport", "finish_purge", "plan_purge", "purge"]


@dataclass(frozen=True)
class PurgePlan:
    """What a purge would erase.

    Attributes:
        request: What was asked for, in words: which frames these are.
        frames: The frames.
        clips: Recording -> how many of the frames are of it.
        labels: Number of labels on them, of all sources.
        versions: Ids of the dataset versions that hold one of them; they keep a tombstone.
        backups: Known backups; each is written anew without the frames.
        by_hand: What no purge reaches and a person has to do, in sentences.
    """

    request: str
    frames: tuple[Frame, ...]
    clips: Mapping[str, int]
    labels: int
    versions: tuple[str, ...]
    backups: tuple[str, ...]
    by_hand: tuple[str, ...]


@dataclass(frozen=True)
class PurgeReport:
    """What a purge erased: numbers, files deleted, backups written anew; and what is left to do by hand."""

    frames: int
    labels: int
    issues: int
    decisions: int
    files: int
    backups: int
    by_hand: tuple[str, ...]


def plan_purge(
    project: Project,
    *,
    names: Sequence[str] = (),
    track: str | None = None,
    clip: str | None = None,
    between: tuple[float, float] | None = None,
) -> PurgePlan:
    """Find the frames of a request: names, or else what `track`, `clip` and `between` say, each narrowing.

    Args:
        project: The project.
        names: Frame names, aliases or ids; then nothing else may be said.
        track: All frames with a label of this track id: one person's way through the picture. Tracks are numbered
            anew in every recording, so that it means several people unless `clip` says which recording.
        clip: Only frames of this recording.
        between: Only frames from the first to the second second of `Frame.captured_at`, of that recording.

    Raises:
        DataError: A name or recording is unknown, or nothing was named.
        ConfigError: Names together with one of the others, or `between` without `clip`.
    """
    if names and (track is not None or clip is not None or between is not None):
        raise ConfigError(
            "name frames, or say which by --track and --clip, not both",
            item="purge",
            hint="give two commands to erase both",
        )
    if between is not None and clip is None:
        raise ConfigError("--from and --to belong to a recording", item="--clip")
    if names:
        frames, request = _named(project, names), f"{len(set(names))} frames by name"
    else:
        frames, request = _described(project, track, clip, between)
    if not frames:
        raise DataError(
            f"the request names no frame: {request}",
            hint="give names, --track, or --clip with --from and --to; --finish ends a purge that was cut off",
        )
    ids = {frame.id for frame in frames}
    held = _versions_with(project, ids)
    versions = tuple(sorted({version for versions in held.values() for version in versions}))
    backups = project.store.backups()
    return PurgePlan(
        request=request,
        frames=tuple(sorted(frames, key=lambda frame: (frame.clip, frame.index))),
        clips=dict(sorted(Counter(frame.clip for frame in frames).items())),
        labels=project.store.label_count(ids),
        versions=versions,
        backups=tuple(path for path in backups if Path(path).is_file()),
        by_hand=_by_hand(project, frames, versions),
    )


def _named(project: Project, names: Sequence[str]) -> list[Frame]:
    found: dict[str, Frame] = {}
    for name in names:
        hits = project.store.frames(names=[name]) or project.store.frames(ids=[name])
        if not hits:
            raise DataError("no frame has this name or id", item=name)
        found[hits[0].id] = hits[0]
    return list(found.values())


def _described(
    project: Project, track: str | None, clip: str | None, between: tuple[float, float] | None
) -> tuple[list[Frame], str]:
    store = project.store
    words = []
    if clip is not None and clip not in store.clips():
        raise DataError("there is no such recording", item=clip, hint=", ".join(store.clips()[:10]))
    if track is not None:
        words.append(f"with a label of track {track}")
    if clip is not None:
        words.append(f"of recording {clip}")
    if between is not None:
        words.append(f"from {between[0]:g} to {between[1]:g} seconds")
    if not words:
        return [], "nothing was said"
    frames = store.frames(ids=None if track is None else store.frames_of_track(track), clip=clip)
    if between is not None:
        frames = [frame for frame in frames if between[0] <= frame.captured_at <= between[1]]
    return frames, f"frames {', '.join(words)}"


def _by_hand(project: Project, frames: Sequence[Frame], versions: Sequence[str]) -> tuple[str, ...]:
    """What is left to a person, whatever is purged here."""
    sources = sorted({frame.source for frame in frames})
    runs = sorted(run.id for run in project.store.runs() if run.version_id in versions)
    gone = [path for path in project.store.backups() if not Path(path).is_file()]
    left = (
        [f"cut or delete the recordings and files that they came from: {', '.join(sources)}"]
        if sources
        else []
    )
    left += [f"purge or delete this backup, which is not where it was written: {path}" for path in gone]
    if runs:
        left.append(f"train again what was trained on them, and delete the old weights: {', '.join(runs)}")
    left.append(
        "delete exports and copies of the project, of its backups and of its pictures that lie elsewhere"
    )
    if not project.database_url.startswith("sqlite"):
        left.append("delete archived logs and base backups of the PostgreSQL server")
    return tuple(left)


def _versions_with(project: Project, frame_ids: set[str]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for record in list_versions(project.store):
        for frame_id in frame_ids & set(get_version(project.store, record.id).manifest.splits):
            held.setdefault(frame_id, []).append(record.id)
    return held


def purge(project: Project, plan: PurgePlan, *, reason: str) -> PurgeReport:
    """Carry a plan out. There is no way back.

    The database goes first, in one transaction; were the program killed then, `curate db check` names what is left,
    and `finish_purge`, or any later purge, finishes it. Weights that were trained on a frame are not changed: the
    report names the runs.

    Args:
        project: The project.
        plan: From `plan_purge`.
        reason: A reference to the request, nothing personal; it is kept.

    Raises:
        AccessError: The project has users, and who asks is not an owner.
        DataError: No reason was given.
        ProjectError: The place of the pictures cannot be reached (nothing is changed), was lost on the way, or a
            backup could not be written anew (everything else is erased).
    """
    if not reason.strip():
        raise DataError("a purge needs a reason, such as the number of the request", item="--reason")
    project.expect_role(Role.OWNER)
    store = project.store
    project.frame_files.expect_reachable()
    ids = {frame.id for frame in plan.frames}
    erased = store.erase_frames(ids, reason=reason, versions=_versions_with(project, ids))
    return _finish(project, erased, plan.frames, plan.by_hand, reason)


def finish_purge(project: Project) -> PurgeReport:
    """Finish purges that were cut off, or that another program held up: erases nothing that was not asked for.

    Raises:
        AccessError: The project has users, and who asks is not an owner.
        ProjectError: A backup could not be written anew; everything else is erased.
    """
    project.expect_role(Role.OWNER)
    buried = project.store.buried_versions()
    left = _by_hand(project, (), tuple(buried))
    return _finish(project, Erased(0, 0, 0, 0), (), left, "an earlier purge, finished")


def _finish(
    project: Project, erased: Erased, frames: Sequence[Frame], by_hand: tuple[str, ...], reason: str
) -> PurgeReport:
    """Everything beside the database, of everything that was ever purged."""
    store = project.store
    ids, failed = store.tombstones("frame"), []
    files = _sweep(project, frames)
    try:
        files += project.frame_files.erase(ids)
    except ProjectError as error:
        failed.append(str(error))
    held_up = [text for text in [store.vacuum()] if text]
    held: dict[str, list[str]] = {}
    for version, buried in store.buried_versions().items():
        for frame_id in buried:
            held.setdefault(frame_id, []).append(version)
    rewritten = _copies(project, ids, held, reason, held_up)
    for path in store.backups():
        try:
            rewritten += _rewrite(project, Path(path), ids, held, reason)
        except (OSError, zipfile.BadZipFile, FormatError) as error:
            failed.append(f"{path}: {error}")
    by_hand = (*(f"the erased bytes may still be in {text}" for text in held_up), *by_hand)
    if failed:
        raise ProjectError(
            f"purged, but these still hold the frames: {'; '.join(failed)}",
            hint="; ".join(["mend or delete them by hand, then `curate purge --finish`", *by_hand]),
        )
    return PurgeReport(
        erased.frames, erased.labels, erased.issues, erased.decisions, files, rewritten, by_hand
    )


def _sweep(project: Project, frames: Iterable[Frame]) -> int:
    """Delete what was computed from pictures, copies of remote ones among it, and reports that name a frame."""
    deleted = 0
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


def _copies(
    project: Project, ids: set[str], held: Mapping[str, Sequence[str]], reason: str, held_up: list[str]
) -> int:
    """Copies that `curate db upgrade` made of the database's file; adds to `held_up` what could not be emptied."""
    copies = sqlite_copies(project.database_url)
    for path in copies:
        with Store.open(path) as store, store.acting(project.store.actor):
            store.erase_frames(ids, reason=reason, versions=held)
            text = store.vacuum()
        held_up += [f"{path.name}: {text}"] if text else []
    return len(copies)
