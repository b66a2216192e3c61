"""A look at a file to tell whose format it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from curate.formats._json_stream import JsonList, JsonStream
from curate.formats._sources import load_xml

__all__ = ["forget_peeked", "peek_json", "peek_xml"]


class _Peeked:
    """The file that was looked at last: every format looks at the same file to tell whether it is its own."""

    def __init__(self) -> None:
        self._key: tuple[str, str, int, int] | None = None
        self._value: Any = None

    def get(self, path: Path, load: Callable[[Path], Any]) -> Any:
        try:
            stamp = path.stat()
        except OSError:
            return load(path)
        key = (load.__name__, str(path), stamp.st_mtime_ns, stamp.st_size)
        if key != self._key:
            self._key, self._value = key, load(path)
        return self._value

    def forget(self) -> None:
        self._key = self._value = None


_peeked = _Peeked()


def peek_json(path: Path) -> Any:
    """The value of a JSON file; of a list that it is, and of lists in an object that it is, the first entry alone.

    The last file stays at hand until `forget_peeked`.

    Raises:
        FormatError: As `JsonStream.outline`.
    """
    return _peeked.get(path, _first_entries)


def peek_xml(path: Path) -> Element:
    """`load_xml`; the last file stays at hand until `forget_peeked`."""
    root: Element = _peeked.get(path, load_xml)
    return root


def forget_peeked() -> None:
    """Let go of the file that was looked at last."""
    _peeked.forget()


def _first_entries(path: Path) -> Any:
    outline = JsonStream(path, what="a label file").outline()
    if isinstance(outline, dict):
        return {key: _first(value) for key, value in outline.items()}
    return _first(outline)


def _first(value: Any) -> Any:
    if not isinstance(value, JsonList):
        return value
    return [value.first] if value.count else []
