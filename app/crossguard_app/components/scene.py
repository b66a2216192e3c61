"""The empty scene with what is known about it, and regions to draw on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from crossguard_app.components.editor import loader
from curate.types import BoxTuple, Ring

__all__ = ["KINDS", "PlaceLayer", "PlaceMark", "SceneRegion", "drawn_regions", "place_picture", "scene_board"]

KINDS = ("ignore_regions", "far_zone")
_MOST_REGIONS = 200
_MOST_CORNERS = 500


@dataclass(frozen=True)
class SceneRegion:
    """A polygon in pixels of the frame; `kind` is one of `KINDS`."""

    kind: str
    points: Ring


@dataclass(frozen=True)
class PlaceMark:
    """A box on the scene; `strength` in [0, 1] makes it fuller."""

    box: BoxTuple
    strength: float
    text: str


@dataclass(frozen=True)
class PlaceLayer:
    """Boxes of one kind, to be shown or hidden together; `says` explains them."""

    key: str
    title: str
    says: str
    color: str
    items: tuple[PlaceMark, ...]


@lru_cache(maxsize=1)
def _component() -> Any:
    css = (Path(__file__).parent / "scene.css").read_text(encoding="utf-8")
    return st.components.v2.component("crossguard_scene", css=css, js=loader("scene.js"))


def scene_board(
    key: str,
    *,
    token: str,
    image: str,
    size: tuple[int, int],
    regions: Sequence[SceneRegion],
    layers: Sequence[PlaceLayer],
    picked: str,
    on_pick: Callable[[str], None],
    editable: bool = True,
) -> tuple[SceneRegion, ...] | None:
    """Show the scene.

    Args:
        key: Of this instance.
        token: Of the stored regions: another one drops what was drawn and not saved.
        image: Address of the picture.
        size: Width and height of the frame in pixels, the coordinates of everything.
        regions: As stored.
        layers: Boxes to show.
        picked: "layer:number" of the marked box, or "".
        on_pick: Called with the same when a box is clicked.
        editable: Whether regions may be drawn.

    Returns:
        The regions as drawn, or None when nothing was drawn since the token.
    """
    data = {
        "token": token,
        "image": image,
        "width": size[0],
        "height": size[1],
        "regions": [asdict(region) for region in regions],
        "layers": [asdict(layer) for layer in layers],
        "picked": picked,
        "editable": editable,
        "hint": "Click a box to see its frames"
        + ("; draw regions in which nothing counts" if editable else ""),
    }

    def pick() -> None:
        value = st.session_state[key].get("picked")
        if isinstance(value, str):
            on_pick(value)

    result = _component()(key=key, data=data, on_draft_change=lambda: None, on_picked_change=pick)
    return drawn_regions(result.get("draft"), token)


def drawn_regions(draft: Any, token: str) -> tuple[SceneRegion, ...] | None:
    """What the browser drew on the regions of this token; None when it did not, or sent something else."""
    if not isinstance(draft, Mapping) or draft.get("token") != token:
        return None
    try:
        found = tuple(
            SceneRegion(str(entry["kind"]), tuple((float(x), float(y)) for x, y in entry["points"]))
            for entry in draft["regions"]
        )
    except (KeyError, TypeError, ValueError):
        return None
    fine = len(found) <= _MOST_REGIONS and all(
        region.kind in KINDS
        and 3 <= len(region.points) <= _MOST_CORNERS
        and all(math.isfinite(value) for point in region.points for value in point)
        for region in found
    )
    return found if fine else None


@lru_cache(maxsize=1)
def _picture() -> Any:
    css = (Path(__file__).parent / "scene.css").read_text(encoding="utf-8")
    return st.components.v2.component("crossguard_places", css=css, js=loader("places.js"))


def place_picture(
    key: str, *, image: str, size: tuple[int, int], layer: PlaceLayer, picked: int | None = None
) -> None:
    """Show places over a picture with their counts, to look at.

    Args:
        key: Of this instance.
        image: Address of the picture.
        size: Width and height of the frame in pixels.
        layer: The places; each text is shown, after its colon.
        picked: The marked one.
    """
    _picture()(
        key=key,
        data={"image": image, "width": size[0], "height": size[1], "layer": asdict(layer), "picked": picked},
    )
