"""The editor with the queue: one component of plain ES modules and SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from crossguard_app.routes import asset_url, modules_of

__all__ = ["editor", "outbox_of"]

_FOLDER = Path(__file__).parent
_STATE = "sync"


def loader(module: str) -> str:
    """The script that Streamlit runs: it fetches the real module, whose imports then work as written.

    All modules are asked for at once; by themselves they would come one layer of imports after the other.
    """
    addresses = ", ".join(f'"{asset_url(name)}"' for name in modules_of(module))
    return (
        f"for (const href of [{addresses}]) {{\n"
        '  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));\n'
        "}\n"
        f'const module = await import(new URL("{asset_url(module)}", window.location.origin));\n'
        "export default module.default;\n"
    )


@lru_cache(maxsize=1)
def _component() -> Any:
    return st.components.v2.component(
        "crossguard_editor",
        css=(_FOLDER / "editor.css").read_text(encoding="utf-8"),
        js=loader("main.js"),
    )


def outbox_of(key: str) -> Mapping[str, Any] | None:
    """What the browser has sent so far, before or without the mount of this run."""
    state = st.session_state.get(key)
    value = state.get(_STATE) if isinstance(state, Mapping) else None
    return value if isinstance(value, Mapping) else None


def editor(
    key: str,
    data: Mapping[str, Any],
    on_sync: Callable[[], None],
    on_leave: Callable[[], None] | None = None,
) -> Mapping[str, Any] | None:
    """Show the editor.

    Args:
        key: Of this instance.
        data: See `presenters.queue` and `presenters.frames`.
        on_sync: Called before the script runs when the browser sent something.
        on_leave: Called before the script runs when the person goes back to the list; None where there is no list.

    Returns:
        The browser's outbox: {"client", "operations", "at", "attempt"}. It must be taken in although `on_sync`
        did so: what the browser sends again after a reconnect comes without a callback.
    """
    shown = {**data, "instance": key, "leaves": on_leave is not None}
    result = _component()(
        key=key, data=shown, on_sync_change=on_sync, on_leave_change=on_leave or (lambda: None)
    )
    value = result.get(_STATE)
    return value if isinstance(value, Mapping) else None
