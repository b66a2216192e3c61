"""The small disk that the fault suite works on, and the copy that outlives it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["fill_disk", "keep", "room", "small_disk"]

_ROOM = 400_000


@contextlib.contextmanager
def fill_disk(folder: Path, room: int) -> Iterator[None]:
    """Leave only so many bytes free on the file system of a folder."""
    filler = folder / "filler"
    free = shutil.disk_usage(folder).free
    with filler.open("wb") as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, max(0, free - room))
    try:
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A file system of its own at `folder`, where this user may mount one; else False, and the folder as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def room(chance: random.Random) -> int:
    """Bytes left on a disk that is nearly full."""
    return int(chance.uniform(0, 1) ** 2 * _ROOM)


def keep(source: Path, kept: Path) -> None:
    """Copy a folder, all of it or nothing; what did not change since the last copy is linked from there."""
    draft, old = kept.with_name(f"{kept.name}.new"), kept.with_name(f"{kept.name}.old")
    shutil.rmtree(draft, ignore_errors=True)

    def copy(file: str, target: str) -> None:
        before, now = kept / Path(file).relative_to(source), Path(file).stat()
        if before.is_file():
            then = before.stat()
            if (then.st_size, then.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
                os.link(before, target)
                return
        shutil.copy2(file, target)

    shutil.copytree(source, draft, copy_function=copy)
    if kept.exists():
        kept.replace(old)
    draft.replace(kept)
    shutil.rmtree(old, ignore_errors=True)
