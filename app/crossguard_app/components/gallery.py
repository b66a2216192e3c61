"""A grid of pictures with boxes over them, to look at, to open or to select from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from crossguard_app.components.editor import loader
from curate.types import BoxTuple

__all__ = ["Card", "Picture", "Shape", "gallery"]


@dataclass(frozen=True)
class Shape:
    """A box over a picture, in the coordinates of `Picture`."""

    box: BoxTuple
    color: str
    dashed: bool = False
    text: str = ""


@dataclass(frozen=True)
class Picture:
    """One picture; `width` and `height` are the coordinates of its shapes, not its pixels."""

    url: str
    width: float
    height: float
    shapes: tuple[Shape, ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Card:
    """Pictures side by side with a title. `tone` of the badge: "good", "bad" or ""."""

    key: str
    title: str
    pictures: tuple[Picture, ...]
    note: str = ""
    badge: str = ""
    tone: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _component() -> Any:
    css = (Path(__file__).parent / "gallery.css").read_text(encoding="utf-8")
    return st.components.v2.component("crossguard_gallery", css=css, js=loader("gallery.js"))


def gallery(
    key: str,
    cards: Sequence[Card],
    *,
    mode: Literal["show", "open", "select"] = "show",
    size: int = 220,
    on_open: Callable[[str], None] | None = None,
    left_out: Collection[str] = (),
    turns: Collection[int] = (),
    on_turn: Callable[[int], None] | None = None,
    focus: str | None = None,
    takes_focus: bool = False,
) -> list[str]:
    """Show the cards.

    Args:
        key: Of this instance.
        cards: What to show.
        mode: "open": a click calls `on_open` with the card's key. "select": clicks take cards out and in; all are
            selected at first.
        size: Smallest width of a card in CSS pixels.
        on_open: See `mode`.
        left_out: Keys that are not selected at first ("select").
        turns: Which pages there are beside this one: -1 before, 1 after.
        on_turn: Called with -1 or 1 when Page Up, Page Down or an arrow over the edge asks for one of them.
        focus: Key of the card where the keyboard begins; the first one if None.
        takes_focus: The keyboard begins here when the page opens.

    Returns:
        Keys of the selected cards ("select"), else an empty list.
    """
    token = str(hash(tuple(card.key for card in cards)))
    keys = [card.key for card in cards]
    at_first = [key for key in keys if key not in left_out]
    data = {
        "token": token,
        "mode": mode,
        "size": size,
        "cards": [asdict(card) for card in cards],
        "chosen": at_first,
        "turns": list(turns),
        "focus": focus,
        "takes_focus": takes_focus,
    }

    def opened() -> None:
        value = st.session_state[key].get("opened")
        if on_open is not None and isinstance(value, str):
            on_open(value)

    def turned() -> None:
        value = st.session_state[key].get("turned")
        if on_turn is not None and value in turns:
            on_turn(value)

    result = _component()(
        key=key, data=data, on_chosen_change=lambda: None, on_opened_change=opened, on_turned_change=turned
    )
    chosen = result.get("chosen")
    if mode != "select":
        return []
    if isinstance(chosen, Mapping) and chosen.get("token") == token:
        return [name for name in keys if name in set(chosen.get("keys", ()))]
    return at_first
