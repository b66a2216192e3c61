"""What the app remembers: the address of the page, the reviewer, the number of the browser's page."""

from __future__ import annotations

import streamlit as st

from curate.errors import ProjectError
from curate.workflows.profile import clean_name, reviewer_name, set_reviewer_name

__all__ = ["ask_reviewer", "query", "remember", "reviewer", "seed"]

_REVIEWER = "reviewer"
_WIDGET = "reviewer-input"


def query(name: str) -> str | None:
    """One value of the page's address, or None."""
    value = st.query_params.get(name)
    return value if isinstance(value, str) and value else None


def remember(**values: str | None) -> None:
    """Put values into the page's address, so that a reload or a bookmark leads back here; None takes one out."""
    for name, value in values.items():
        if value is None:
            if name in st.query_params:
                del st.query_params[name]
        elif st.query_params.get(name) != value:
            st.query_params[name] = value


def seed(key: str, value: object) -> None:
    """First value of a widget with this key: what the address of the page says."""
    if key not in st.session_state:
        st.session_state[key] = value


def reviewer() -> str:
    """Who decides: what was typed in the side bar, else the name that this account keeps."""
    return str(st.session_state.get(_REVIEWER) or reviewer_name())


def ask_reviewer() -> None:
    """The field in which a person says who they are."""

    def note() -> None:
        name = clean_name(st.session_state[_WIDGET])
        try:
            kept = set_reviewer_name(name)
        except ProjectError as error:
            kept = name
            st.toast(str(error), icon=":material/error:")
        st.session_state[_REVIEWER] = name or kept

    st.text_input(
        "Reviewer",
        reviewer(),
        key=_WIDGET,
        on_change=note,
        max_chars=64,
        help="Stored with every decision, and kept for the next time.",
    )
