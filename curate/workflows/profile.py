"""Who decides: a name that this computer's account keeps, the same for the app and the command line."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path

from curate.errors import ProjectError
from curate.workflows.files import write_json

__all__ = ["clean_name", "profile_path", "reviewer_name", "set_reviewer_name"]

_LONGEST = 64


def profile_path() -> Path:
    """The file: crossguard/profile.json in the account's folder of settings (XDG_CONFIG_HOME, else ~/.config)."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    return Path(folder or Path.home() / ".config") / "crossguard" / "profile.json"


def clean_name(text: str) -> str:
    """A name without line breaks and control characters, at most 64 characters long; may be empty."""
    return "".join(char for char in text if char.isprintable()).strip()[:_LONGEST].strip()


def reviewer_name() -> str:
    """CROSSGUARD_REVIEWER, or the name in the profile, or the account's login."""
    for name in (os.environ.get("CROSSGUARD_REVIEWER", ""), _stored(), _login()):
        if cleaned := clean_name(name):
            return cleaned
    return "reviewer"


def set_reviewer_name(name: str) -> str:
    """Keep a name for the next time; an empty one goes back to the login.

    Returns:
        The name that counts from now on.

    Raises:
        ProjectError: The profile cannot be written.
    """
    path = profile_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"reviewer": clean_name(name)})
    except OSError as error:
        raise ProjectError(
            f"the profile cannot be written: {error.strerror}",
            file=path,
            hint="or set CROSSGUARD_REVIEWER to your name",
        ) from error
    return reviewer_name()


def _stored() -> str:
    try:
        value = json.loads(profile_path().read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    name = value.get("reviewer") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in the password database
        return ""
