"""A map of up to hundreds of thousands of points, to colour, to zoom and to draw around some."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from crossguard_app.cloud_routes import keep_cloud
from crossguard_app.components.cloud import PackedCloud
from crossguard_app.components.editor import loader
from crossguard_app.resources import current_project
from curate.types import IntArray

__all__ = ["chosen_rows", "point_map"]


@lru_cache(maxsize=1)
def _component() -> Any:
    css = (Path(__file__).parent / "points.css").read_text(encoding="utf-8")
    return st.components.v2.component("crossguard_points", css=css, js=loader("points.js"))


def point_map(key: str, cloud: PackedCloud, *, layer: str, hint: str) -> tuple[IntArray, str]:
    """Show a map. The points do not go with the page's data: the browser fetches them once, whatever is chosen.

    Args:
        key: Of this instance.
        cloud: The points.
        layer: Key of the layer to begin with.
        hint: Said under the map while nothing is chosen.

    Returns:
        Rows of the chosen points, and the layer that is shown.
    """
    data = {
        "token": cloud.token,
        "count": cloud.count,
        "noun": cloud.noun,
        "version": cloud.digest,
        **keep_cloud(current_project(), cloud),
        "layer": layer,
        "hint": hint,
    }
    result = _component()(key=key, data=data, on_selection_change=lambda: None, on_layer_change=lambda: None)
    rows = chosen_rows(result.get("selection"), cloud.token, cloud.count)
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
