"""Copies of remote pictures on this machine, the least recently used of which make room."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from curate.files import write_atomically

__all__ = ["PictureCache"]

_GRACE_SECONDS = 10.0
"""A copy used this recently stays: somebody was given its path and is about to open it."""
_KEPT_SHARE, _SURVEY_SHARE = 0.8, 0.1


@dataclass
class PictureCache:
    """A folder of bounded size; several processes may share it.

    The folder is measured again after a tenth of its limit has come in, and emptied down to four fifths, oldest use
    first. So one process keeps it below the limit; each further one may exceed it by a tenth, and copies of the
    last ten seconds always stay.

    Attributes:
        folder: Made when needed.
        limit: Bytes.
    """

    folder: Path
    limit: int
    _since: float = float("inf")

    def get(self, name: str) -> Path | None:
        """The copy, which counts as used now; None when there is none."""
        path = self.folder / name
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def put(self, name: str, data: bytes) -> Path:
        """Keep a copy.

        Raises:
            ProjectError: It cannot be written.
        """
        path = self.folder / name
        write_atomically(path, data)
        self._since += len(data)
        if self._since > _SURVEY_SHARE * self.limit:
            self._make_room()
            self._since = 0.0
        return path

    def remove(self, name: str) -> bool:
        """Forget a copy; whether there was one."""
        try:
            (self.folder / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """Names of the copies directly in one folder of the cache."""
        return [f"{folder}/{path.name}" for path in (self.folder / folder).glob("*") if path.is_file()]

    def _make_room(self) -> None:
        found = []
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    stat = path.stat()
                    found.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= (1 - _SURVEY_SHARE) * self.limit:
            return
        newest = time.time() - _GRACE_SECONDS
        for used, size, path in sorted(found):
            if total <= _KEPT_SHARE * self.limit or used > newest:
                return
            with contextlib.suppress(OSError):  # Another process was quicker.
                path.unlink()
            total -= size
