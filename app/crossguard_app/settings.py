"""Streamlit's options for this app and its look, in one place."""

from __future__ import annotations

from typing import Any

__all__ = ["SERVER_OPTIONS", "THEME_OPTIONS", "apply_theme"]

_SHARED: dict[str, Any] = {
    "theme.font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    "theme.codeFont": "ui-monospace, 'SFMono-Regular', Menlo, 'DejaVu Sans Mono', monospace",
    "theme.baseFontSize": 15,
    "theme.baseRadius": "0.45rem",
    "theme.showWidgetBorder": True,
    "theme.headingFontWeights": [650, 600, 600, 600, 600, 600],
    "theme.headingFontSizes": ["1.75rem", "1.3rem", "1.08rem", "1rem", "0.95rem", "0.9rem"],
}
_LIGHT: dict[str, Any] = {
    "primaryColor": "#148577",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f2f5f6",
    "textColor": "#1b2126",
    "borderColor": "#d8dee3",
    "linkColor": "#0f766a",
}
_DARK: dict[str, Any] = {
    "primaryColor": "#1a9485",
    "backgroundColor": "#15191e",
    "secondaryBackgroundColor": "#20262d",
    "textColor": "#e6eaee",
    "borderColor": "#343c45",
    "linkColor": "#5cc9bb",
}

THEME_OPTIONS: dict[str, Any] = {
    **_SHARED,
    **{f"theme.light.{key}": value for key, value in _LIGHT.items()},
    **{f"theme.dark.{key}": value for key, value in _DARK.items()},
}
"""Light and dark follow the browser; the user can choose in the menu."""

SERVER_OPTIONS: dict[str, Any] = {
    "server.address": "127.0.0.1",
    "server.headless": True,
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "logger.hideWelcomeMessage": True,
    "runner.magicEnabled": False,
    # A collection after every run cost 125 to 265 ms on two cores; what matters is frozen at the start instead.
    "runner.postScriptGC": False,
}
"""What the server needs whichever way it is started; an explicit command line option wins."""


def apply_theme() -> None:
    """Set the look, and the options that count from now on, unless the user set them."""
    from streamlit import config

    late = ("runner.", "client.", "browser.", "logger.", "server.fileWatcherType")
    for key, value in (THEME_OPTIONS | SERVER_OPTIONS).items():
        if key.startswith(("theme.", *late)) and not config.is_manually_set(key):
            config.set_option(key, value, "crossguard")
