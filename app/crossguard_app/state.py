"""What the app remembers: the address of the page, the reviewer, the number of the browser's page."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from crossguard_app.resources import current_project
from crossguard_app.signin import has_oidc, person, sign_in_required, sign_out_form, signin_url
from curate.errors import AccessError, ProjectError
from curate.store import Role
from curate.workflows.profile import clean_name, reviewer_name, set_reviewer_name
from curate.workflows.project import Project

__all__ = [
    "among",
    "ask_reviewer",
    "ask_sign_in",
    "index_of",
    "may_change",
    "query",
    "remember",
    "reviewer",
    "several",
    "whole",
]

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


def among(name: str, options: Collection[str], otherwise: str) -> str:
    """One value of the page's address where it is one of the options: what a widget begins with.

    A widget is told it as its default (``value=``, ``index=``, ``default=``), on every run. Written into the
    session's state instead, it reaches the browser with the first run only, and a run that follows before
    the browser has drawn it leaves the widget at nothing.
    """
    value = query(name)
    return value if value is not None and value in options else otherwise


def several(name: str, options: Collection[str]) -> list[str]:
    """Values of the page's address, with commas between them, that are among the options; each once."""
    return [value for value in dict.fromkeys((query(name) or "").split(",")) if value in options]


def whole(text: str | None, least: int, most: int) -> int | None:
    """A whole number from a page's address, least <= number <= most; None for anything else that stands there."""
    if not text or not text.isascii() or not text.isdecimal() or len(text) > len(str(most)):
        return None
    return int(text) if least <= int(text) <= most else None


def index_of(options: Sequence[str], value: str | None) -> int | None:
    """Where a value stands among the options of a select box that may be left empty; None: nowhere."""
    return options.index(value) if value is not None and value in options else None


def reviewer() -> str:
    """Who decides: who signed in, where that is asked for; else what was typed in the side bar, or the account's name.

    Raises:
        AccessError: Sign-in is asked for, and nobody is signed in (any more).
    """
    if sign_in_required():
        name = person(current_project())
        if name is None:
            raise AccessError(
                "nobody is signed in", hint="reload the page and sign in; nothing typed here is lost"
            )
        return name
    return str(st.session_state.get(_REVIEWER) or reviewer_name())


def may_change() -> bool:
    """Whether the person at the browser may change anything; who may not gets no buttons for it."""
    role = current_project().store.role_of(reviewer())
    return role is not None and role.rank >= Role.REVIEWER.rank


def ask_sign_in(project: Project) -> bool:
    """Whether the page may be shown; if not, the way to sign in is."""
    if not sign_in_required():
        return True
    name = person(project)
    if name is not None:
        with st.sidebar:
            st.caption(f"{name}, {project.store.role_of(name)}")
            if has_oidc() and st.user.is_logged_in:
                st.button("Sign out", on_click=st.logout)
            else:
                st.html(sign_out_form())
        return True
    st.title("Crossguard")
    st.write("Sign in to see this project.")
    st.html(f'<a href="{signin_url()}" target="_self">Sign in with a name and a password</a>')
    if has_oidc():
        st.button("Sign in with your organisation", on_click=st.login)
        if st.user.is_logged_in:
            st.warning("Your address is not among the users of this project. Its owner can add it.")
    return False


def ask_reviewer() -> None:
    """The field in which a person says who they are."""
    if sign_in_required():
        return

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
