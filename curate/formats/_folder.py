"""Frames from image files: a file, several, a folder (with its subfolders) or a glob pattern."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from curate.errors import ImageError
from curate.formats._items import IMAGE_SUFFIXES, JPEG_QUALITY, MAX_PIXELS, MediaItem, Rejected
from curate.formats.images import read_still
from curate.formats.times import time_from_exif, time_from_name

__all__ = ["natural_key", "read_images"]


def natural_key(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Sort key by which frame_9.jpg comes before frame_10.jpg, folder by folder."""
    return tuple(
        tuple(
            (0, int(piece), piece) if piece.isascii() and piece.isdigit() else (1, 0, piece.casefold())
            for piece in re.split(r"([0-9]+)", part)
            if piece
        )
        for part in path.parts
    )


def read_images(
    sources: str | Path | Iterable[str | Path],
    *,
    max_pixels: int = MAX_PIXELS,
    quality: int = JPEG_QUALITY,
) -> Iterator[MediaItem | Rejected]:
    """Read images in natural order, each with its capture time.

    The time is EXIF's DateTimeOriginal, else a time in the file name, else the index in seconds (then
    `wall_time` is False). Names are relative to the one folder given, else to the folder that all inputs
    share. In a folder, hidden files and files of other kinds are passed over; a link is followed only to a
    regular file inside the folder.

    Args:
        sources: File, folder or glob pattern ("cam/**/*.jpg"), or several of them.
        max_pixels: Larger pictures are rejected before they are decoded.
        quality: JPEG quality where a picture must be encoded anew (not upright, not plain JPEG or PNG).

    Yields:
        A `MediaItem` for each good image, a `Rejected` for each bad one and for each input without images.
    """
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    found: list[Path] = []
    bad: list[Rejected] = []
    roots: list[Path] = []
    for source in listed:
        files, root, rejected = _expand(str(source))
        found += files
        bad += rejected
        roots.append(root)
    yield from bad
    root = _common_root(roots)
    unique = sorted(set(found), key=lambda path: natural_key(_relative(path, root)))
    places: dict[Path, int] = {}
    for path in unique:
        index = places.get(path.parent, 0)
        places[path.parent] = index + 1
        yield _read_one(path, root, index, max_pixels, quality)


def _read_one(path: Path, root: Path, index: int, max_pixels: int, quality: int) -> MediaItem | Rejected:
    try:
        still = read_still(path, max_pixels=max_pixels, quality=quality)
    except ImageError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Rejected(str(path), "", f"{error.message}{hint}")
    relative = _relative(path, root)
    clip = relative.parent.as_posix() if relative.parent.parts else root.name or "images"
    captured = time_from_exif(still.exif)
    if captured is None:
        captured = time_from_name(path.stem)
    return MediaItem(
        name=relative.as_posix(),
        clip=clip,
        index=index,
        captured_at=float(index) if captured is None else captured,
        wall_time=captured is not None,
        width=still.width,
        height=still.height,
        data=still.data,
        extension=still.extension,
        source=str(path),
    )


def _expand(source: str) -> tuple[list[Path], Path, list[Rejected]]:
    """The image files of one input, the folder that their names are relative to, and what is wrong."""
    path = _absolute(source)
    try:
        if path.is_dir():
            files, bad = _scan_folder(path)
            if not files and not bad:
                bad = [Rejected(source, "", "the folder holds no image (JPEG, PNG, WebP, BMP or TIFF)")]
            return files, path, bad
        if path.exists() or path.is_symlink() or not glob.has_magic(source):
            return _single_file(path, source)
        return _glob(source)
    except OSError as error:
        return [], path.parent, [Rejected(source, "", f"cannot be read: {error.strerror or error}")]


def _single_file(path: Path, source: str) -> tuple[list[Path], Path, list[Rejected]]:
    reason = ""
    if not path.exists():
        reason = "the link leads nowhere" if path.is_symlink() else "there is no such file or folder"
    elif not path.is_file():
        reason = "not a regular file"
    elif path.suffix.lower() not in IMAGE_SUFFIXES:
        reason = f'the name ends in "{path.suffix}"; images end in {", ".join(sorted(IMAGE_SUFFIXES))}'
    if reason:
        return [], path.parent, [Rejected(source, "", reason)]
    return [path], path.parent, []


def _scan_folder(folder: Path) -> tuple[list[Path], list[Rejected]]:
    files: list[Path] = []
    bad: list[Rejected] = []
    inside = folder.resolve()

    def unreadable(error: OSError) -> None:
        bad.append(Rejected(str(error.filename), "", f"the folder cannot be read: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent) / name
            if name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            if not path.is_file():
                reason = "the link leads nowhere" if path.is_symlink() else "not a regular file"
                bad.append(Rejected(str(path), "", reason))
            elif path.is_symlink() and not path.resolve().is_relative_to(inside):
                bad.append(
                    Rejected(str(path), "", "the link leads out of the folder; give its target as an input")
                )
            else:
                files.append(path)
    return files, bad


def _glob(pattern: str) -> tuple[list[Path], Path, list[Rejected]]:
    parts = _absolute(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    matches = root.glob(str(Path(*parts[fixed:])))
    files = [path for path in matches if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not files:
        return [], root, [Rejected(pattern, "", "the pattern matches no image file")]
    return files, root, []


def _absolute(source: str) -> Path:
    """Absolute, `..` taken out of the text, links left as they are."""
    return Path(os.path.normpath(Path(source).expanduser().absolute()))


def _common_root(roots: list[Path]) -> Path:
    return Path(os.path.commonpath(roots)) if roots else Path.cwd()


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
