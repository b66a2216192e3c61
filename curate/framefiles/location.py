"""From the setting in site.yaml to the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.errors import ConfigError
from curate.framefiles.base import FrameFiles
from curate.framefiles.cache import PictureCache
from curate.framefiles.local import LocalFrames
from curate.framefiles.remote import RemoteFrames

__all__ = ["open_frame_files"]

_UNFIT = frozenset(
    {"http", "https", "memory", "data", "zip", "tar", "libarchive", "reference", "git", "github"}
)
_MIB = 1 << 20


def open_frame_files(
    url: str | None, *, folder: Path, cache: Path, cache_mb: int, access: Callable[[], str | None]
) -> FrameFiles:
    """The place that `frames.url` names.

    Args:
        url: fsspec URL, `file:///folder`, or None for the project's own folder.
        folder: The project's own folder.
        cache: Folder for copies of remote pictures.
        cache_mb: Its bound.
        access: Text of the file with access options (a JSON object), or None when there is none; asked for only
            when the place is remote.

    Raises:
        ConfigError: The protocol is unknown, not for keeping files, or its library is not installed; or the access
            options are not a JSON object.
    """
    if url is None:
        return LocalFrames(folder)
    protocol, _, rest = url.partition("://")
    if protocol in ("file", "local"):
        return LocalFrames(Path(rest))
    _expect_protocol(protocol)
    return RemoteFrames(url, _options(access()), PictureCache(cache, cache_mb * _MIB))


def _expect_protocol(protocol: str) -> None:
    import fsspec

    if protocol in _UNFIT or protocol.endswith("cache") or protocol not in fsspec.available_protocols():
        raise ConfigError(
            f"pictures cannot be kept behind {protocol}://",
            item="frames.url",
            hint="such as s3://bucket/prefix, gs://, az://, sftp://; or file:///folder",
        )
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = "pip install 'crossguard[s3]'" if protocol in ("s3", "s3a") else str(error)
        raise ConfigError(
            f"the library for {protocol}:// is not installed", item="frames.url", hint=extra
        ) from error


def _options(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # Not quoted: its content is secret.
        value = None
    if not isinstance(value, dict):
        raise ConfigError(
            "expected a JSON object of options for fsspec",
            item="access options of the frames",
            hint='such as {"key": "...", "secret": "...", "endpoint_url": "https://..."}',
        )
    return value
