"""What a dataset version is made of, as canonical JSON and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from curate.errors import FormatError
from curate.files import write_atomically
from curate.versions.packed import PackedRevisions

__all__ = [
    "Manifest",
    "file_pieces",
    "manifest_from_json",
    "manifest_pieces",
    "manifest_to_json",
    "write_manifest",
]

_FORMAT = 1
_CHUNK = 10_000
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Manifest:
    """The content of a version: enough to get the very same data again.

    Attributes:
        source: The label source.
        classes: Class names in order.
        policy_hash: Digest of the labelling policy; "" for none.
        splits: Frame id -> split ("train", "val", a fold's name).
        annotations: Label id -> revision. Of a version from the store it is a `PackedRevisions`.
        labels_hash: Digest of what the labels are in these revisions (`Store.labels_digest`).
    """

    source: str
    classes: tuple[str, ...]
    policy_hash: str
    splits: Mapping[str, str]
    annotations: Mapping[str, int]
    labels_hash: str

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON. Times, names and notes are not in it."""
        digest = hashlib.sha256()
        for piece in manifest_pieces(self):
            digest.update(piece.encode())
        return digest.hexdigest()


def manifest_pieces(manifest: Manifest) -> Iterator[str]:
    """Canonical JSON (sorted keys, no spaces) in pieces: "annotations" is the first key, and by far the longest."""
    yield '{"annotations":{'
    packed = manifest.annotations
    pairs = packed.pairs() if isinstance(packed, PackedRevisions) else iter(sorted(packed.items()))
    separator = ""
    while chunk := list(islice(pairs, _CHUNK)):
        yield separator + ",".join([f"{_encode(key)}:{number}" for key, number in chunk])
        separator = ","
    rest = {
        "format": _FORMAT,
        "source": manifest.source,
        "classes": list(manifest.classes),
        "policy_hash": manifest.policy_hash,
        "frames": dict(manifest.splits),
        "labels_hash": manifest.labels_hash,
    }
    yield "}," + json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)[1:]


def manifest_to_json(manifest: Manifest) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    return "".join(manifest_pieces(manifest))


def manifest_from_json(text: str, *, item: str = "manifest") -> Manifest:
    """The manifest of its JSON.

    Raises:
        FormatError: Not such a manifest, or one of a later format.
    """
    try:
        value: Any = json.loads(text)
        if value["format"] != _FORMAT:
            raise FormatError(f"expected manifest format {_FORMAT}, got {value['format']!r}", item=item)
        return Manifest(
            source=str(value["source"]),
            classes=tuple(str(name) for name in value["classes"]),
            policy_hash=str(value["policy_hash"]),
            splits={str(frame_id): str(split) for frame_id, split in value["frames"].items()},
            annotations=_packed(value.pop("annotations")),
            labels_hash=str(value["labels_hash"]),
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError("not the manifest of a dataset version", item=item) from error


def _packed(value: dict[str, Any]) -> PackedRevisions:
    pairs = sorted(value.items())
    return PackedRevisions((label_id, int(number)) for label_id, number in pairs)


def write_manifest(folder: Path, name: str, head: Mapping[str, Any], manifest: Manifest) -> Path:
    """Write `folder`/`name`.json so that it is there whole or not at all; the folder is made.

    Args:
        folder: Where to.
        name: Of the version.
        head: What stands beside "manifest" in the file.
        manifest: The content.

    Raises:
        ProjectError: The folder or the file cannot be written.
    """
    file = folder / f"{name}.json"
    write_atomically(file, file_pieces(head, manifest))
    return file


def file_pieces(head: Mapping[str, Any], manifest: Manifest) -> Iterator[bytes]:
    """The content of the file that `write_manifest` writes: always the same bytes for one version."""
    opening = json.dumps(dict(head), indent=1, ensure_ascii=False, sort_keys=True)
    pieces = chain([opening[:-2], ',\n "manifest": '], manifest_pieces(manifest), ["\n}\n"])
    return (piece.encode() for piece in pieces)
