"""What every place for the frames' pictures can do, and which names it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from curate.annotations import Frame
from curate.errors import ImageError

__all__ = ["FrameFiles", "checked_path", "plain_ids"]

_ID = re.compile(r"^[0-9A-Za-z_-]{3,64}$")
_PART = re.compile(r"^(?!\.\.?$)[^\x00-\x1f\x7f/\\:?#*\[\]]{1,255}$")


def checked_path(path: str) -> str:
    """The path of a picture below the place where all lie, if it is one that cannot lead out of it.

    Paths come from the database, which may have come from somebody else (`curate db restore`).

    Raises:
        ImageError: It is absolute, empty, has `..` or what a URL or a pattern gives a meaning to.
    """
    if not all(_PART.match(part) for part in path.split("/")):
        raise ImageError("the path of this picture leads out of the place where frames lie", item=repr(path))
    return path


def plain_ids(frame_ids: Iterable[str]) -> list[str]:
    """Those that can be part of a file's name, sorted; one with `*` or `..` in it names no file of ours.

    Ids come from the database, which may have come from somebody else: such a one must not choose what is erased.
    """
    return sorted(frame_id for frame_id in frame_ids if _ID.match(frame_id))


class FrameFiles(Protocol):
    """Pictures by the `path` of their frame ("ab/ab12….jpg"); each is whole or not there.

    Errors of all methods: `ImageError` for a path that leads elsewhere, `ProjectError` when the place cannot be used
    (full, not writable, not reached, refused).
    """

    @property
    def shown(self) -> str:
        """How messages call the place: a folder or a URL, without any secret."""

    @property
    def folder(self) -> Path:
        """The folder of this machine in which every `path` lies."""

    @property
    def remote(self) -> bool:
        """Whether pictures have to be fetched."""

    def path(self, frame: Frame) -> Path:
        """A file of this machine that holds the picture; of a remote one, a copy that stays for some seconds.

        Of a local one, whether there is such a file is found out by opening it.

        Raises:
            ImageError: A remote picture is not there, or is not what was stored.
        """

    def read(self, frame: Frame) -> bytes:
        """The picture's bytes as they are stored now, past any cache.

        Raises:
            ImageError: It is not there.
        """

    def exists(self, path: str) -> bool:
        """Whether a picture is stored under the path, past any cache."""

    def digest(self, frame: Frame) -> str | None:
        """SHA-256 (hex) of what is stored now; None when nothing is."""

    def write(self, path: str, data: bytes) -> None:
        """Store a picture, unless it is there; names hold a digest of the content, so there is only one content."""

    def copies(self, frame_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
        """(frame id, where) of every stored or cached picture of these frames."""

    def erase(self, frame_ids: Iterable[str]) -> int:
        """Delete every stored or cached picture of these frames; returns how many there were."""

    def leftovers(self) -> list[str]:
        """Halves of pictures that a crash left where pictures are stored; nothing ever reads them."""

    def expect_reachable(self) -> None:
        """Fail now, before anything is changed, if the place cannot be used."""
