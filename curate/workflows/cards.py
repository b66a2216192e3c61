"""A card for the data and a card for the model of each run: what somebody who gets them must know."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import curate
from curate.annotations import Annotation, Frame
from curate.config.recipes import ARCHITECTURE_TITLES
from curate.evaluation import EvalResult, escape_markdown, evaluation_markdown
from curate.files import write_atomically
from curate.store import RunRecord
from curate.versions import Version, get_version, load_version_annotations
from curate.workflows.project import Project

__all__ = ["DATASET_CARD", "MODEL_CARD", "write_dataset_card", "write_model_card"]

DATASET_CARD = "dataset-card.md"
MODEL_CARD = "model-card.md"
_ORIGINS = {"bundled": "the bundled COCO weights", "coco": "torchvision's COCO weights"}


def write_dataset_card(project: Project, run: RunRecord, version: Version) -> Path:
    """Write the card of the run's dataset version into the run's folder.

    Raises:
        ProjectError: The folder cannot be written.
    """
    frames = project.store.frames(ids=list(version.manifest.splits))
    labels = load_version_annotations(project.store, version)
    lines = [
        f"# Dataset card: {escape_markdown(project.config.site)}, version {version.id}",
        "",
        f"* Content hash: `{version.content_hash}`",
        f"* Made {_day(version.created_at)} by {escape_markdown(version.created_by)}"
        + (f": {escape_markdown(version.note)}" if version.note else ""),
        f"* Labels of source {escape_markdown(version.manifest.source)}; parent version: {version.parent or 'none'}",
        f"* {len(frames)} frames of camera {escape_markdown(project.config.camera)}, {_span(frames)}",
        "* Gold frames, and all frames within the gap of one, are not in it.",
        "",
        "## Labels",
        "",
        *_label_table(labels, version.manifest.classes),
        "",
        "## What is not labelled",
        "",
        *_policy(project),
        "",
        "## Who made the labels",
        "",
        *_authors(labels),
        "",
    ]
    path = project.root / run.path / DATASET_CARD
    write_atomically(path, "\n".join(lines).encode())
    return path


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _span(frames: Sequence[Frame]) -> str:
    clips = {frame.clip for frame in frames}
    seconds = 0.0
    for clip in clips:
        times = [frame.captured_at for frame in frames if frame.clip == clip]
        seconds += max(times) - min(times)
    minutes = f"{seconds / 60:.1f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    return f"{len(clips)} recording{'s' if len(clips) != 1 else ''}, spanning {minutes}"


def _label_table(labels: Sequence[Annotation], classes: Sequence[str]) -> list[str]:
    lines = [
        "| class | labels | frames | tracks | with mask | occluded | height in pixels, 10th / 50th / 90th percentile |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in classes:
        mine = [label for label in labels if label.label == name]
        heights = [label.bbox_xyxy[3] - label.bbox_xyxy[1] for label in mine]
        sizes = " / ".join(f"{value:.0f}" for value in np.percentile(heights, (10, 50, 90))) if mine else "-"
        tracks = len({label.track_id for label in mine if label.track_id})
        cells = [
            escape_markdown(name),
            len(mine),
            len({label.frame_id for label in mine}),
            tracks,
            sum(label.mask is not None for label in mine),
            sum(label.occluded for label in mine),
            sizes,
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines


def _policy(project: Project) -> list[str]:
    policy = project.config.policy
    lines = [
        f"* Objects lower than {policy.min_height:g} pixels or smaller than {policy.min_area:g} square pixels."
    ]
    if policy.occluded == "ignore":
        lines.append("* Objects flagged as occluded.")
    regions = len(policy.far_zone) + len(policy.ignore_regions)
    if regions:
        lines.append(f"* {regions} regions of the picture (far zones, ignore regions).")
    return [*lines, "", "These are left out of loss and metric alike."]


def _authors(labels: Sequence[Annotation]) -> list[str]:
    revised = sum(label.revision > 1 for label in labels)
    share = revised / len(labels) if labels else 0.0
    sources = Counter(label.source for label in labels)
    named = ", ".join(f"{escape_markdown(name)} ({count})" for name, count in sources.most_common())
    return [
        f"Sources: {named}. {revised} labels ({share:.0%}) have been changed in review since they came in."
    ]


def write_model_card(project: Project, run: RunRecord, result: EvalResult | None = None) -> Path:
    """Write the card of a run's detector into its folder; with the figures on gold once there are some.

    Raises:
        ProjectError: The folder cannot be written.
    """
    version = None if run.version_id is None else get_version(project.store, run.version_id)
    settings = ", ".join(f"{name} {value}" for name, value in sorted(run.config.items()))
    seconds = run.result.get("seconds")
    start = run.config.get("start")
    architecture, weights = run.config.get("architecture", "nanodet-g"), run.config.get("weights", "bundled")
    lines = [
        f"# Model card: {escape_markdown(project.config.site)}, run {run.id}",
        "",
        f"* Detects {', '.join(escape_markdown(name) for name in project.config.classes)} as seen by ONE fixed "
        f"camera ({escape_markdown(project.config.camera)}). It is not made for any other camera, and a camera "
        "that is moved is another camera.",
        f"* {ARCHITECTURE_TITLES[architecture]}, fine-tuned from {escape_markdown(_ORIGINS.get(weights, weights))}"
        + (f"; went on from run {start}" if start else "")
        + ". It also judges given boxes and, where it learnt them, draws masks.",
        f"* Trained {_day(run.finished_at or run.created_at)}"
        + (f" in {seconds:.0f} s" if isinstance(seconds, int | float) else "")
        + f" by crossguard {curate.__version__}: {escape_markdown(settings)}.",
        *(
            [f"* Data: version {version.id} ({DATASET_CARD}), content hash `{version.content_hash}`."]
            if version
            else []
        ),
        "* It finds people; whether and how it may be used to do so is for you, and the law where you are, to say.",
        "",
    ]
    if result is None:
        lines += ["It has not been judged on the gold frames yet: `curate evaluate` does that.", ""]
    else:
        title = f"On {result.frames} gold frames"
        lines += [evaluation_markdown(result, title), ""]
    path = project.root / run.path / MODEL_CARD
    write_atomically(path, "\n".join(lines).encode())
    return path
