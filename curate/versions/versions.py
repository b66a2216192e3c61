"""Make, find and compare dataset versions."""

from __future__ import annotations

import codecs
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import DataError, FormatError, StoreError
from curate.store import Store, VersionRecord, pack_text
from curate.versions.manifest import (
    Manifest,
    file_pieces,
    manifest_from_pieces,
    manifest_pieces,
    write_manifest,
)
from curate.versions.packed import PackedRevisions

__all__ = [
    "LabelChange",
    "Version",
    "VersionDiff",
    "create_version",
    "diff_versions",
    "get_version",
    "list_versions",
    "without_purged",
]

_ID_DIGITS = 12


@dataclass(frozen=True)
class Version:
    """An immutable dataset version.

    Attributes:
        id: First digits of `content_hash`.
        content_hash: See `Manifest.content_hash`.
        parent: The version that it came from, or None.
        created_by: Who.
        note: Free text.
        created_at: Unix time.
        manifest: What it holds.
    """

    id: str
    content_hash: str
    parent: str | None
    created_by: str
    note: str
    created_at: float
    manifest: Manifest

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Frames of a split, or all, sorted."""
        return sorted(frame for frame, of in self.manifest.splits.items() if split is None or of == split)


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A label that two versions hold differently; revision and class are None where it is not there."""

    annotation_id: str
    frame_id: str
    label_before: str | None
    label_after: str | None
    revision_before: int | None
    revision_after: int | None


@dataclass(frozen=True)
class VersionDiff:
    """What changed from version `before` to version `after`.

    Attributes:
        before: Id.
        after: Id.
        added: Labels only in `after`, by frame and id; likewise the next two.
        removed: Labels only in `before`.
        changed: Labels in both, in another revision.
        frames_added: Frame ids.
        frames_removed: Frame ids.
        frames_moved: Frame ids in another split.
        classes_changed: The class lists differ.
        policy_changed: The labelling policies differ.
    """

    before: str
    after: str
    added: tuple[LabelChange, ...]
    removed: tuple[LabelChange, ...]
    changed: tuple[LabelChange, ...]
    frames_added: tuple[str, ...]
    frames_removed: tuple[str, ...]
    frames_moved: tuple[str, ...]
    classes_changed: bool
    policy_changed: bool

    def labels_by_class(self) -> dict[str, dict[str, int]]:
        """Class -> number of labels "added", "removed" and "changed" (a relabel counts for its new class)."""
        return self._by_class(lambda changes: Counter(_name(change) for change in changes))

    def frames_by_class(self) -> dict[str, dict[str, int]]:
        """Class -> number of frames on which labels were "added", "removed" and "changed"."""
        return self._by_class(
            lambda changes: Counter(
                name for name, _ in {(_name(change), change.frame_id) for change in changes}
            )
        )

    def _by_class(self, count: Callable[[Sequence[LabelChange]], Counter[str]]) -> dict[str, dict[str, int]]:
        sides = {"added": self.added, "removed": self.removed, "changed": self.changed}
        counted = {side: count(changes) for side, changes in sides.items()}
        names = sorted({name for counts in counted.values() for name in counts})
        return {name: {side: counted[side][name] for side in sides} for name in names}

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed at all."""
        return self.before == self.after


def create_version(
    store: Store,
    *,
    source: str,
    splits: Mapping[str, str],
    classes: Sequence[str],
    policy_hash: str = "",
    parent: str | None = None,
    created_by: str = "",
    note: str = "",
    folder: Path | None = None,
) -> Version:
    """Fix the current labels of some frames for ever.

    Args:
        store: The store.
        source: The label source.
        splits: Frame id -> split, of all frames that belong to it; excluded frames are left out.
        classes: Class names in order.
        policy_hash: Digest of the labelling policy.
        parent: Id of the version that it came from.
        created_by: Who.
        note: Free text.
        folder: Where the manifest is written besides, as <id>.json.

    Returns:
        The new version; or, when one with the same content is there, that one as it is.

    Raises:
        DataError: A frame is unknown, no frame is left, or a label's class is not in the list.
        NotFoundError: No such parent.
        ProjectError: The manifest cannot be written.
    """
    with store.reading():  # Reviewers go on deciding while millions of labels are read.
        kept = _frames_in(store, splits)
        manifest = _manifest(store, source, kept, tuple(classes), policy_hash)
    content = hashlib.sha256()

    def hashed() -> Iterator[str]:
        for piece in manifest_pieces(manifest):
            content.update(piece.encode())
            yield piece

    packed = pack_text(hashed())
    digest = content.hexdigest()
    with store.begin():
        record = store.add_version(
            VersionRecord(
                id=digest[:_ID_DIGITS],
                content_hash=digest,
                parent=None if parent is None else store.version(parent).id,
                created_by=created_by,
                note=note,
                frames=len(kept),
                labels=len(manifest.annotations),
                created_at=time.time(),
            ),
            packed,
        )
    version = _version(record, manifest)
    if folder is not None:
        rewrite_manifest(version, folder)
    return version


def _manifest(
    store: Store, source: str, kept: Mapping[str, str], classes: tuple[str, ...], policy_hash: str
) -> Manifest:
    digest = hashlib.sha256()
    unknown: Counter[str] = Counter()

    def pairs() -> Iterator[tuple[str, int]]:
        for label in store.label_contents(source):
            if label.frame_id not in kept:
                continue
            if label.label not in classes:
                unknown[label.label] += 1
            digest.update(label.digested)
            # The first revision with the content: an edit and its undo leave the version as it was.
            yield label.annotation_id, label.content_of

    annotations = PackedRevisions(pairs())
    for name, number in sorted(unknown.items()):
        raise DataError(
            f"{number} labels of source {source!r} have class {name!r}; allowed: {', '.join(classes)}",
            item="version",
            hint="relabel them or add the class to site.yaml",
        )
    return Manifest(source, classes, policy_hash, kept, annotations, digest.hexdigest())


def rewrite_manifest(version: Version, folder: Path) -> Path:
    """Write the manifest file of a version again, byte for byte as it was.

    Raises:
        ProjectError: The manifest cannot be written.
    """
    return write_manifest(folder, version.id, _head(version), version.manifest)


def manifest_digest(version: Version) -> str:
    """SHA-256 (hex) that the manifest file of a version has."""
    digest = hashlib.sha256()
    for piece in file_pieces(_head(version), version.manifest):
        digest.update(piece)
    return digest.hexdigest()


def list_versions(store: Store) -> list[VersionRecord]:
    """All versions without their manifests, oldest first."""
    return store.versions()


def get_version(store: Store, version_id: str) -> Version:
    """A version by its id or an unambiguous beginning of it.

    Raises:
        NotFoundError: No such version, or several.
        StoreError: The manifest does not match its hash.
    """
    record = store.version(version_id)
    content = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def pieces() -> Iterator[str]:
        for part in store.version_manifest_parts(record.id):
            content.update(part)
            yield decoder.decode(part)

    rest, manifest, broken = pieces(), None, None
    try:
        manifest = manifest_from_pieces(rest, item=f"version {record.id}")
    except FormatError as error:
        broken = error
    for _ in rest:  # Whether it is what was written comes before what is wrong with it.
        pass
    if content.hexdigest() != record.content_hash:
        item = f"version {record.id}"
        raise StoreError("the manifest was changed after the version was made", item=item) from broken
    if manifest is None:
        raise broken or AssertionError
    return _version(record, manifest)


def diff_versions(store: Store, before: Version, after: Version) -> VersionDiff:
    """What changed between two versions; of purged labels nothing is known but that they were there."""
    revisions_before, revisions_after = _differing(before.manifest, after.manifest)
    was = {label.id: label for label in store.exact_revisions(without_purged(store, revisions_before))}
    now = {label.id: label for label in store.exact_revisions(without_purged(store, revisions_after))}
    changes = sorted(
        (
            LabelChange(
                key,
                label.frame_id,
                was[key].label if key in was else None,
                now[key].label if key in now else None,
                revisions_before.get(key),
                revisions_after.get(key),
            )
            for key, label in {**was, **now}.items()
        ),
        key=lambda change: (change.frame_id, change.annotation_id),
    )
    frames, later = before.manifest.splits, after.manifest.splits
    return VersionDiff(
        before=before.id,
        after=after.id,
        added=tuple(change for change in changes if change.revision_before is None),
        removed=tuple(change for change in changes if change.revision_after is None),
        changed=tuple(
            change
            for change in changes
            if change.revision_before is not None and change.revision_after is not None
        ),
        frames_added=tuple(sorted(set(later) - set(frames))),
        frames_removed=tuple(sorted(set(frames) - set(later))),
        frames_moved=tuple(sorted(key for key in set(frames) & set(later) if frames[key] != later[key])),
        classes_changed=before.manifest.classes != after.manifest.classes,
        policy_changed=before.manifest.policy_hash != after.manifest.policy_hash,
    )


def _differing(before: Manifest, after: Manifest) -> tuple[dict[str, int], dict[str, int]]:
    """Labels that one has and the other has not, or in another revision: of each side, label id -> revision."""
    was: dict[str, int] = {}
    now: dict[str, int] = {}
    nothing = ("", -1)
    old, new = _pairs(before), _pairs(after)
    left, right = next(old, nothing), next(new, nothing)
    while left is not nothing or right is not nothing:
        if left == right:
            left, right = next(old, nothing), next(new, nothing)
        elif right is nothing or (left is not nothing and left[0] < right[0]):
            was[left[0]] = left[1]
            left = next(old, nothing)
        elif left is nothing or right[0] < left[0]:
            now[right[0]] = right[1]
            right = next(new, nothing)
        else:
            was[left[0]], now[right[0]] = left[1], right[1]
            left, right = next(old, nothing), next(new, nothing)
    return was, now


def _pairs(manifest: Manifest) -> Iterator[tuple[str, int]]:
    packed = manifest.annotations
    return packed.pairs() if isinstance(packed, PackedRevisions) else iter(sorted(packed.items()))


def _frames_in(store: Store, splits: Mapping[str, str]) -> dict[str, str]:
    excluded = store.frames_excluded(splits)
    unknown = sorted(set(splits) - set(excluded))
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(splits)} frames are not in the store", item=f"frame {unknown[0]}"
        )
    kept = {frame_id: splits[frame_id] for frame_id, out in excluded.items() if not out}
    if not kept:
        raise DataError("a version needs at least one frame that is not excluded", item="version")
    return kept


def _head(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "content_hash": version.content_hash,
        "parent": version.parent,
        "created_by": version.created_by,
        "note": version.note,
        "created_at": version.created_at,
    }


def _version(record: VersionRecord, manifest: Manifest) -> Version:
    return Version(
        record.id,
        record.content_hash,
        record.parent,
        record.created_by,
        record.note,
        record.created_at,
        manifest,
    )


def _name(change: LabelChange) -> str:
    return str(change.label_after or change.label_before)


def without_purged(store: Store, wanted: Mapping[str, int]) -> Mapping[str, int]:
    """Label id -> revision of those that no purge took away."""
    gone = store.tombstones("label")
    return {key: number for key, number in wanted.items() if key not in gone} if gone else wanted
