"""A user's project: the folder with site.yaml, and what lies in its .crossguard folder."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from curate.annotations import Frame
from curate.config import SiteConfig, load_site, parse_site, site_template
from curate.errors import ConfigError, ProjectError
from curate.files import read_secret_file
from curate.formats.media import decode_image
from curate.framefiles import FrameFiles, open_frame_files
from curate.store import Role, SiteSettings, Store
from curate.types import ImageArray
from curate.workflows.profile import reviewer_name

__all__ = ["SITE_FILE", "STATE_FOLDER", "Project"]

SITE_FILE = "site.yaml"
STATE_FOLDER = ".crossguard"


@dataclass(frozen=True)
class Project:
    """A project on disk. Cheap to make: the database is opened when first asked for.

    Attributes:
        root: The folder that holds site.yaml.
        config: The validated declaration.
    """

    root: Path
    config: SiteConfig

    @classmethod
    def open(cls, folder: str | Path = ".") -> Project:
        """Open the project in a folder or in one of its parents.

        Raises:
            ProjectError: There is none.
            ConfigError: Its site.yaml is wrong.
        """
        start = Path(folder).absolute()
        for candidate in (start, *start.parents):
            if (candidate / SITE_FILE).is_file():
                return cls(candidate, load_site(candidate / SITE_FILE))
        raise ProjectError(
            f"there is no {SITE_FILE} here or above", file=start, hint="start a project with `curate init`"
        )

    @classmethod
    def create(cls, folder: str | Path, classes: list[str], *, camera: str = "camera-1") -> Project:
        """Write a commented site.yaml into a new or empty-of-projects folder and make its state folder.

        Raises:
            ProjectError: There is a project already, or the folder cannot be written.
            ConfigError: A class or camera name is not allowed.
        """
        root = Path(folder).absolute()
        site = root / SITE_FILE
        name = "".join(char for char in root.name if char.isprintable() and char not in "/\\<>")[:64].strip()
        text = site_template(name or "my-junction", classes, camera)
        config = parse_site(text, file=site)
        try:
            root.mkdir(parents=True, exist_ok=True)
            with site.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise ProjectError(
                "there is a project here already", file=site, hint="edit it, or choose another folder"
            ) from error
        except OSError as error:
            raise ProjectError(f"cannot write here: {error.strerror}", file=root) from error
        project = cls(root, config)
        project.store.close()
        return project

    @cached_property
    def state_dir(self) -> Path:
        """.crossguard, made when missing."""
        return self._folder()

    def _folder(self, *parts: str) -> Path:
        path = self.root.joinpath(STATE_FOLDER, *parts)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(
                f"cannot make this folder: {error.strerror}",
                file=path,
                hint="check its permissions and the disk",
            ) from error
        return path

    @cached_property
    def frame_files(self) -> FrameFiles:
        """Where the frames' pictures lie: .crossguard/frames, or what `frames.url` names.

        Raises:
            ConfigError: The place or the access to it is not declared as it should be.
        """
        frames = self.config.frames
        return open_frame_files(
            frames.url,
            folder=self.state_dir / "frames",
            cache=self.root / STATE_FOLDER / "cache" / "frames",
            cache_mb=frames.cache_mb,
            access=self._frames_access,
        )

    def _frames_access(self) -> str | None:
        """Options for fsspec that nobody else may read; None where the environment says all of it."""
        named = os.environ.get("CROSSGUARD_FRAMES_ACCESS")
        file = Path(named) if named else self.state_dir / "frames-access.json"
        return read_secret_file(file) if named or file.exists() else None

    @property
    def versions_dir(self) -> Path:
        """Manifests of the dataset versions."""
        return self._folder("versions")

    @property
    def backups_dir(self) -> Path:
        """Backups that were written without another place."""
        return self._folder("backups")

    @property
    def runs_dir(self) -> Path:
        """One folder per training run."""
        return self._folder("runs")

    @property
    def cache_dir(self) -> Path:
        """What a scan computed and may be computed again: plates, predictions, embeddings."""
        return self._folder("cache")

    @property
    def logs_dir(self) -> Path:
        """Output of worker processes."""
        return self._folder("logs")

    @property
    def database_url(self) -> str:
        """CROSSGUARD_DB, or `database` of site.yaml, or the SQLite file in .crossguard."""
        chosen = os.environ.get("CROSSGUARD_DB") or self.config.database
        if not chosen:
            return f"sqlite:///{self._folder() / 'crossguard.db'}"
        scheme, separator, path = chosen.partition("://")
        if not separator:
            where = "CROSSGUARD_DB" if os.environ.get("CROSSGUARD_DB") else "database"
            raise ConfigError(
                f"expected a URL such as sqlite:///labels.db or postgresql://user@host/name, got {chosen!r}",
                item=where,
            )
        if scheme == "sqlite" and path.startswith("/") and not path.startswith("//"):
            # A relative file belongs to the project, wherever the command is run.
            return f"sqlite:///{self.root / path[1:]}"
        return chosen

    @cached_property
    def store(self) -> Store:
        """The database, opened (and migrated) at first use; it is told the classes, which decisions are checked by."""
        store = Store.open(self.database_url)
        store.account = reviewer_name()
        wanted = SiteSettings(tuple(self.config.classes), self.config.labels.working)
        if store.site() != wanted:
            store.set_site(self.config.classes, self.config.labels.working)
        return store

    def expect_role(self, least: Role) -> None:
        """Refuse what the person who acts here may not do; every workflow that changes something begins with it.

        Raises:
            AccessError: The project has users, and who asks is none of them or has a smaller role.
        """
        self.store.expect_role(self.store.actor, least)

    def frame_path(self, frame: Frame) -> Path:
        """A file of this machine that holds the picture of a frame; see `FrameFiles.path`."""
        return self.frame_files.path(frame)

    def frame_image(self, frame: Frame) -> ImageArray:
        """The (H, W, 3) RGB image of a frame.

        Raises:
            ImageError: The file is missing or broken.
            ProjectError: Frames lie elsewhere, and that place cannot be reached.
        """
        return decode_image(self.frame_path(frame), max_pixels=self.config.frames.max_pixels)

    def worker_command(self, *arguments: str) -> list[str]:
        """The command line that runs `curate` on this project in another process."""
        return [sys.executable, "-m", "curate.cli.main", *arguments, "--project", str(self.root)]
