"""Pictures in a folder of this machine: paths are used as they are, nothing is copied or checked on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import Frame
from curate.errors import ImageError, ProjectError
from curate.files import write_atomically
from curate.framefiles.base import checked_path, plain_ids

__all__ = ["LocalFrames"]


@dataclass(frozen=True)
class LocalFrames:
    """`FrameFiles` in a folder, which is made at the first write."""

    folder: Path

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def remote(self) -> bool:
        """No."""
        return False

    def path(self, frame: Frame) -> Path:
        """Where the picture lies, or should."""
        return self.folder / checked_path(frame.path)

    def read(self, frame: Frame) -> bytes:
        """The picture's bytes."""
        try:
            return self.path(frame).read_bytes()
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}", file=self.path(frame)) from error

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / checked_path(path)).is_file()

    def digest(self, frame: Frame) -> str | None:
        """SHA-256 (hex) of the file; None when there is none."""
        try:
            with self.path(frame).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ProjectError(f"cannot be read: {error.strerror or error}", file=self.path(frame)) from error

    def write(self, path: str, data: bytes) -> None:
        """Write the file at once when it is whole; one that is there is left alone."""
        target = self.folder / checked_path(path)
        if not target.exists():
            if not target.resolve().is_relative_to(self.folder.resolve()):
                raise ImageError("a link leads this picture out of the folder", file=target)
            write_atomically(target, data)

    def copies(self, frame_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Files whose name begins with one of the ids."""
        for frame_id in plain_ids(frame_ids):
            for path in (self.folder / frame_id[:2]).glob(f"{frame_id}.*"):
                yield frame_id, str(path)

    def erase(self, frame_ids: Iterable[str]) -> int:
        """Delete those files."""
        found = [Path(path) for _, path in self.copies(frame_ids)]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def leftovers(self) -> list[str]:
        """None: `curate db check` looks for those of the whole project folder itself."""
        return []

    def expect_reachable(self) -> None:
        """A folder is there, or is made."""
