"""Writing files so that a crash leaves the old one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from curate.errors import ProjectError

__all__ = ["write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, flush to disk, rename over it.

    Raises:
        ProjectError: The folder or disk cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ProjectError(
            f"the file cannot be written: {error}", file=path, hint="free space or change permissions"
        ) from error
