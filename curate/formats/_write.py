"""Writing label folders: whole or not there, and never over something else."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from curate.annotations import Frame
from curate.errors import DataError, ProjectError
from curate.formats.labelset import Content, LabelExport

__all__ = ["companion_files", "one_file_a_frame", "write_folder"]


def write_folder(folder: Path, files: Mapping[str, Content]) -> None:
    """Write a folder of files beside its place, then rename it there.

    Args:
        folder: Must not exist, or be empty.
        files: Path inside the folder -> its content.

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
            for name in sorted(files):
                _write_one(temporary, name, files[name])
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
            file.write(content() if callable(content) else content)


def one_file_a_frame(frames: list[Frame], suffix: str) -> dict[str, str]:
    """Frame id -> path of its label file: the frame's name with another suffix.

    Raises:
        DataError: Two frames would share one file.
    """
    taken: dict[str, str] = {}
    result: dict[str, str] = {}
    for frame in frames:
        path = PurePosixPath(frame.name).with_suffix(suffix).as_posix()
        if path in taken:
            raise DataError(
                f'its label file "{path}" would be that of "{taken[path]}" too',
                item=f"frame {frame.name}",
                hint="this format has one file for each name without its suffix; choose another",
            )
        taken[path] = frame.name
        result[frame.id] = path
    return result


def companion_files(export: LabelExport, folder: str) -> dict[str, Content]:
    """The images to copy, under their frames' names inside `folder`."""
    prefix = f"{folder}/" if folder else ""
    return {
        f"{prefix}{frame.name}": export.images[frame.id]
        for frame in export.frames
        if frame.id in export.images
    }
