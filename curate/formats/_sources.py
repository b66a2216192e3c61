"""Opening what strangers made: size limits, no entities, no aliases, no deep nesting, archives unpacked with care."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import yaml
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeXml

from curate.config.yaml_check import yaml_danger
from curate.errors import CurateError, FormatError
from curate.formats._items import IMAGE_SUFFIXES

__all__ = [
    "LABEL_SUFFIXES",
    "MAX_BYTES",
    "check_file",
    "files_under",
    "load_json",
    "load_xml",
    "load_yaml",
    "open_folder",
    "read_text",
    "single_file",
]

MAX_BYTES = 2**30
"""Label files that are held whole are refused above 1 GB unless the caller says otherwise."""
MAX_XML_BYTES = 2**28
_MAX_YAML_BYTES = 2**22
_MAX_FILES = 2_000_000
LABEL_SUFFIXES = frozenset({".json", ".jsonl", ".xml", ".txt", ".yaml", ".yml", ".ini", ".names", ".data"})
"""What is unpacked of an archive. Of pictures, which have to be ingested anyway, only the names: empty files."""


def read_text(path: Path, *, what: str = "a label file", max_bytes: int = MAX_BYTES) -> str:
    """The text of a regular UTF-8 file.

    Raises:
        FormatError: Missing, not a regular file, too large, unreadable or not UTF-8.
    """
    check_file(path, what, max_bytes)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", file=path) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 text (byte {error.start})", file=path) from error


def load_json(path: Path, *, what: str = "a label file", max_bytes: int = MAX_BYTES) -> Any:
    """The value of a JSON file.

    Raises:
        FormatError: As `read_text`; or empty, not JSON, nested too deep.
    """
    text = read_text(path, what=what, max_bytes=max_bytes)
    if not text.strip():
        raise FormatError("the file is empty", file=path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"not valid JSON: {error.msg}", file=path, item=f"line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise FormatError(f"the JSON is nested too deep for {what}", file=path) from error
    except ValueError as error:  # an integer of thousands of digits
        raise FormatError(f"not valid JSON: {error}", file=path) from error


def load_xml(path: Path, *, what: str = "a label file", max_bytes: int = MAX_XML_BYTES) -> Element:
    """The root of an XML file.

    Raises:
        FormatError: Missing, not a regular file, too large, not XML, or it declares a document type: entities and
            outside references can only come through one, and no label tool writes any.
    """
    check_file(path, what, max_bytes)
    try:
        root = SafeXml.parse(path, forbid_dtd=True).getroot()
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", file=path) from error
    except ParseError as error:
        line, column = error.position
        raise FormatError("not valid XML", file=path, item=f"line {line}, column {column + 1}") from error
    except DefusedXmlException as error:
        raise FormatError(
            "the XML declares a document type or entities, which label tools never do; refused", file=path
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that does not exist, ...
        raise FormatError(f"not valid XML: {error}", file=path) from error
    if root is None:
        raise FormatError("the XML is empty", file=path)
    return root


def load_yaml(path: Path, *, what: str = "a declaration") -> Any:
    """The value of a YAML file of plain values.

    Raises:
        FormatError: As `read_text`; or not YAML, with aliases (by which few lines become gigabytes), with tags
            of another language, or nested too deep.
    """
    text = read_text(path, what=what, max_bytes=_MAX_YAML_BYTES)
    try:
        danger = yaml_danger(text)
        if danger is not None:
            raise FormatError(f"{danger[0]}, in {what}", file=path, item=f"line {danger[1]}")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "cannot be read"
        raise FormatError(
            f"not valid YAML: {problem}", file=path, item=f"line {mark.line + 1}" if mark else None
        ) from error
    except RecursionError as error:
        raise FormatError(f"the YAML is nested too deep for {what}", file=path) from error
    except (
        ValueError,
        TypeError,
        OverflowError,
        AttributeError,
    ) as error:  # a date of month 13, an unhashable key
        raise FormatError(f"not valid YAML: {error}", file=path) from error


def files_under(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Regular files of these suffixes in a folder and below, sorted; links out of the folder are passed over.

    Raises:
        FormatError: More than two million files.
    """
    wanted, inside = set(suffixes), folder.resolve()
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(parent) / name
            if name.startswith(".") or path.suffix.lower() not in wanted or not path.is_file():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                continue
            found.append(path)
        if len(found) > _MAX_FILES:
            raise FormatError(f"more than {_MAX_FILES:,} files", file=folder)
    return sorted(found)


def single_file(path: Path, suffix: str) -> Path:
    """The file itself; of a folder, the only file of this suffix in it or below. Else the path as it is."""
    if not path.is_dir():
        return path
    files = files_under(path, {suffix})
    return files[0] if len(files) == 1 else path


@contextmanager
def open_folder(path: Path, *, max_bytes: int = MAX_BYTES, max_files: int = _MAX_FILES) -> Iterator[Path]:
    """A folder as it is, a file as it is, a zip archive unpacked into a temporary folder for as long as needed.

    Only label files come out of an archive, and empty files in place of pictures. What the archive says of its
    sizes is not believed: bytes are counted as they come.

    Raises:
        FormatError: Not there; an archive that is broken, encrypted or of another kind; a member that would lie
            outside the folder, is a link or a device; more than `max_bytes` or `max_files` in all.
    """
    if not path.exists():
        raise FormatError("there is no such file or folder", file=path)
    if path.is_dir() or path.suffix.lower() not in (
        ".zip",
        ".tar",
        ".gz",
        ".tgz",
        ".7z",
        ".rar",
        ".bz2",
        ".xz",
    ):
        yield path
        return
    if path.suffix.lower() != ".zip":
        raise FormatError("of archives only .zip is read", file=path, hint="unpack it and give the folder")
    with tempfile.TemporaryDirectory(prefix="crossguard-") as name:
        folder = Path(name)
        _unpack(path, folder, max_bytes, max_files)
        yield folder


def _unpack(path: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > max_files:
                raise FormatError(
                    f"the archive has {len(members):,} files, the limit is {max_files:,}", file=path
                )
            left = max_bytes
            seen: set[str] = set()
            for member in members:
                target = _target(member, path)
                if target is None or target.suffix.lower() not in LABEL_SUFFIXES | IMAGE_SUFFIXES:
                    continue
                if target.as_posix() in seen:
                    raise FormatError("the archive holds this file twice", file=path, item=member.filename)
                seen.add(target.as_posix())
                if target.suffix.lower() in IMAGE_SUFFIXES:
                    (folder / target).parent.mkdir(parents=True, exist_ok=True)
                    (folder / target).touch(exist_ok=False)
                else:
                    left -= _write_member(archive, member, folder / target, left, path, max_bytes)
    except CurateError:
        raise
    except OSError as error:
        raise FormatError(f"cannot be unpacked: {error.strerror or error}", file=path) from error
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError, zlib.error) as error:
        # RuntimeError: encrypted; NotImplementedError: packed by an unknown method; ValueError: a NUL in a name.
        raise FormatError(f"not a zip archive that can be read: {error}", file=path) from error


def _target(member: zipfile.ZipInfo, path: Path) -> PurePosixPath | None:
    """Where a member belongs inside the folder; None for a folder."""
    if not member.filename:
        raise FormatError("the archive holds a file without a name", file=path)
    name = member.filename.replace("\\", "/")
    target = PurePosixPath(name)
    if target.is_absolute() or ".." in target.parts or re.match(r"[A-Za-z]:", name) or "\x00" in name:
        raise FormatError(
            "the archive holds a path that leads out of its folder; refused", file=path, item=member.filename
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise FormatError("the archive holds a link or a device; refused", file=path, item=member.filename)
    return None if member.is_dir() or not target.parts else target


def _write_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int, path: Path, limit: int
) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(member) as source, target.open("xb") as file:
        while block := source.read(1 << 16):
            written += len(block)
            if written > left:
                raise FormatError(
                    f"the archive unpacks to more than {limit:,} bytes; refused",
                    file=path,
                    item=member.filename,
                )
            file.write(block)
    return written


def check_file(path: Path, what: str, max_bytes: int) -> os.stat_result:
    """What the system says of a regular file of sane size.

    Raises:
        FormatError: Missing, not a regular file, unreadable or too large.
    """
    try:
        if not path.is_file():
            kind = "this is a folder" if path.is_dir() else "there is no such file"
            raise FormatError(f"expected {what}, {kind}", file=path)
        found = path.stat()
    except OSError as error:  # a path too long, a loop of links
        raise FormatError(f"cannot be read: {error.strerror or error}", file=path) from error
    except ValueError as error:
        raise FormatError(f"not a path: {error}", file=path) from error
    if found.st_size > max_bytes:
        raise FormatError(f"the file has {found.st_size:,} bytes, the limit is {max_bytes:,}", file=path)
    return found
