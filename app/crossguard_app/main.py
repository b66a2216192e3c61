"""Entry of the web app: `streamlit run main.py`, or `python main.py`. CROSSGUARD_PROJECT names the project."""

from __future__ import annotations

import gc
from pathlib import Path

import streamlit as st

# Loaded before the first page is asked for, not while somebody waits for it.
from crossguard_app import views
from crossguard_app.routes import app_routes
from crossguard_app.settings import SERVER_OPTIONS, apply_theme

__all__ = ["app", "views"]

apply_theme()
gc.collect()
# What is imported by now stays: later collections need not walk over it.
gc.freeze()
app = st.App(Path(__file__).with_name("script.py"), routes=app_routes())

if __name__ == "__main__":
    app.run(config=SERVER_OPTIONS)
