"""Checked readings of JSON values: never a bare KeyError or TypeError."""

from __future__ import annotations

import math
import re
import reprlib
from pathlib import PurePosixPath
from typing import Any

from curate.formats.report import BadItem
from curate.types import is_storable

__all__ = [
    "as_flag",
    "as_id",
    "as_number",
    "as_text",
    "clean_json",
    "comparable_name",
    "id_number",
    "is_id_number",
    "required",
    "safe_file_name",
    "shown",
]

_MAX_DEPTH = 32
_MAX_ID = 2**53


def shown(value: Any) -> str:
    """A value for a message, cut to a sane length."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def required(mapping: dict[str, Any], key: str) -> Any:
    """The value of a key that must be there."""
    if key not in mapping:
        raise BadItem("missing_key", f'the key "{key}" is missing')
    return mapping[key]


def as_number(value: Any, what: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadItem("wrong_type", f"{what} must be a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadItem("not_finite", f"{what} must be finite, got {shown(value)}")
    return number


def as_id(value: Any, what: str) -> int | str:
    """An identifier: a whole number below 2**53 or a short text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_ID:
        return value
    if isinstance(value, str) and 0 < len(value) <= 256:
        return as_text(value, what)
    raise BadItem("wrong_type", f"{what} must be a whole number or a text, got {shown(value)}")


def is_id_number(text: str) -> bool:
    """Whether an id kept as text is a number written as JSON writes it ("17", not "017")."""
    return re.fullmatch(r"0|-?[1-9][0-9]{0,15}", text) is not None and abs(int(text)) <= _MAX_ID


def id_number(text: str) -> int | str:
    """The number again, where an id kept as text is one."""
    return int(text) if is_id_number(text) else text


def as_text(value: Any, what: str) -> str:
    """Text that can be stored: no control characters, no halves of surrogate pairs."""
    if not isinstance(value, str):
        raise BadItem("wrong_type", f"{what} must be a text, got {shown(value)}")
    if not value.strip() or any(ord(char) < 32 or 0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise BadItem("wrong_type", f"{what} must be a text without control characters, got {shown(value)}")
    return value


def as_flag(value: Any, what: str) -> bool:
    """true, false, 0 or 1."""
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    raise BadItem("wrong_type", f"{what} must be true, false, 0 or 1, got {shown(value)}")


def safe_file_name(value: Any) -> str:
    """A relative path that stays inside its folder."""
    name = as_text(value, "file_name")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or re.match(r"[A-Za-z]:", name):
        raise BadItem("unsafe_path", f"file_name must be a relative path, got {shown(name)}")
    if ".." in path.parts:
        raise BadItem("unsafe_path", f'file_name must not lead out of its folder by "..", got {shown(name)}')
    return name


def comparable_name(value: str) -> str:
    """A path as a label tool wrote it, for comparison with the names of frames only: no folder is ever opened by it.

    Drives, the root and ".." go, since tools write where the pictures lay on another machine.
    """
    parts = re.sub(r"^[A-Za-z]:", "", value.replace("\\", "/")).split("/")
    kept = [part for part in parts if part not in ("", ".", "..")]
    return as_text("/".join(kept), "the picture's name")


def clean_json(value: Any, what: str) -> Any:
    """An unknown value to be kept: any JSON of sane depth that can be written back.

    NaN and Infinity are not JSON: an item that carries one is refused like any other broken value.
    """
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        current, depth = stack.pop()
        if depth > _MAX_DEPTH:
            raise BadItem("too_deep", f"{what} is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(current, dict):
            stack += [(key, depth + 1) for key in current]
            stack += [(item, depth + 1) for item in current.values()]
        elif isinstance(current, list):
            stack += [(item, depth + 1) for item in current]
        elif isinstance(current, float) and not math.isfinite(current):
            raise BadItem("not_finite", f"{what} holds {current}, which JSON cannot carry")
        elif isinstance(current, str) and not is_storable(current):
            raise BadItem("wrong_type", f"{what} holds a text that cannot be stored: {shown(current)}")
        elif isinstance(current, int) and abs(current) > 2**63:
            raise BadItem("wrong_type", f"{what} holds a number of more than 64 bits")
    return value
