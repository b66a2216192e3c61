"""The project that this server works on, opened once per process and safe to use from any thread."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from crossguard_app.signing import read_secret, sign
from curate.annotations import Frame
from curate.errors import ProjectError
from curate.workflows.project import SITE_FILE, Project

__all__ = [
    "PROJECT_VARIABLE",
    "ROUTE",
    "assist_token",
    "assist_url",
    "base_path",
    "context_url",
    "current_project",
    "image_url",
    "project_secret",
]

PROJECT_VARIABLE = "CROSSGUARD_PROJECT"
ROUTE = "crossguard"
"""First part of the path of the app's own routes."""


def current_project() -> Project:
    """The project named by CROSSGUARD_PROJECT; read again when its site.yaml changes.

    Raises:
        ProjectError: None is named, or there is none.
        ConfigError: Its site.yaml is wrong.
    """
    folder = os.environ.get(PROJECT_VARIABLE)
    if not folder:
        raise ProjectError("no project was given", hint="start the app with `curate app PROJECT`")
    site = Path(folder) / SITE_FILE
    stamp = site.stat().st_mtime_ns if site.is_file() else 0
    project = _open(folder, os.environ.get("CROSSGUARD_DB", ""), stamp)
    _name_actor(project)
    return project


def _name_actor(project: Project) -> None:
    """On a page (and in what its widgets call before it) changes are those of the person who signed in."""
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from crossguard_app.signin import person, sign_in_required

    if get_script_run_ctx(suppress_warning=True) is None or project.store.has_actor or not sign_in_required():
        return
    project.store.act_as(person(project) or "")


@lru_cache(maxsize=4)
def _open(folder: str, _database: str, _stamp: int) -> Project:
    # Keyed by everything that decides which database is meant; the store inside connects once per thread.
    return Project.open(folder)


@lru_cache(maxsize=4)
def _secret(path: Path) -> bytes:
    return read_secret(path)


def project_secret(project: Project) -> bytes:
    """What the picture addresses of this project are signed with."""
    return _secret(project.state_dir / "app-secret")


def base_path() -> str:
    """Path under which the server is reached: "" or "/prefix"."""
    from streamlit import config

    prefix = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}" if prefix else ""


def image_url(
    project: Project, frame: Frame, *, width: int = 0, box: tuple[int, int, int, int] | None = None
) -> str:
    """Signed address of a frame's picture.

    Args:
        project: The project.
        frame: The frame.
        width: Scale to this width in pixels (one of `routes.WIDTHS`); 0 for the stored file as it is.
        box: Cut out x1, y1, x2, y2 first.
    """
    crop = "" if box is None else ",".join(str(side) for side in box)
    signature = sign(project_secret(project), frame.id, str(width), crop)
    query = f"s={signature}" + (f"&w={width}" if width else "") + (f"&b={crop}" if crop else "")
    return f"{base_path()}/{ROUTE}/image/{frame.id}?{query}"


def assist_url() -> str:
    """Path of the route that answers the editor: masks for clicks, overlays (see `assist_routes`)."""
    return f"{base_path()}/{ROUTE}/assist"


def assist_token(project: Project, frame_id: str) -> str:
    """What a request about this frame to that route must carry."""
    return sign(project_secret(project), "assist", frame_id)


def context_url(project: Project, issue_id: str) -> str:
    """Signed address of what lies around an issue: its neighbours in time and what is alike."""
    signature = sign(project_secret(project), "context", issue_id)
    return f"{base_path()}/{ROUTE}/context/{issue_id}?s={signature}"
