"""Checked readings of XML attributes and texts, and XML that is written the same way every time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from curate.errors import DataError
from curate.formats._values import as_text, clean_json, shown
from curate.formats.report import BadItem
from curate.types import Point

__all__ = [
    "add_text",
    "attribute",
    "is_xml_text",
    "parse_points",
    "points_text",
    "text_value",
    "to_number",
    "value_text",
    "xml_bytes",
    "xml_pieces",
]

_FORBIDDEN = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")


def is_xml_text(text: str) -> bool:
    """Whether XML gives a text back as it is: no control characters, no blanks at its ends, not empty."""
    return bool(text) and text == text.strip() and not _FORBIDDEN.search(text)


def attribute(element: Element, key: str) -> str:
    """An XML attribute that must be there."""
    value = element.get(key)
    if value is None:
        raise BadItem("missing_key", f'<{element.tag}> lacks "{key}"')
    return value


def to_number(text: str | None, what: str) -> float:
    """A finite number from text."""
    try:
        value = float(text or "")
    except ValueError:
        raise BadItem("wrong_type", f"{what} must be a number, got {shown(text)}") from None
    if not math.isfinite(value):
        raise BadItem("not_finite", f"{what} must be finite, got {shown(text)}")
    return value


def parse_points(text: str) -> tuple[Point, ...]:
    """CVAT's "x0,y0;x1,y1;..."."""
    points = []
    for pair in text.strip().split(";"):
        x, comma, y = pair.partition(",")
        if not comma:
            raise BadItem("wrong_type", f"points must be x0,y0;x1,y1;..., got {shown(text)}")
        points.append((to_number(x, "points"), to_number(y, "points")))
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if len(points) < 3:
        raise BadItem("polygon", f"a polygon needs at least three points, got {len(points)}")
    return tuple(points)


def points_text(points: tuple[Point, ...]) -> str:
    """Points as CVAT writes them, with as many digits as are needed."""
    return ";".join(f"{value_text(x)},{value_text(y)}" for x, y in points)


def value_text(value: float) -> str:
    """A coordinate to 0.0001 px without noughts at its end."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def text_value(text: str) -> Any:
    """An attribute kept as text: the JSON value that it is, else the text itself."""
    try:
        return clean_json(json.loads(text, parse_constant=_no_constant), "an attribute")
    except (ValueError, RecursionError, BadItem):
        return as_text(text, "an attribute") if text.strip() else ""


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def add_text(parent: Element, tag: str, text: object) -> Element:
    """A child that holds a text.

    Raises:
        DataError: XML cannot hold the text.
    """
    value = str(text)
    if value and not is_xml_text(value):
        raise DataError(f"<{tag}> cannot hold this text: {value!r:.80}")
    child = SubElement(parent, tag)
    child.text = value
    return child


def xml_bytes(root: Element) -> bytes:
    """The file: UTF-8, two blanks a level."""
    indent(root)
    content: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + content + b"\n"


def xml_pieces(root: Element, children: Iterable[Element]) -> Iterator[bytes]:
    """The same file with more children at the end of the root, each made when its turn comes.

    Args:
        root: Has a child already.
        children: The others.
    """
    head, end, _ = xml_bytes(root).rpartition(f"\n</{root.tag}>".encode())
    yield head
    for child in children:
        indent(child, level=1)
        yield b"\n  " + tostring(child, encoding="utf-8")
    yield end + b"\n"
