"""The coverage page as values: a grid of counts over two of four axes, what is thin, the frames behind a cell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crossguard_app.components.grid import GridCell
from curate.types import BoxTuple, FloatArray
from curate.workflows.site_coverage import SiteCoverage

__all__ = [
    "AXES",
    "CoverageView",
    "ThinCell",
    "cell_frames",
    "coverage_view",
    "frame_counts",
    "place_boxes",
    "thin_cells",
]

_HALF = 0.5
"""Fewer than this share of what can be expected is thin."""
_WORTH = 3.0
"""Combinations with fewer labels to be expected are not worth a line."""
AXES = {"place": "Place", "time": "Time", "light": "Light", "label": "Class"}


@dataclass(frozen=True)
class CoverageView:
    """The grid as it is shown.

    Attributes:
        rows: Values of the row axis.
        columns: Values of the column axis.
        cells: Rows of cells.
        thin: How many cells are thin or have none.
        expected: How many cells could have labels at all.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[GridCell, ...], ...]
    thin: int
    expected: int


@dataclass(frozen=True)
class ThinCell:
    """A combination with too few labels.

    Attributes:
        place: Place.
        time: Band of time.
        light: Light.
        label: Class.
        labels: How many there are.
        expected: How many the rest of the footage lets one expect there.
        unlabelled: Frames of that time and light that nobody has labelled.
        gold: Gold objects there.
        says: What to do about it.
    """

    place: str
    time: str
    light: str
    label: str
    labels: int
    expected: float
    unlabelled: int
    gold: int
    says: str


def _values(coverage: SiteCoverage, axis: str) -> tuple[str, ...]:
    return {
        "place": tuple(name for name, _ in coverage.places),
        "time": coverage.times,
        "light": coverage.lights,
        "label": coverage.classes,
    }[axis]


def _narrowed(table: pd.DataFrame, only: Mapping[str, str | None]) -> pd.DataFrame:
    for axis, value in only.items():
        if value is not None and axis in table:
            table = table[table[axis] == value]
    return table


def coverage_view(
    coverage: SiteCoverage,
    row_axis: str,
    column_axis: str,
    only: Mapping[str, str | None],
    *,
    gold: bool,
    least: int,
) -> CoverageView:
    """Counts over two axes, the others narrowed.

    Args:
        coverage: Of the site.
        row_axis: One of `AXES`.
        column_axis: Another one.
        only: Axis -> the one value that counts, None for all.
        gold: Count gold objects instead of working labels.
        least: Fewer than this is thin.
    """
    own = coverage.labels[coverage.labels["gold"] == gold]
    labels = _narrowed(own, only)
    rows, columns = _values(coverage, row_axis), _values(coverage, column_axis)
    counts = pd.crosstab(labels[row_axis], labels[column_axis]).reindex(
        index=list(rows), columns=list(columns), fill_value=0
    )
    numbers = counts.to_numpy(int)
    expected = _expected(coverage, own, row_axis, column_axis, only, gold=gold)
    # Without an axis of time or light there is nothing to expect from other footage.
    whole = not {row_axis, column_axis} & {"time", "light"}
    most = max(1, int(numbers.max(initial=0)))
    noun = "gold objects" if gold else "labels"
    cells = tuple(
        tuple(
            _cell(int(numbers[i, j]), None if whole else float(expected[i, j]), most, least, noun)
            for j in range(len(columns))
        )
        for i in range(len(rows))
    )
    flat = [cell for line in cells for cell in line]
    return CoverageView(
        rows,
        columns,
        cells,
        sum(cell.state in ("thin", "none") for cell in flat),
        sum(cell.state != "absent" for cell in flat),
    )


def _expected(
    coverage: SiteCoverage,
    own: pd.DataFrame,
    row_axis: str,
    column_axis: str,
    only: Mapping[str, str | None],
    *,
    gold: bool,
) -> FloatArray:
    """(R, C) labels that each cell would have if every time and light had its share by footage."""
    states = ["gold"] if gold else ["labelled", "unlabelled"]
    frames = coverage.frames[coverage.frames["state"].isin(states)]
    used = _narrowed(own, {axis: only.get(axis) for axis in ("place", "label")})
    footage = _narrowed(frames, {axis: only.get(axis) for axis in ("time", "light")})
    result = np.ones((len(_values(coverage, row_axis)), len(_values(coverage, column_axis))))
    things, moments = np.full_like(result, len(used)), np.full_like(result, len(footage))
    for axis_number, axis in enumerate((row_axis, column_axis)):
        table = used if axis in ("place", "label") else footage
        share = table[axis].value_counts().reindex(list(_values(coverage, axis)), fill_value=0)
        shaped = (share.to_numpy(float) / max(1, len(table))).reshape(
            (-1, 1) if axis_number == 0 else (1, -1)
        )
        target = things if axis in ("place", "label") else moments
        target *= shaped
    if {row_axis, column_axis} == {"place", "label"}:
        exact = pd.crosstab(used[row_axis], used[column_axis])
        things = exact.reindex(
            index=list(_values(coverage, row_axis)),
            columns=list(_values(coverage, column_axis)),
            fill_value=0,
        ).to_numpy(float)
    if {row_axis, column_axis} == {"time", "light"}:
        exact = pd.crosstab(footage[row_axis], footage[column_axis])
        moments = exact.reindex(
            index=list(_values(coverage, row_axis)),
            columns=list(_values(coverage, column_axis)),
            fill_value=0,
        ).to_numpy(float)
    return np.asarray(things * moments / max(1, len(frames)))


def _cell(count: int, expected: float | None, most: int, least: int, noun: str) -> GridCell:
    share = math.log1p(count) / math.log1p(most)
    text = f"{count:,} {noun}"
    if expected is not None:
        text += f", {expected:.0f} to be expected from the other footage"
    if not count and (expected is None or expected < 1):
        return GridCell(0, 0.0, "absent", f"no {noun}, and none to be expected")
    if not count:
        return GridCell(0, 0.0, "none", text)
    few = count < least and (expected is None or count < _HALF * expected)
    return GridCell(count, share, "thin" if few else "enough", text)


def thin_cells(coverage: SiteCoverage, *, least: int, most: int = 50) -> list[ThinCell]:
    """Combinations of all four axes with fewer labels than `least` and than expected, the emptiest first.

    Expected is what the same class at the same place has on the other frames, in proportion to the frames of that
    time and light: a side street that is always empty is not thin.
    """
    axes = ["place", "time", "light", "label"]
    working = coverage.labels[~coverage.labels["gold"]]
    frames = coverage.frames[coverage.frames["state"].isin(["labelled", "unlabelled"])]
    whole = max(1, len(frames))
    counts = Counter(working[axes].itertuples(index=False, name=None))
    golds = Counter(coverage.labels[coverage.labels["gold"]][axes].itertuples(index=False, name=None))
    seen = Counter(working[["place", "label"]].itertuples(index=False, name=None))
    footage = Counter(frames[["time", "light"]].itertuples(index=False, name=None))
    unlabelled = frames[frames["state"] == "unlabelled"]
    bare = Counter(unlabelled[["time", "light"]].itertuples(index=False, name=None))
    result = []
    for (time, light), number in footage.items():
        for (place, label), total in seen.items():
            key = (str(place), str(time), str(light), str(label))
            expected = total * number / whole
            if counts[key] < min(least, _HALF * expected) and expected >= _WORTH:
                result.append(_thin(key, counts[key], expected, bare[time, light], golds[key]))
    result.sort(
        key=lambda cell: (cell.labels - min(cell.expected, least), -cell.unlabelled, cell.place, cell.time)
    )
    return result[:most]


def _thin(key: tuple[str, str, str, str], count: int, expected: float, bare: int, gold: int) -> ThinCell:
    says = (
        f"label some of the {bare:,} unlabelled frames of that time and light"
        if bare
        else "more such footage is needed, or it was quiet there"
    )
    place, time, light, label = key
    return ThinCell(place, time, light, label, count, expected, bare, gold, says)


def cell_frames(
    coverage: SiteCoverage, only: Mapping[str, str | None], *, gold: bool
) -> tuple[list[str], list[str]]:
    """Frames behind a cell: with such labels (most of them first), and unlabelled ones of its time and light."""
    labels = _narrowed(coverage.labels[coverage.labels["gold"] == gold], only)
    counts = labels.groupby("frame_id").size().sort_values(ascending=False, kind="stable")
    bare = _narrowed(coverage.frames[coverage.frames["state"] == "unlabelled"], only)
    return [str(key) for key in counts.index], bare["frame_id"].tolist()


def place_boxes(
    coverage: SiteCoverage, *, gold: bool, only: Mapping[str, str | None]
) -> list[tuple[str, BoxTuple, int]]:
    """Name, box and count of each place, for the picture."""
    labels = _narrowed(coverage.labels[coverage.labels["gold"] == gold], {**only, "place": None})
    counts = labels["place"].value_counts()
    return [(name, box, int(counts.get(name, 0))) for name, box in coverage.places]


def frame_counts(coverage: SiteCoverage) -> dict[str, int]:
    """State -> number of frames, for one line at the top."""
    names: Sequence[str] = ("labelled", "unlabelled", "gold", "held out", "excluded")
    counts = coverage.frames["state"].value_counts() if len(coverage.frames) else pd.Series(dtype=np.int64)
    return {name: int(counts.get(name, 0)) for name in names if counts.get(name, 0)}
