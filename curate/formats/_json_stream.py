"""JSON files of any size: the lists at their top are read entry by entry, each entry by Python's own decoder.

Not by a library for streams (ijson): those refuse NaN and half surrogate pairs with the whole file, where a reader
has to name the one entry that holds them, and keep numbers as others than `json` makes of them.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from curate.errors import FormatError
from curate.formats._sources import check_file

__all__ = ["MAX_STREAM_BYTES", "JsonList", "JsonStream"]

MAX_STREAM_BYTES = 2**34
"""What is read as a stream is refused above 16 GiB: a hundred million labels, ten times what a site of a million frames
has, and as many as can be told apart within two gigabytes (8 bytes an id, twice while they are sorted)."""
_BLOCK = 1 << 20
_MAX_VALUE = 1 << 28
"""Of what is decoded at once, an entry or anything beside the lists, so many characters are read."""
_NEAR = 16
"""So close to the end of what was read, a number, a word or an escape may be cut in two."""
_BLANK = re.compile(r"[ \t\n\r]*")
_BOM = codecs.BOM_UTF8
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: bytes from its beginning, line and column from 1."""

    byte: int = 0
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class JsonList:
    """A list in a file that was passed by.

    Attributes:
        place: Of its bracket.
        size: Bytes.
        first: The first entry; None of an empty list.
        count: Number of entries.
    """

    place: Place
    size: int
    first: Any
    count: int


class JsonStream:
    """A JSON file whose top lists are read one entry at a time, as often as wanted.

    Args:
        path: The file.
        what: What was expected, for messages.
        max_bytes: Refuse larger files.

    Raises:
        FormatError: Missing, not a regular file or too large.
    """

    def __init__(self, path: Path, *, what: str, max_bytes: int = MAX_STREAM_BYTES) -> None:
        self._path, self._what, self._max_bytes = path, what, max_bytes
        self._stamp: tuple[int, int] | None = None
        self._check()

    def outline(self, visit: Callable[[str, Any], None] | None = None) -> Any:
        """The value of the file, with a `JsonList` for the list that it is, or for each list in the object that it is.

        All of the file is looked at, so that what is not JSON is found here. Of two equal keys the last counts.

        Args:
            visit: Told of every entry of these lists, with the key ("" where the file is a list).

        Raises:
            FormatError: Not to be read, empty, not UTF-8, not JSON, nested too deep, or changed meanwhile.
        """
        with self._opened() as file:
            window = _Window(file, self._path, self._what)
            first = window.blank()
            if not first:
                raise FormatError("the file is empty", file=self._path)
            if first == "{":
                root: Any = {key: _part(window, key, visit) for key in window.fields()}
            else:
                root = _part(window, "", visit)
            if window.blank():
                raise window.wrong("Extra data")
        return root

    def entries(self, part: JsonList) -> Iterator[Any]:
        """A run over the entries of a list.

        Raises:
            FormatError: The file was changed meanwhile.
        """
        with self._opened() as file:
            yield from _Window(file, self._path, self._what, part.place).items()

    def whole(self, value: Any, name: str) -> Any:
        """A value of the outline with its list read, if it is one.

        Raises:
            FormatError: The list is too large to be held.
        """
        if not isinstance(value, JsonList):
            return value
        if value.size > _MAX_VALUE:
            raise FormatError(
                f"{name} has {value.size:,} bytes, the limit is {_MAX_VALUE:,}", file=self._path
            )
        return list(self.entries(value))

    def _opened(self) -> BinaryIO:
        self._check()
        try:
            return self._path.open("rb")
        except OSError as error:
            raise FormatError(f"cannot be read: {error.strerror or error}", file=self._path) from error

    def _check(self) -> None:
        found = check_file(self._path, self._what, self._max_bytes)
        stamp = (found.st_size, found.st_mtime_ns)
        if self._stamp not in (None, stamp):
            raise FormatError(
                "the file was changed while it was read", file=self._path, hint="begin again when it is whole"
            )
        self._stamp = stamp


class _Window:
    """The part of a file's text that is in memory; it moves on and never back."""

    def __init__(self, file: BinaryIO, path: Path, what: str, start: Place | None = None) -> None:
        self._file, self._path, self._what = file, path, what
        self._start = start or Place()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False
        file.seek(self._start.byte)
        if not self._start.byte and file.read(len(_BOM)) == _BOM:
            self._start = Place(len(_BOM))
        file.seek(self._start.byte)

    def place(self) -> Place:
        """Where it stands."""
        passed, start = self._text[: self._at], self._start
        lines = passed.count("\n")
        column = len(passed) - passed.rindex("\n") if lines else start.column + len(passed)
        return Place(start.byte + len(passed.encode()), start.line + lines, column)

    def blank(self) -> str:
        """Pass blanks by; the character that follows, "" at the end of the file."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def fields(self) -> Iterator[str]:
        """Keys of the object that begins here; each value has to be taken before the next key."""
        self._at += 1
        if self.blank() == "}":
            self._at += 1
            return
        while True:
            if self.blank() != '"':
                raise self.wrong("Expecting property name enclosed in double quotes")
            key = self.value()
            if self.blank() != ":":
                raise self.wrong("Expecting ':' delimiter")
            self._at += 1
            yield key
            if self._closes("}"):
                return

    def items(self) -> Iterator[Any]:
        """Entries of the list that begins here."""
        if self.blank() != "[":
            raise self.wrong("Expecting a list")
        self._at += 1
        if self.blank() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._closes("]"):
                return

    def value(self) -> Any:
        """The value that begins here, as `json.loads` has it."""
        self.blank()
        while True:
            problem, found, end = "", None, 0
            try:
                found, end = _decode(self._text, self._at)
            except json.JSONDecodeError as error:
                problem, end = error.msg, error.pos
            except RecursionError as error:
                raise FormatError(f"the JSON is nested too deep for {self._what}", file=self._path) from error
            except ValueError as error:  # an integer of thousands of digits
                raise FormatError(f"not valid JSON: {error}", file=self._path) from error
            cut = problem.startswith("Unterminated string") or end + _NEAR > len(self._text)
            if cut and not self._ended:
                self._more()
            elif problem:
                self._at = end
                raise self.wrong(problem)
            else:
                self._at = end
                return found

    def wrong(self, problem: str) -> FormatError:
        """The error that what follows here is not JSON."""
        place = self.place()
        return FormatError(
            f"not valid JSON: {problem}", file=self._path, item=f"line {place.line}, column {place.column}"
        )

    def _closes(self, bracket: str) -> bool:
        """Whether this bracket follows behind an entry, or a comma."""
        found = self.blank()
        if found not in (bracket, ","):
            raise self.wrong("Expecting ',' delimiter")
        self._at += 1
        return found == bracket

    def _more(self) -> None:
        """Let go of what was passed by and read as much as is left once more: what is long is not read often."""
        self._start, rest = self.place(), self._text[self._at :]
        if len(rest) > _MAX_VALUE:
            raise FormatError(
                f"a single entry has more than {_MAX_VALUE:,} characters",
                file=self._path,
                item=f"line {self._start.line}, column {self._start.column}",
            )
        waiting, behind = len(self._decoder.getstate()[0]), self._file.tell()
        try:
            data = self._file.read(max(_BLOCK, len(rest)))
            fresh = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise FormatError(
                f"not UTF-8 text (byte {behind - waiting + error.start})", file=self._path
            ) from error
        except OSError as error:
            raise FormatError(f"cannot be read: {error.strerror or error}", file=self._path) from error
        self._text, self._at, self._ended = rest + fresh, 0, not data


def _part(window: _Window, key: str, visit: Callable[[str, Any], None] | None) -> Any:
    """The value that begins here; a list is passed by, entry by entry."""
    if window.blank() != "[":
        return window.value()
    place, first, count = window.place(), None, 0
    for entry in window.items():
        first = first if count else entry
        count += 1
        if visit is not None:
            visit(key, entry)
    return JsonList(place, window.place().byte - place.byte, first, count)
