"""Pictures behind an fsspec URL: an object store, or a server that files are sent to."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from curate.annotations import Frame
from curate.errors import CurateError, ImageError, ProjectError
from curate.framefiles.base import checked_path, plain_ids
from curate.framefiles.cache import PictureCache

__all__ = ["RemoteFrames"]

_WHOLE_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"})
"""Stores in which an object appears when all of it has come, never before."""
_HALVES = "unfinished"
"""Folder in which pictures grow, where the store shows what is not finished."""
_DEFAULTS: dict[str, dict[str, Any]] = {
    # Two tries and short waits: a store that is gone is told within seconds, not after minutes of silence.
    protocol: {
        "use_listings_cache": False,
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 1}},
    }
    for protocol in ("s3", "s3a")
}


class RemoteFrames:
    """`FrameFiles` behind a URL, with a bounded cache of copies on this machine.

    A fetched picture is compared with its frame's SHA-256 before it is kept, so that neither a cut connection nor
    somebody else's change gets into a scan or a training.

    Args:
        url: Such as "s3://bucket/prefix".
        options: What fsspec is given besides, such as keys and addresses; never shown.
        cache: Where copies are kept.

    Raises:
        ConfigError: fsspec knows no such protocol, or its library is not installed.
    """

    remote = True

    def __init__(self, url: str, options: Mapping[str, Any], cache: PictureCache) -> None:
        self._url = url.rstrip("/")
        self._protocol = url.partition("://")[0]
        self._options = {**_DEFAULTS.get(self._protocol, {}), **options}
        self._cache = cache
        self._opened: tuple[int, Any, str] | None = None
        self._there = False

    @property
    def shown(self) -> str:
        """The URL; secrets never stand in it."""
        return self._url

    @property
    def folder(self) -> Path:
        """The cache's folder."""
        return self._cache.folder

    def path(self, frame: Frame) -> Path:
        """The copy on this machine, fetched when it is not there."""
        name = checked_path(frame.path)
        known = self._cache.get(name)
        if known is not None:
            return known
        data = self.read(frame)
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise ImageError(
                "this picture is not the one that was stored",
                file=f"{self._url}/{name}",
                hint="`curate db check` names all of them; restore a backup with frames",
            )
        return self._cache.put(name, data)

    def read(self, frame: Frame) -> bytes:
        """The bytes as the store has them."""
        name = checked_path(frame.path)
        with self._errors(name):
            store, root = self._store()
            try:
                return bytes(store.cat_file(f"{root}/{name}"))
            except FileNotFoundError as error:
                self._expect_root()
                raise ImageError("there is no such picture", file=f"{self._url}/{name}") from error

    def exists(self, path: str) -> bool:
        """Whether the store has it."""
        return self._size(checked_path(path)) is not None

    def digest(self, frame: Frame) -> str | None:
        """SHA-256 (hex) of what the store has."""
        try:
            return hashlib.sha256(self.read(frame)).hexdigest()
        except ImageError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Store it, whole; what has the right size already is left alone."""
        name = checked_path(path)
        if self._size(name) == len(data):
            return
        with self._errors(name):
            store, root = self._store()
            target = f"{root}/{name}"
            if self._protocol in _WHOLE_AT_ONCE:
                store.pipe_file(target, data)
                return
            half = f"{root}/{_HALVES}/{uuid.uuid4().hex}.tmp"
            for folder in (half, target):
                store.makedirs(folder.rpartition("/")[0], exist_ok=True)
            store.pipe_file(half, data)
            if store.exists(target):  # Of another size: cut off by something else than this program.
                store.rm_file(target)
            store.mv(half, target)

    def copies(self, frame_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Objects and cached copies whose name begins with one of the ids."""
        for frame_id, name in self._cached(frame_ids):
            yield frame_id, str(self._cache.folder / name)
        for frame_id, name in self._stored(frame_ids):
            yield frame_id, f"{self._url}/{name}"

    def erase(self, frame_ids: Iterable[str]) -> int:
        """Delete them, here and there."""
        wanted = sorted(frame_ids)
        erased = sum(self._cache.remove(name) for _, name in list(self._cached(wanted)))
        for _, name in list(self._stored(wanted)):
            with self._errors(name):
                store, root = self._store()
                store.rm_file(f"{root}/{name}")
                erased += 1
        return erased

    def leftovers(self) -> list[str]:
        """Unfinished pictures, in stores that show them."""
        return [f"{self._url}/{name}" for name in self._listed(_HALVES)]

    def expect_reachable(self) -> None:
        """Ask for the list of what lies there."""
        self._there = False
        with self._errors(""):
            self._expect_root()

    def _cached(self, frame_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
        return _of_frames(frame_ids, self._cache.names)

    def _stored(self, frame_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
        return _of_frames(frame_ids, self._listed)

    def _listed(self, folder: str) -> list[str]:
        with self._errors(folder):
            store, root = self._store()
            store.invalidate_cache()
            try:
                found = store.ls(f"{root}/{folder}", detail=False)
            except FileNotFoundError:
                self._expect_root()
                return []
            return [f"{folder}/{str(name).rpartition('/')[2]}" for name in found]

    def _size(self, name: str) -> int | None:
        with self._errors(name):
            store, root = self._store()
            store.invalidate_cache()
            try:
                return int(store.info(f"{root}/{name}")["size"])
            except FileNotFoundError:
                self._expect_root()
                return None

    def _expect_root(self) -> None:
        """A bucket that does not exist looks like one in which every picture is missing; it must not."""
        if self._there:
            return
        store, root = self._store()
        for place in (
            root,
            root.partition("/")[0],
        ):  # A prefix of nothing is fine where there are no folders.
            try:
                store.ls(place, detail=False)
                break
            except FileNotFoundError as error:
                if self._protocol in _WHOLE_AT_ONCE and place == root and "/" in root:
                    continue
                raise ProjectError(
                    "there is no such bucket or folder",
                    file=self._url,
                    hint="make it, or correct `frames.url` in site.yaml",
                ) from error
        self._there = True

    def _store(self) -> tuple[Any, str]:
        """The file system, and the path of our root in it; a new one in every process: its threads do not fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            import fsspec

            store, root = fsspec.core.url_to_fs(self._url, **self._options)
            self._opened = (os.getpid(), store, str(root).rstrip("/"))
        return self._opened[1], self._opened[2]

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Whatever a store's library raises, as one clear error: each has classes of its own."""
        try:
            yield
        except CurateError:
            raise
        except Exception as error:
            if isinstance(error, PermissionError):
                reason, hint = "refuses", "check the credentials and their rights on it"
            else:
                reason = "cannot be used"
                hint = "check the address, the network and the credentials, then give the same command again"
            raise ProjectError(
                f"the store of the frames {reason}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
                file=self._url,
                item=name or None,
                hint=hint,
            ) from error


def _of_frames(frame_ids: Iterable[str], listed: Any) -> Iterator[tuple[str, str]]:
    """(frame id, name) of what lies under the ids; one listing for all that share a folder."""
    for folder, group in groupby(plain_ids(frame_ids), key=lambda frame_id: frame_id[:2]):
        wanted = set(group)
        for name in sorted(listed(folder)):
            frame_id = name.rpartition("/")[2].partition(".")[0]
            if frame_id in wanted:
                yield frame_id, name
