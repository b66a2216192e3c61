"""Make, find and compare dataset versions."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.annotations import Annotation
from curate.errors import DataError, StoreError
from curate.store import LabelHead, Store, VersionRecord
from curate.versions.manifest import Manifest, manifest_from_json, manifest_to_json, write_manifest

__all__ = [
    "LabelChange",
    "Version",
    "VersionDiff",
    "create_version",
    "diff_versions",
    "get_version",
    "list_versions",
    "load_version_annotations",
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
    with store.begin():
        kept = _frames_in(store, splits)
        heads = store.label_heads(source, kept).values()
        _expect_classes(heads, source, classes)
        # The first revision with the content: an edit and its undo leave the version as it was.
        annotations = {head.annotation_id: head.content_of for head in heads}
        manifest = Manifest(
            source, tuple(classes), policy_hash, kept, annotations, store.labels_digest(annotations)
        )
        digest = manifest.content_hash
        record = store.add_version(
            VersionRecord(
                id=digest[:_ID_DIGITS],
                content_hash=digest,
                parent=None if parent is None else store.version(parent).id,
                created_by=created_by,
                note=note,
                frames=len(kept),
                labels=len(annotations),
                created_at=time.time(),
            ),
            manifest_to_json(manifest),
        )
    version = _version(record, manifest)
    if folder is not None:
        write_manifest(folder, version.id, _as_file(version))
    return version


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
    manifest = manifest_from_json(store.version_manifest(record.id), item=f"version {record.id}")
    if manifest.content_hash != record.content_hash:
        raise StoreError("the manifest was changed after the version was made", item=f"version {record.id}")
    return _version(record, manifest)


def load_version_annotations(store: Store, version: Version, split: str | None = None) -> list[Annotation]:
    """The labels of a version exactly as they were, by frame id and label id.

    Args:
        store: The store.
        version: The version.
        split: Only those on frames of this split.

    Raises:
        NotFoundError: The store does not hold a revision of the version.
    """
    labels = store.exact_revisions(version.manifest.annotations)
    if split is None:
        return labels
    return [label for label in labels if version.manifest.splits[label.frame_id] == split]


def diff_versions(store: Store, before: Version, after: Version) -> VersionDiff:
    """What changed between two versions; the labels of both must be in the store."""
    old, new = before.manifest.annotations, after.manifest.annotations
    revisions_before = {key: number for key, number in old.items() if new.get(key) != number}
    revisions_after = {key: number for key, number in new.items() if old.get(key) != number}
    was = {label.id: label for label in store.exact_revisions(revisions_before)}
    now = {label.id: label for label in store.exact_revisions(revisions_after)}
    changes = sorted(
        (
            LabelChange(
                key,
                label.frame_id,
                was[key].label if key in was else None,
                now[key].label if key in now else None,
                old.get(key),
                new.get(key),
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


def _frames_in(store: Store, splits: Mapping[str, str]) -> dict[str, str]:
    frames = store.frames(ids=splits)
    unknown = sorted(set(splits) - {frame.id for frame in frames})
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(splits)} frames are not in the store", item=f"frame {unknown[0]}"
        )
    kept = {frame.id: splits[frame.id] for frame in frames if not frame.excluded}
    if not kept:
        raise DataError("a version needs at least one frame that is not excluded", item="version")
    return kept


def _expect_classes(heads: Iterable[LabelHead], source: str, classes: Sequence[str]) -> None:
    unknown = Counter(head.label for head in heads if head.label not in classes)
    for name, number in sorted(unknown.items()):
        raise DataError(
            f"{number} labels of source {source!r} have class {name!r}; allowed: {', '.join(classes)}",
            item="version",
            hint="relabel them or add the class to site.yaml",
        )


def _as_file(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "content_hash": version.content_hash,
        "parent": version.parent,
        "created_by": version.created_by,
        "note": version.note,
        "created_at": version.created_at,
        "manifest": json.loads(manifest_to_json(version.manifest)),
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
