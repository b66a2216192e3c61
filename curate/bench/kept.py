"""Results of a long bench in a folder, by their content, so that a run that was cut off goes on."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.files import read_json, write_json

__all__ = ["Kept", "release_memory"]


class Kept:
    """A folder of results.

    Args:
        folder: Made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def folder(self, *content: Any) -> Path:
        """The folder of what follows from `content` (JSON-ready); it need not exist."""
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return self._folder / digest[:16]

    def value(self, compute: Callable[[], dict[str, Any]], *content: Any) -> dict[str, Any]:
        """A JSON-ready result, computed once for each content."""
        file = self.folder(*content) / "value.json"
        if not file.is_file():
            write_json(file, compute())
        found: dict[str, Any] = read_json(file)
        return found


def release_memory() -> None:
    """Give freed memory back to the system, so that the next peak is that of the next work alone."""
    gc.collect()
    # Only glibc knows this; elsewhere the peak of a later work includes what an earlier one left.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
