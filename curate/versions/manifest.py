"""What a dataset version is made of, as canonical JSON and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import FormatError
from curate.files import write_json

__all__ = ["Manifest", "manifest_from_json", "manifest_to_json", "write_manifest"]

_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """The content of a version: enough to get the very same data again.

    Attributes:
        source: The label source.
        classes: Class names in order.
        policy_hash: Digest of the labelling policy; "" for none.
        splits: Frame id -> split ("train", "val", a fold's name).
        annotations: Label id -> revision.
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
        return hashlib.sha256(manifest_to_json(self).encode()).hexdigest()


def manifest_to_json(manifest: Manifest) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    value = {
        "format": _FORMAT,
        "source": manifest.source,
        "classes": list(manifest.classes),
        "policy_hash": manifest.policy_hash,
        "frames": dict(manifest.splits),
        "annotations": dict(manifest.annotations),
        "labels_hash": manifest.labels_hash,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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
            annotations={str(label_id): int(number) for label_id, number in value["annotations"].items()},
            labels_hash=str(value["labels_hash"]),
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError("not the manifest of a dataset version", item=item) from error


def write_manifest(folder: Path, name: str, value: Mapping[str, Any]) -> Path:
    """Write `folder`/`name`.json so that it is there whole or not at all; the folder is made.

    Raises:
        ProjectError: The folder or the file cannot be written.
    """
    file = folder / f"{name}.json"
    write_json(file, value)
    return file
