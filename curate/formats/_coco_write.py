"""Writing COCO files: always the same bytes, and never half a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
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
_LEAVES = frozenset({str, int, float, bool, type(None)})
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def coco_bytes(data: Mapping[str, Any]) -> bytes:
    """The bytes of a COCO object: known keys first, the rest sorted; lists by id; one entry a line; ASCII.

    Instead of a list of images or annotations there may be an iterator, which is written in its own order.

    Raises:
        FormatError: A value cannot be written as JSON (NaN, an array, ...).
    """
    return b"".join(_pieces(data))


def _pieces(data: Mapping[str, Any]) -> Iterator[bytes]:
    """The same bytes entry by entry, so that the text of a large file never stands in memory."""
    opening = "{\n"
    for key in sorted(data, key=_key_order):
        yield f"{opening}{json.dumps(key)}: ".encode("ascii")
        opening = ",\n"
        if key not in ("categories", "images", "annotations"):
            yield _dump(data[key], key).encode("ascii")
            continue
        separator = "[\n"
        entries = data[key]
        for entry in sorted(entries, key=_entry_order) if isinstance(entries, list) else entries:
            text = _dump(entry, f"{key} {entry.get('id')}")
            yield f"{separator}{text}".encode("ascii")
            separator = ",\n"
        yield b"[]" if separator == "[\n" else b"\n]"
    yield b"{\n\n}\n" if opening == "{\n" else b"\n}\n"


def write_coco(path: str | Path, data: Mapping[str, Any]) -> None:
    """Write a COCO object: into a temporary file beside, flushed to the disk, then renamed.

    Raises:
        FormatError: A value cannot be written as JSON.
        ProjectError: The file cannot be written; what was there before is untouched.
    """
    write_atomically(Path(path), _pieces(data), make_folder=False)


def _dump(value: Any, item: str) -> str:
    try:
        return _ENCODER.encode(_ordered(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"cannot be written as JSON: {error}", item=item) from error


def _ordered(value: Any) -> Any:
    """Known keys in our order, all others sorted, at every depth."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in _ordered_keys(tuple(value))}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value


@lru_cache(4096)
def _ordered_keys(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Millions of entries have a few sets of keys between them."""
    return tuple(sorted(keys, key=_key_order))


def _key_order(key: Any) -> tuple[int, str]:
    return (_ORDER.get(key, len(_ORDER)), str(key))


def _entry_order(entry: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    """By image (annotations only), then by id; numbers before texts."""
    ids = (entry.get("image_id", 0), entry["id"])
    return tuple((isinstance(value, str), value) for value in ids)
