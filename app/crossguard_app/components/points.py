"""A map of up to hundreds of thousands of points, to colour, to zoom and to draw around some."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from crossguard_app.components.editor import loader
from curate.types import FloatArray, IntArray

__all__ = ["Category", "Hover", "Layer", "PointCloud", "chosen_rows", "point_map"]

UNKNOWN = 255
"""Code of an unknown value on a scale."""


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
    """Pictures that show under the pointer: F frames; `frame` (N,) of each point, `boxes` (N, 4) or None."""

    urls: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    frame: IntArray
    boxes: FloatArray | None


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

    def encoded(self) -> dict[str, Any]:
        """As the browser takes it: arrays as base64 of little-endian numbers."""
        return {
            "token": self.token,
            "count": len(self.xy),
            "xy": _text(self.xy, "<f4"),
            "crossed": _text(self.crossed, "u1"),
            "noun": self.noun,
            "layers": [_layer(layer) for layer in self.layers],
            "pictures": None
            if self.hover is None
            else {
                "urls": list(self.hover.urls),
                "sizes": [list(size) for size in self.hover.sizes],
                "frame": _text(self.hover.frame, "<u4"),
                "boxes": None if self.hover.boxes is None else _text(self.hover.boxes, "<f4"),
            },
        }


def _text(values: Any, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()


def _layer(layer: Layer) -> dict[str, Any]:
    shared = {"key": layer.key, "title": layer.title}
    if not layer.categories:
        number = "{:.0f}" if layer.whole else "{:.2f}"
        return {
            **shared,
            "codes": _text(layer.codes, "u1"),
            "wide": False,
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
    wide = len(layer.categories) > 256
    return {
        **shared,
        "codes": _text(layer.codes, "<u2" if wide else "u1"),
        "wide": wide,
        "entries": [
            {"name": entry.name, "color": entry.color, "count": int(count)}
            for entry, count in zip(layer.categories, counts, strict=True)
        ],
    }


@lru_cache(maxsize=1)
def _component() -> Any:
    css = (Path(__file__).parent / "points.css").read_text(encoding="utf-8")
    return st.components.v2.component("crossguard_points", css=css, js=loader("points.js"))


def point_map(
    key: str, cloud: Mapping[str, Any], *, version: str, layer: str, hint: str
) -> tuple[IntArray, str]:
    """Show a map.

    Args:
        key: Of this instance.
        cloud: `PointCloud.encoded`.
        version: Changes when anything in it does.
        layer: Key of the layer to begin with.
        hint: Said under the map while nothing is chosen.

    Returns:
        Rows of the chosen points, and the layer that is shown.
    """
    data = {**cloud, "version": version, "layer": layer, "hint": hint}
    result = _component()(key=key, data=data, on_selection_change=lambda: None, on_layer_change=lambda: None)
    rows = chosen_rows(result.get("selection"), str(cloud["token"]), int(cloud["count"]))
    return rows, str(result.get("layer") or layer)


def chosen_rows(selection: Any, token: str, count: int) -> IntArray:
    """Rows of the points that the browser says are chosen; none when it speaks of other points."""
    none = np.zeros(0, np.int64)
    if not isinstance(selection, Mapping) or selection.get("token") != token:
        return none
    try:
        packed = np.frombuffer(base64.b64decode(str(selection.get("bits", "")), validate=True), np.uint8)
    except (binascii.Error, ValueError):
        return none
    if len(packed) != -(-count // 8):
        return none
    return np.flatnonzero(np.unpackbits(packed, count=count))
