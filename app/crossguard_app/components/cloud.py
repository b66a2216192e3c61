"""The points of a map with all the ways to colour them, packed as the browser takes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from curate.types import FloatArray, IntArray

__all__ = ["UNKNOWN", "Category", "Hover", "Layer", "PackedCloud", "PointCloud"]

UNKNOWN = 255
"""Code of an unknown value on a scale."""
_KINDS = {"<f4": "f32", "<u4": "u32", "<u2": "u16", "u1": "u8"}
_ALIGNED = 4


@dataclass(frozen=True)
class Category:
    """One value of a layer with its colour."""

    name: str
    color: str


@dataclass(frozen=True)
class Layer:
    """One way to colour the points.

    Attributes:
        key: Name in the page's address.
        title: For a person.
        codes: (N,) index into `categories`; on a scale 0..254 from `least` to `most`, 255 unknown.
        categories: The values, empty for a scale.
        stops: Colours of a scale from low to high.
        least: Value of code 0.
        most: Value of code 254.
        whole: The values of the scale are whole numbers.
    """

    key: str
    title: str
    codes: IntArray
    categories: tuple[Category, ...] = ()
    stops: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 1.0
    whole: bool = False


@dataclass(frozen=True)
class Hover:
    """Pictures that show under the pointer.

    Attributes:
        frames: Ids of F frames.
        frame: (N,) of each point, index into `frames`.
        boxes: (N, 4) part of the picture; None for all of it.
    """

    frames: tuple[str, ...]
    frame: IntArray
    boxes: FloatArray | None


@dataclass(frozen=True)
class PackedCloud:
    """A map as the browser fetches it.

    Attributes:
        token: Of the points: another one lets go of what was chosen.
        count: How many there are.
        noun: What one is, in the singular.
        layers: Keys of the ways to colour them.
        content: The length of a JSON text as four bytes, the text, then arrays of little-endian numbers.
        frames: Ids of the frames whose pictures show under the pointer, by number.
        crops: A part of the picture is shown, not a thumbnail of all of it.
        digest: Of all that.
    """

    token: str
    count: int
    noun: str
    layers: tuple[str, ...]
    content: bytes
    frames: tuple[str, ...] = ()
    crops: bool = False
    digest: str = ""


class _Arrays:
    """Arrays one after the other, and where each begins."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._end = 0

    def add(self, values: Any, kind: str) -> dict[str, Any]:
        content = np.ascontiguousarray(values, dtype=kind).tobytes()
        where = {"kind": _KINDS[kind], "at": self._end, "length": len(content) // np.dtype(kind).itemsize}
        padded = content.ljust(-(-len(content) // _ALIGNED) * _ALIGNED, b"\0")
        self.parts.append(padded)
        self._end += len(padded)
        return where


@dataclass(frozen=True)
class PointCloud:
    """What the map shows.

    Attributes:
        token: Of the points: another one lets go of what was chosen.
        xy: (N, 2).
        layers: Ways to colour them, at least one.
        crossed: (N,) bool, drawn as crosses.
        noun: What a point is, in the singular.
        hover: Pictures, or None.
    """

    token: str
    xy: FloatArray
    layers: tuple[Layer, ...]
    crossed: np.ndarray[Any, np.dtype[np.bool_]]
    noun: str
    hover: Hover | None = None

    def packed(self) -> PackedCloud:
        """As the browser fetches it."""
        arrays, hover = _Arrays(), self.hover
        head = {
            "token": self.token,
            "count": len(self.xy),
            "noun": self.noun,
            "xy": arrays.add(self.xy, "<f4"),
            "crossed": arrays.add(self.crossed, "u1"),
            "layers": [_layer(layer, arrays) for layer in self.layers],
            "pictures": None
            if hover is None
            else {
                "frame": arrays.add(hover.frame, "<u4"),
                "boxes": None if hover.boxes is None else arrays.add(hover.boxes, "<f4"),
            },
        }
        text = json.dumps(head).encode()
        text = text.ljust(-(-len(text) // _ALIGNED) * _ALIGNED)
        content = b"".join((len(text).to_bytes(4, "little"), text, *arrays.parts))
        cloud = PackedCloud(
            self.token, len(self.xy), self.noun, tuple(layer.key for layer in self.layers), content
        )
        if hover is not None:
            cloud = replace(cloud, frames=hover.frames, crops=hover.boxes is not None)
        digest = sha256(content)
        digest.update("\n".join(cloud.frames).encode())
        return replace(cloud, digest=digest.hexdigest()[:32])


def _layer(layer: Layer, arrays: _Arrays) -> dict[str, Any]:
    shared = {"key": layer.key, "title": layer.title}
    if not layer.categories:
        number = "{:.0f}" if layer.whole else "{:.2f}"
        return {
            **shared,
            "codes": arrays.add(layer.codes, "u1"),
            "stops": list(layer.stops),
            "unknown": "#8a94a0",
            "hasUnknown": bool((np.asarray(layer.codes) == UNKNOWN).any()),
            "least": layer.least,
            "most": layer.most,
            "low": number.format(layer.least),
            "high": number.format(layer.most),
            "whole": layer.whole,
        }
    counts = np.bincount(layer.codes, minlength=len(layer.categories))
    return {
        **shared,
        "codes": arrays.add(layer.codes, "<u2" if len(layer.categories) > 256 else "u1"),
        "entries": [
            {"name": entry.name, "color": entry.color, "count": int(count)}
            for entry, count in zip(layer.categories, counts, strict=True)
        ],
    }
