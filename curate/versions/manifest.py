"""What a dataset version is made of, as canonical JSON and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
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
    "manifest_from_pieces",
    "manifest_pieces",
    "manifest_to_json",
    "write_manifest",
]

_FORMAT = 1
_CHUNK = 10_000
_START = '{"annotations":{'
_END = '},"classes":'
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
    yield _START
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


def manifest_from_pieces(pieces: Iterable[str], *, item: str = "manifest") -> Manifest:
    """The manifest of its canonical JSON, in pieces of any length, read as they come.

    Raises:
        FormatError: Not such a manifest, or one of a later format.
    """
    source = iter(pieces)
    tail: list[str] = []
    try:
        annotations = PackedRevisions(_entries(source, tail))
        value: Any = json.loads("".join(chain(tail, source)))
        if value["format"] != _FORMAT:
            raise FormatError(f"expected manifest format {_FORMAT}, got {value['format']!r}", item=item)
        return Manifest(
            source=str(value["source"]),
            classes=tuple(str(name) for name in value["classes"]),
            policy_hash=str(value["policy_hash"]),
            splits={str(frame_id): str(split) for frame_id, split in value["frames"].items()},
            annotations=annotations,
            labels_hash=str(value["labels_hash"]),
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError("not the manifest of a dataset version", item=item) from error


def _entries(source: Iterator[str], tail: list[str]) -> Iterator[tuple[str, int]]:
    """Label ids and revisions of "annotations"; then what follows them, as an object of its own, is in `tail`.

    A quote inside a JSON string is escaped, and one that ends a key has a colon after it. So `,"` with anything else
    behind is where an entry ends, and `},"classes"` is where all of them do, whatever the ids are.
    """
    text = ""
    while len(text) < len(_START):
        text += next(source, "\0")
    if not text.startswith(_START):
        raise ValueError("it does not begin with the annotations")
    text = text[len(_START) :]
    while (end := text.find(_END)) < 0:
        cut = text.rfind(',"')
        while cut >= 0 and (text[cut + 2 : cut + 3] in ("", ":") or text[cut - 1 : cut] == "}"):
            cut = text.rfind(',"', 0, cut)
        if cut >= 0:
            yield from _numbered(text[:cut])
            text = text[cut + 1 :]
        more = next(source, None)
        if more is None:
            raise ValueError("it ends among the annotations")
        text += more
    yield from _numbered(text[:end])
    tail.append("{" + text[end + 2 :])


def _numbered(entries: str) -> Iterator[tuple[str, int]]:
    return ((key, int(number)) for key, number in json.loads("{" + entries + "}").items())


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
