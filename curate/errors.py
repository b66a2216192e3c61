"""Every error that Crossguard raises on purpose.

Each message says which file and item, what was expected, what came and what to do. The command line
turns a `CurateError` into one clean line and exit code 1 (2 for wrong usage); anything else is a bug.

    CurateError
    ├── ConfigError        site.yaml or an option is wrong
    ├── ProjectError       no project here, or its folder cannot be used (disk full, not writable)
    ├── DataError          a file or an item of the user's data is missing, broken or impossible
    │   ├── ImageError     an image or a video frame cannot be decoded, or is too large
    │   └── FormatError    a label file breaks its format
    ├── StoreError         the database refuses
    │   ├── NotFoundError  no such frame, label, issue, version or run
    │   ├── ConflictError  somebody changed it in the meantime
    │   └── AccessError    this person may not do it
    ├── ModelError         weights are missing or do not fit
    ├── TrainingError      training cannot go on (a NaN loss, no labels, ...)
    └── CompareError       two runs cannot be compared (unlike gold sets)
"""

from __future__ import annotations

__all__ = [
    "AccessError",
    "CompareError",
    "ConfigError",
    "ConflictError",
    "CurateError",
    "DataError",
    "FormatError",
    "ImageError",
    "ModelError",
    "NotFoundError",
    "ProjectError",
    "StoreError",
    "TrainingError",
]


class CurateError(Exception):
    """Base of all errors meant for the user.

    Args:
        message: What is wrong and what was expected, in one sentence.
        file: The file at fault, if any.
        item: The item inside the file (line, key, annotation id), if any.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, file: object = None, item: object = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.item = None if item is None else str(item)
        self.hint = hint

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.file, self.item) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(CurateError):
    """site.yaml or a command's option is wrong."""


class ProjectError(CurateError):
    """There is no project here, or its folder cannot be used."""


class DataError(CurateError):
    """A file or an item of the user's data is missing, broken or impossible."""


class ImageError(DataError):
    """An image or a video frame cannot be decoded, or is too large."""


class FormatError(DataError):
    """A label file breaks its format."""


class StoreError(CurateError):
    """The database refuses."""


class NotFoundError(StoreError):
    """No such frame, label, issue, version or run."""


class ConflictError(StoreError):
    """Somebody changed the item in the meantime."""


class AccessError(StoreError):
    """This person may not do it, or is not who they say."""


class ModelError(CurateError):
    """Model weights are missing or do not fit."""


class TrainingError(CurateError):
    """Training cannot go on."""


class CompareError(CurateError):
    """Two runs cannot be compared."""
