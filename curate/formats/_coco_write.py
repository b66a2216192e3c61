"""Writing COCO files: always the same bytes, and never half a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.errors import FormatError
from curate.files import write_atomically
from curate.formats._coco_types import OWN_KEYS

__all__ = ["coco_bytes", "write_coco"]

_HEAD_KEYS = ("info", "licenses", "categories", "images", "annotations")
_ITEM_KEYS = ("name", "file_name", "width", "height")
_ORDER = {name: place for place, name in enumerate((*_HEAD_KEYS, *_ITEM_KEYS, *OWN_KEYS))}
# "id" opens every entry.
_ORDER["id"] = -1


def coco_bytes(data: Mapping[str, Any]) -> bytes:
    """The bytes of a COCO object: known keys first, the rest sorted; lists by id; one entry a line; ASCII.

    Raises:
        FormatError: A value cannot be written as JSON (NaN, an array, ...).
    """
    lines = []
    for key in sorted(data, key=_key_order):
        value = data[key]
        if key in ("categories", "images", "annotations"):
            entries = sorted(value, key=_entry_order)
            rows = ",\n".join(_dump(entry, f"{key} {entry.get('id')}") for entry in entries)
            text = f"[\n{rows}\n]" if rows else "[]"
        else:
            text = _dump(value, key)
        lines.append(f"{json.dumps(key)}: {text}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")


def write_coco(path: str | Path, data: Mapping[str, Any]) -> None:
    """Write a COCO object: into a temporary file beside, flushed to the disk, then renamed.

    Raises:
        FormatError: A value cannot be written as JSON.
        ProjectError: The file cannot be written; what was there before is untouched.
    """
    write_atomically(Path(path), coco_bytes(data), make_folder=False)


def _dump(value: Any, item: str) -> str:
    try:
        return json.dumps(_ordered(value), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"cannot be written as JSON: {error}", item=item) from error


def _ordered(value: Any) -> Any:
    """Known keys in our order, all others sorted, at every depth."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=_key_order)}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value


def _key_order(key: Any) -> tuple[int, str]:
    return (_ORDER.get(key, len(_ORDER)), str(key))


def _entry_order(entry: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    """By image (annotations only), then by id; numbers before texts."""
    ids = (entry.get("image_id", 0), entry["id"])
    return tuple((isinstance(value, str), value) for value in ids)
