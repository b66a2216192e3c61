"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from curate.errors import ConfigError, ConflictError, DataError, ProjectError

__all__ = ["exclusive", "read_json", "read_secret_file", "write_atomically", "write_json"]


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, make_folder: bool = True) -> None:
    """Write a file so that a crash or a full disk leaves the old one, or nothing, but never half of the new one.

    Args:
        path: The file; replaced at once when everything is on the disk.
        data: Its content, whole or in pieces.
        make_folder: Make its folder when it is missing.

    Raises:
        ProjectError: The folder cannot be written, or the disk is full.
    """
    # Opened by name, not by `tempfile`: the result gets the permissions that the user's umask says.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                for piece in (data,) if isinstance(data, bytes) else data:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise ProjectError(
            f"cannot be written: {error.strerror or error}",
            file=path,
            hint="check that the folder exists, may be written and has room",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone; the system lets go of it when the process ends, however it ends.

    Raises:
        ConflictError: Another process holds it.
        ProjectError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("ab")
    except OSError as error:
        raise ProjectError(f"cannot be used: {error.strerror or error}", file=folder) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConflictError(
                "another process works in this folder",
                file=folder,
                hint="wait for it, or cancel it in the app",
            ) from error
        yield


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; NaN is refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True)
    write_atomically(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: Missing or not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", file=path) from error


def read_secret_file(path: Path) -> str:
    """A secret from a file that nobody else can read.

    Raises:
        ConfigError: It is missing, empty, or readable by others.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the secret cannot be read: {error}", item=str(path)) from error
    if mode & 0o077:
        raise ConfigError(
            f"others can read this secret (rights {mode:04o})", item=str(path), hint=f"chmod 600 {path}"
        )
    if not text:
        raise ConfigError("the file is empty", item=str(path))
    return text
