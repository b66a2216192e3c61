"""Writing label folders: whole or not there, and never over something else."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from curate.annotations import Frame
from curate.errors import DataError, ProjectError
from curate.formats.labelset import Content, LabelExport

__all__ = ["FilePerFrame", "Stems", "json_list", "write_folder"]


def write_folder(folder: Path, files: Iterable[tuple[str, Content]]) -> None:
    """Write a folder of files beside its place, then rename it there.

    Args:
        folder: Must not exist, or be empty.
        files: Path inside the folder, and its content, one after the other; none is kept.

    Raises:
        ProjectError: There is something already, or it cannot be written; then nothing is left behind.
        DataError: A path would lie outside the folder.
    """
    temporary = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ProjectError(
                "there is something here already", file=folder, hint="give a new or an empty folder"
            )
        try:
            temporary.mkdir(parents=True)
            for name, content in files:
                _write_one(temporary, name, content)
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(temporary)
    except OSError as error:
        raise ProjectError(
            f"cannot be written: {error.strerror or error}",
            file=folder,
            hint="check that the folder above may be written and has room",
        ) from error


def _write_one(folder: Path, name: str, content: Content) -> None:
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        raise DataError("this name would lie outside the folder that is written", item=name)
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file)
        else:
            for piece in (content,) if isinstance(content, bytes) else _pieces(content):
                file.write(piece)


def _pieces(content: Callable[[], bytes] | Iterator[bytes]) -> Iterator[bytes]:
    if callable(content):
        yield content()
    else:
        yield from content


class FilePerFrame:
    """The label file of each frame: the frame's name with another suffix. Holds the paths, nothing else.

    Args:
        export: What is written.
        suffix: Such as ".txt".
    """

    def __init__(self, export: LabelExport, suffix: str) -> None:
        self._export = export
        self._suffix = suffix
        self.paths: set[str] = set()

    def path(self, frame: Frame) -> str:
        """The path of a frame's file; ask once for each frame.

        Raises:
            DataError: Another frame has it already.
        """
        path = self._path(frame)
        if path in self.paths:
            other = next(other.name for other in self._export.frames() if self._path(other) == path)
            raise DataError(
                f'its label file "{path}" would be that of "{other}" too',
                item=f"frame {frame.name}",
                hint="this format has one file for each name without its suffix; choose another",
            )
        self.paths.add(path)
        return path

    def _path(self, frame: Frame) -> str:
        return PurePosixPath(frame.name).with_suffix(self._suffix).as_posix()


class Stems:
    """Names of frames without their suffix, where a format knows frames by them. Holds them, nothing else."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def stem(self, frame: Frame) -> str:
        """The stem of a frame; ask once for each frame.

        Raises:
            DataError: Another frame has it already.
        """
        stem = frame.name.rpartition(".")[0] or frame.name
        if stem in self._taken:
            raise DataError("two frames have this name without its suffix", item=f"frame {stem}")
        self._taken.add(stem)
        return stem


def json_list(entries: Iterable[Any]) -> Iterator[bytes]:
    """Entries one a line between "[" and "]", as pieces of ASCII."""
    yield b"["
    separator = "\n"
    for entry in entries:
        yield (separator + json.dumps(entry, separators=(",", ":"), allow_nan=False)).encode("ascii")
        separator = ",\n"
    yield b"\n]"
