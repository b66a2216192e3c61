"""The labels of a version exactly as they were, all at once or frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from curate.annotations import Annotation, Frame
from curate.store import Store
from curate.store.base import chunked
from curate.versions.versions import Version, without_purged

__all__ = ["load_version_annotations", "version_label_ids", "version_labels_by_frame"]

_FRAMES = 500


def load_version_annotations(store: Store, version: Version, split: str | None = None) -> list[Annotation]:
    """The labels of a version exactly as they were, by frame id and label id; purged ones are left out.

    Args:
        store: The store.
        version: The version.
        split: Only those on frames of this split.

    Raises:
        NotFoundError: The store does not hold a revision of the version.
    """
    labels = store.exact_revisions(without_purged(store, version.manifest.annotations))
    if split is None:
        return labels
    return [label for label in labels if version.manifest.splits[label.frame_id] == split]


def version_labels_by_frame(
    store: Store, version: Version, frames: Iterable[Frame]
) -> Iterator[tuple[Frame, list[Annotation]]]:
    """Frames of a version with its labels by id, some hundred frames in memory at a time.

    Args:
        store: The store.
        version: The version.
        frames: Of the version, in any order, which is kept.

    Raises:
        NotFoundError: The store does not hold a revision of the version.
    """
    wanted = without_purged(store, version.manifest.annotations)
    for chunk in chunked(frames, _FRAMES):
        found: dict[str, list[Annotation]] = {frame.id: [] for frame in chunk}
        for label in store.exact_revisions(_held(store, wanted, chunk)):
            found[label.frame_id].append(label)
        for frame in chunk:
            yield frame, found[frame.id]


def version_label_ids(store: Store, version: Version, frames: Iterable[Frame]) -> Iterator[str]:
    """Ids of the version's labels on some of its frames."""
    wanted = without_purged(store, version.manifest.annotations)
    for chunk in chunked(frames, _FRAMES):
        yield from _held(store, wanted, chunk)


def _held(store: Store, wanted: Mapping[str, int], frames: list[Frame]) -> dict[str, int]:
    """Label id -> revision of those of the wanted labels that are on a few frames."""
    found = ((label_id, wanted.get(label_id)) for label_id in store.label_ids([frame.id for frame in frames]))
    return {label_id: revision for label_id, revision in found if revision is not None}
