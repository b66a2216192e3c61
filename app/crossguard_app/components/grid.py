"""A table of counts whose cells can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from crossguard_app.components.editor import loader

__all__ = ["GridCell", "count_grid"]


@dataclass(frozen=True)
class GridCell:
    """One cell.

    Attributes:
        count: What is counted.
        share: How dark it is, in [0, 1].
        state: "enough", "thin", "none" (it should have some) or "absent" (nothing can be expected there).
        says: The cell in a sentence.
    """

    count: int
    share: float
    state: Literal["enough", "thin", "none", "absent"]
    says: str


@lru_cache(maxsize=1)
def _component() -> Any:
    css = (Path(__file__).parent / "grid.css").read_text(encoding="utf-8")
    return st.components.v2.component("crossguard_grid", css=css, js=loader("grid.js"))


def count_grid(
    key: str,
    *,
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[GridCell]],
    chosen: str,
    on_choose: Callable[[str], None],
) -> None:
    """Show the table with its sums.

    Args:
        key: Of this instance.
        corner: What stands over the row names.
        rows: Row names.
        columns: Column names.
        cells: Rows of cells.
        chosen: "row,column" of the chosen cell, or "".
        on_choose: Called with the same when a cell is clicked, with "" when it is let go.
    """
    counts = [[cell.count for cell in row] for row in cells]
    data = {
        "corner": corner,
        "rows": list(rows),
        "columns": list(columns),
        "cells": [[asdict(cell) for cell in row] for row in cells],
        "rowSums": [sum(row) for row in counts],
        "columnSums": [sum(column) for column in zip(*counts, strict=True)],
        "total": sum(map(sum, counts)),
        "chosen": chosen,
    }

    def choose() -> None:
        value = st.session_state[key].get("chosen")
        if isinstance(value, str):
            on_choose(value)

    _component()(key=key, data=data, on_chosen_change=choose)
