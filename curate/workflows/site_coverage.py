"""What the labels cover: place x time x light x class, and where they are thin."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from curate.annotations import GOLD_SOURCE, Frame
from curate.errors import ImageError
from curate.types import BoxTuple, FloatArray, IntArray
from curate.workflows.coverage import covered_frames
from curate.workflows.dataset import held_out_frames
from curate.workflows.files import write_atomically
from curate.workflows.gold import frozen_gold
from curate.workflows.policy import apply_policy
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LIGHTS",
    "SiteCoverage",
    "frame_brightness",
    "frame_lights",
    "place_grid",
    "site_coverage",
    "time_bands",
]

LIGHTS = ("dark", "dim", "bright")
_LIGHT_LIMITS = (60.0, 95.0)
"""Median grey levels between dark, dim and bright."""
_ROWS, _COLUMNS = ("far", "middle", "near"), ("left", "centre", "right")
_MOST_BANDS = 8
_HOURS = 3
_THUMBNAIL = (64, 48)
_SAVE_EVERY = 500


@dataclass(frozen=True)
class SiteCoverage:
    """Every label and every frame with its place in the grid.

    Attributes:
        places: Name of each place, from far left to near right, with its box in pixels.
        times: Bands of time in order.
        lights: Of `LIGHTS`, those that there are frames of.
        classes: Class names.
        labels: One row per label that counts: frame_id, place, time, light, label, gold (bool).
        frames: One row per frame: frame_id, time, light, state ("labelled", "unlabelled", "gold", "excluded" or
            "held out": next to gold).
    """

    places: tuple[tuple[str, BoxTuple], ...]
    times: tuple[str, ...]
    lights: tuple[str, ...]
    classes: tuple[str, ...]
    labels: pd.DataFrame
    frames: pd.DataFrame


def site_coverage(project: Project, *, reporter: Reporter | None = None) -> SiteCoverage:
    """Sort working labels, gold objects and frames into the grid. Brightness is measured once per frame."""
    import pandas as pd

    frames = project.store.frames()
    light = frame_lights(project, frames, reporter=reporter)
    bands, time = time_bands(frames)
    states = _states(project, frames)
    table = pd.DataFrame(
        {
            "frame_id": [frame.id for frame in frames],
            "time": [bands[at] for at in time.tolist()],
            "light": [LIGHTS[at] for at in light.tolist()],
            "state": [states[frame.id] for frame in frames],
        }
    )
    gold = frozen_gold(project)
    objects = [] if gold is None else apply_policy(gold.annotations, project.config)
    working = apply_policy(
        [
            annotation
            for annotation in project.store.annotations(source=project.config.labels.working, masks=False)
            if states.get(annotation.frame_id) == "labelled"
        ],
        project.config,
    )
    counted = [(entry, False) for entry in working if entry.counts]
    counted += [(entry, True) for entry in objects if entry.counts]
    boxes = np.array([entry.bbox_xyxy for entry, _ in counted], float).reshape(-1, 4)
    size = (max((f.width for f in frames), default=1), max((f.height for f in frames), default=1))
    places, where = place_grid(boxes, size)
    labels = pd.DataFrame(
        {
            "frame_id": [entry.frame_id for entry, _ in counted],
            "place": [places[at][0] for at in where.tolist()],
            "label": [entry.label for entry, _ in counted],
            "gold": [is_gold for _, is_gold in counted],
        }
    ).merge(table[["frame_id", "time", "light"]], on="frame_id", how="inner")
    lights = tuple(name for name in LIGHTS if name in set(table["light"]))
    return SiteCoverage(places, bands, lights, tuple(project.config.classes), labels, table)


def place_grid(boxes: FloatArray, size: tuple[int, int]) -> tuple[tuple[tuple[str, BoxTuple], ...], IntArray]:
    """Nine places over that part of the picture in which things stand, and the place of each box (N, 4).

    What decides is the foot point (the middle of the lower edge). A far row is as high as a near one in pixels
    of the picture, not in metres.

    Args:
        boxes: (N, 4).
        size: Width and height of the frame.

    Returns:
        Name and box of each place, and (N,) index of the place of each box.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    feet = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])
    if len(feet):
        low, high = np.quantile(feet, 0.005, axis=0), np.quantile(feet, 0.995, axis=0)
    else:
        low, high = np.zeros(2), np.array(size, float)
    low, high = np.maximum(low, 0.0), np.minimum(np.maximum(high, low + 3.0), size)
    step = (high - low) / 3
    cell = np.clip(((feet - low) / np.maximum(step, 1e-6)).astype(int), 0, 2)
    places = []
    for row, far in enumerate(_ROWS):
        for column, side in enumerate(_COLUMNS):
            x1, y1 = low + step * (column, row)
            places.append((f"{far} {side}", (float(x1), float(y1), float(x1 + step[0]), float(y1 + step[1]))))
    return tuple(places), np.asarray(cell[:, 1] * 3 + cell[:, 0], np.int64)


def time_bands(frames: Sequence[Frame]) -> tuple[tuple[str, ...], IntArray]:
    """Bands of time, at most about eight, and the band of each frame (F,).

    Frames with clock times: bands of three hours of the day (UTC). Else: one band a recording, or equal parts of a
    single one.
    """
    if not frames:
        return (), np.zeros(0, np.int64)
    if all(frame.wall_time for frame in frames):
        hours = [datetime.fromtimestamp(frame.captured_at, UTC).hour // _HOURS for frame in frames]
        known = sorted(set(hours))
        names = tuple(f"{_HOURS * at:02d}-{_HOURS * at + _HOURS:02d} h" for at in known)
        return names, np.array([known.index(hour) for hour in hours], np.int64)
    clips = list(dict.fromkeys(frame.clip for frame in frames))
    if len(clips) > 1:
        per_band = -(-len(clips) // _MOST_BANDS)
        names = tuple(
            clips[at] if per_band == 1 else f"{clips[at]} and {min(per_band, len(clips) - at) - 1} more"
            for at in range(0, len(clips), per_band)
        )
        return names, np.array([clips.index(frame.clip) // per_band for frame in frames], np.int64)
    times = np.array([frame.captured_at for frame in frames])
    span = max(float(np.ptp(times)), 1e-6)
    count = min(_MOST_BANDS, len(frames))
    band = np.minimum((times - times.min()) / span * count, count - 1).astype(int)
    edges = times.min() + span * np.arange(count + 1) / count
    return tuple(f"{_clock(edges[k])}-{_clock(edges[k + 1])}" for k in range(count)), band


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def frame_brightness(
    project: Project, frames: Sequence[Frame], *, reporter: Reporter | None = None
) -> FloatArray:
    """(F,) median grey level 0..255 of each frame, from a small picture, kept for good; NaN for a broken file."""
    path = project.cache_dir / "brightness.npz"
    known = _load(path)
    missing = [frame for frame in frames if frame.id not in known]
    report = reporter or Quiet()
    for done, frame in enumerate(missing):
        report.update(done / len(missing), f"brightness of frame {done + 1} of {len(missing)}")
        known[frame.id] = _median(project, frame)
        if done % _SAVE_EVERY == _SAVE_EVERY - 1:
            _save(path, known)
    if missing:
        _save(path, known)
    return np.array([known[frame.id] for frame in frames], float)


def frame_lights(project: Project, frames: Sequence[Frame], *, reporter: Reporter | None = None) -> IntArray:
    """(F,) index into `LIGHTS` of each frame; one that cannot be read counts as dark."""
    brightness = frame_brightness(project, frames, reporter=reporter)
    return np.searchsorted(_LIGHT_LIMITS, np.nan_to_num(brightness), side="right")


def _median(project: Project, frame: Frame) -> float:
    try:
        with Image.open(project.frame_path(frame)) as image:
            if image.width * image.height > project.config.frames.max_pixels:
                return float("nan")
            image.draft("L", _THUMBNAIL)
            return float(np.median(np.asarray(image.convert("L").resize(_THUMBNAIL))))
    except (OSError, ValueError, ImageError, Image.DecompressionBombError):
        return float("nan")


def _states(project: Project, frames: Sequence[Frame]) -> dict[str, str]:
    gold = {frame_id for entry in project.store.gold_sets() for frame_id in entry.manifest.get("frames", ())}
    held_out = held_out_frames(project, frames)
    covered = covered_frames(project, project.config.labels.working)
    states = {}
    for frame in frames:
        if frame.id in gold:
            states[frame.id] = GOLD_SOURCE
        elif frame.id in held_out:
            states[frame.id] = "held out"
        elif frame.excluded:
            states[frame.id] = "excluded"
        else:
            states[frame.id] = "labelled" if frame.id in covered else "unlabelled"
    return states


def _load(path: Path) -> dict[str, float]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return dict(zip(data["ids"].tolist(), data["levels"].tolist(), strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def _save(path: Path, known: dict[str, float]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, ids=np.array(list(known)), levels=np.array(list(known.values()), float))
    write_atomically(path, buffer.getvalue())
