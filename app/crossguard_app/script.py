"""The page script: navigation, and errors in words."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from crossguard_app.resources import current_project
from crossguard_app.state import ask_reviewer, ask_sign_in, reviewer
from crossguard_app.views import (
    coverage,
    embedding,
    frames,
    overview,
    queue,
    runs,
    scene,
    training,
    versions,
)
from curate.errors import CurateError

_log = logging.getLogger("crossguard")
_HERE = Path(__file__).parent
_ICON = _HERE / "assets" / "icon.png"
_LOGO = _HERE / "assets" / "logo.svg"
_SECTIONS = {
    "": ("overview",),
    "Review": ("queue", "frames", "map"),
    "Site": ("scene", "coverage"),
    "Detector": ("train", "runs", "versions"),
}


@st.cache_resource
def _style() -> str:
    return f"<style>{(_HERE / 'assets' / 'pages.css').read_text(encoding='utf-8')}</style>"


def _navigate() -> None:
    pages = {
        "overview": st.Page(overview.page, title="Overview", icon=":material/dashboard:", default=True),
        "queue": st.Page(queue.page, title="Queue", icon=":material/checklist:", url_path="queue"),
        "frames": st.Page(
            frames.page, title="Frames and labels", icon=":material/photo_library:", url_path="frames"
        ),
        "map": st.Page(embedding.page, title="Embedding map", icon=":material/scatter_plot:", url_path="map"),
        "scene": st.Page(scene.page, title="Scene", icon=":material/landscape:", url_path="scene"),
        "coverage": st.Page(
            coverage.page, title="Coverage", icon=":material/grid_view:", url_path="coverage"
        ),
        "train": st.Page(
            training.page, title="Train and compare", icon=":material/model_training:", url_path="train"
        ),
        "runs": st.Page(runs.page, title="Runs", icon=":material/monitoring:", url_path="runs"),
        "versions": st.Page(versions.page, title="Versions", icon=":material/history:", url_path="versions"),
    }
    st.session_state["pages"] = pages
    chosen = st.navigation(
        {title: [pages[name] for name in names] for title, names in _SECTIONS.items()}, expanded=True
    )
    with st.sidebar:
        ask_reviewer()
    try:
        chosen.run()
    except CurateError as error:
        st.error("This page cannot be shown.", icon=":material/error:")
        st.text(str(error))
    except Exception as error:
        # A fault of ours: the page says so in words, the log of the server has the details.
        _log.exception("page %s", chosen.url_path)
        st.error("Something went wrong in Crossguard itself; no label was lost.", icon=":material/error:")
        st.text(f"{type(error).__name__}: {error}\nThe server's output has the details.")
        if st.button("Try again", icon=":material/refresh:"):
            st.rerun()


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="Crossguard", page_icon=str(_ICON), layout="wide")
    st.html(_style())
    st.logo(str(_LOGO), size="large")
    try:
        project = current_project()
    except CurateError as error:
        st.title("Crossguard")
        st.error("There is no project to show.", icon=":material/error:")
        st.text(str(error))
        st.stop()
    if ask_sign_in(project):
        with project.store.acting(reviewer()):
            _navigate()


main()
