"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from curate.errors import DataError, ProjectError

__all__ = ["read_json", "write_atomically", "write_json"]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves either all of it or nothing.

    Raises:
        ProjectError: The folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ProjectError(
            f"cannot write: {error.strerror}", file=path, hint="check permissions and free disk space"
        ) from error


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
