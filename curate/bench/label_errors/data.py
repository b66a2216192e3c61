"""The data of a benchmark: a project with reviewed labels on working frames and gold labels apart from them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from curate.bench.label_errors.settings import LabelErrorsSettings
from curate.bench.label_errors.stranger import read_stranger, split_of
from curate.errors import ConfigError
from curate.files import read_json, write_json
from curate.splits import pick_gold_blocks, time_blocks
from curate.synth import SceneConfig, render_scene
from curate.workflows.coverage import covered_frames, mark_covered
from curate.workflows.demo import sample_folder
from curate.workflows.gold import GOLD_SOURCE, create_gold, freeze_gold
from curate.workflows.ingest import ingest
from curate.workflows.labels import import_coco
from curate.workflows.progress import SubReporter
from curate.workflows.project import SITE_FILE, Project

__all__ = ["NATURAL", "REVIEWED", "Base", "prepare_data"]

REVIEWED = "reviewed"
"""Label source of the right labels of the working frames."""
NATURAL = "natural"
"""Label source of the sample's cheap labels."""
_READY = "ready.json"
_SCENE_SEED = 7000


@dataclass(frozen=True)
class Base:
    """Frames and right labels, before anything is injected.

    Attributes:
        project: Its sources are `REVIEWED`, gold and, for the sample, `NATURAL`.
        notes: What was decided about the data, to be said aloud.
        digest: Changes with everything that the data depend on.
    """

    project: Project
    notes: tuple[str, ...]
    digest: str


def prepare_data(settings: LabelErrorsSettings, seed: int, reporter: SubReporter) -> Base:
    """The base project of a data set, made once and kept in the cache.

    Args:
        settings: What to measure.
        seed: The rendered scene follows it; the other data are the same for every seed.
        reporter: Told how far it is.

    Raises:
        DataError: The data are not there, or too few.
        FormatError: A label file is broken.
        ConfigError: CROSSGUARD_DB would put all projects of the benchmark into one database.
    """
    if os.environ.get("CROSSGUARD_DB"):
        raise ConfigError(
            "the benchmark makes projects of its own",
            item="CROSSGUARD_DB",
            hint="run it without this variable",
        )
    makers: dict[str, Callable[[], tuple[dict[str, Any], Callable[[Project], tuple[str, ...]]]]] = {
        "sample": lambda: _sample(settings, reporter),
        "synth": lambda: _synth(settings, seed, reporter),
    }
    site, fill = makers.get(settings.data, lambda: _stranger(settings, reporter))()
    digest = hashlib.sha256(json.dumps(site, sort_keys=True).encode()).hexdigest()
    folder = settings.cache.absolute() / "data" / digest[:16]
    if not (folder / _READY).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        stated = {key: value for key, value in site.items() if not key.startswith("_")}
        (folder / SITE_FILE).write_text(yaml.safe_dump(stated, sort_keys=False), "utf-8")
        project = Project.open(folder)
        notes = fill(project)
        project.store.close()
        write_json(folder / _READY, list(notes))
    return Base(Project.open(folder), tuple(read_json(folder / _READY)), digest)


_Fill = Callable[[Project], tuple[str, ...]]


def _sample(settings: LabelErrorsSettings, reporter: SubReporter) -> tuple[dict[str, Any], _Fill]:
    sample = sample_folder(settings.frames)
    site = yaml.safe_load((sample / SITE_FILE).read_text("utf-8"))
    names = ("junction.avi", "working.coco.json", "working.reviewed.coco.json", "gold.coco.json")
    site["_made_of"] = [hashlib.sha256((sample / name).read_bytes()).hexdigest() for name in names]

    def fill(project: Project) -> tuple[str, ...]:
        ingest(project, [sample / names[0]], reporter=reporter)
        import_coco(project, sample / names[1], source=NATURAL)
        import_coco(project, sample / names[2], source=REVIEWED)
        import_coco(project, sample / names[3], source=GOLD_SOURCE)
        gold = {annotation.frame_id for annotation in project.store.annotations(source=GOLD_SOURCE)}
        create_gold(project, frame_ids=sorted(gold))
        freeze_gold(project)
        return ()

    return site, fill


def _synth(settings: LabelErrorsSettings, seed: int, reporter: SubReporter) -> tuple[dict[str, Any], _Fill]:
    config = scene_config(seed, settings.max_frames)
    site: dict[str, Any] = {
        "site": "rendered",
        "camera": "rendered",
        "classes": list(render_scene(config).classes),
        "frames": {"every_n": 1},
        "split": split_of(config.duration),
        "model": {"input_size": max(160, 32 * round(max(config.size) / 32))},
        "_scene": repr(config),
    }

    def fill(project: Project) -> tuple[str, ...]:
        scene = render_scene(config)
        folder = project.root / "pictures"
        ingest(project, [scene.write_video(folder / "rendered.avi")], reporter=reporter)
        frames = sorted(project.store.frames(), key=lambda frame: frame.index)
        labels = list(scene.annotations_with([frame.id for frame in frames]))
        project.store.add_annotations([replace(label, source=REVIEWED) for label in labels], actor=REVIEWED)
        mark_covered(project, REVIEWED, [frame.id for frame in frames])
        set_gold_apart(project)
        shutil.rmtree(folder)
        return (f"rendered scene {config.seed}: {len(frames)} frames",)

    return site, fill


def scene_config(seed: int, frames: int) -> SceneConfig:
    """The scene of a seed: cars and trucks that drive, people who walk and stand, a parked car, a post, a tripod."""
    return SceneConfig(
        seed=_SCENE_SEED + seed, frames=frames, size=(384, 288), fps=2.0, persons=5, cars=2, trucks=1, standers=2,
        clip="rendered", source=REVIEWED,
    )  # fmt: skip


def _stranger(settings: LabelErrorsSettings, reporter: SubReporter) -> tuple[dict[str, Any], _Fill]:
    stranger = read_stranger(Path(settings.data), settings.frames, settings.max_frames)

    def fill(project: Project) -> tuple[str, ...]:
        stranger.fill(project, REVIEWED, reporter)
        set_gold_apart(project, stranger.gold(project))
        return stranger.notes

    return dict(stranger.site), fill


def set_gold_apart(project: Project, frame_ids: list[str] | None = None) -> None:
    """Turn the reviewed labels of held-out frames into gold, and freeze it.

    Args:
        project: With reviewed labels.
        frame_ids: The frames; None: whole blocks of time, of the frames that the labels cover.
    """
    if frame_ids is None:
        covered = covered_frames(project, REVIEWED)
        frames = [frame for frame in project.store.frames() if frame.id in covered]
        split, times = project.config.split, np.array([frame.captured_at for frame in frames])
        blocks = time_blocks(times, [frame.clip for frame in frames], split.block_seconds)
        chosen = pick_gold_blocks(blocks, split.gold_share)
        frame_ids = [frame.id for frame, held_out in zip(frames, chosen, strict=True) if held_out]
    create_gold(project, frame_ids=frame_ids)
    labels = project.store.annotations(source=REVIEWED, frame_ids=frame_ids)
    project.store.add_annotations(
        [replace(label, id=f"gold:{label.id}", source=GOLD_SOURCE) for label in labels], actor=GOLD_SOURCE
    )
    mark_covered(project, GOLD_SOURCE, frame_ids)
    freeze_gold(project, allow_empty=True)
