"""What a review is worth in the end: AP on gold after training on clean, noisy and partly reviewed labels."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from curate.annotations import Annotation
from curate.bench.label_errors.case import Case
from curate.bench.label_errors.corrupt import WORKING, Corrupted
from curate.bench.label_errors.judge import queue_of
from curate.bench.label_errors.tools import ToolScores
from curate.evaluation import evaluate, settings_from_site
from curate.files import exclusive, read_json, write_json
from curate.types import FloatArray
from curate.workflows.dataset import LabelledFrame, training_sample
from curate.workflows.evaluate import gold_annotations, needed_gold
from curate.workflows.policy import apply_policy
from curate.workflows.progress import Cancelled, SubReporter
from curate.workflows.project import Project
from curate.workflows.starting_point import starting_point
from curate.workflows.train import train_config

__all__ = ["REVIEW_SHARE", "looked_at", "recover", "reviewed_labels"]

REVIEW_SHARE = 0.2
"""The oracle reviewer looks at items equal to this share of the number of labels."""
_LEAST_LOSS = 0.005
"""Where the errors cost less AP than this, a share of it means nothing."""


def looked_at(case: Case, values: FloatArray, seed: int) -> set[int]:
    """Numbers of the errors that the first items of a queue show, ties in random order.

    Args:
        case: What is judged.
        values: Of every item, as `queue_of` orders them; NaN last.
        seed: Of the order within ties.
    """
    carriers = np.concatenate([case.label_errors[case.judged], case.pool.errors])
    carriers = np.concatenate([carriers, np.full(len(values) - len(carriers), -1)])
    chance = np.random.default_rng([seed, 20]).random(len(values))
    order = np.lexsort((chance, -np.nan_to_num(values, nan=-np.inf)))
    first = order[: round(REVIEW_SHARE * len(case.inputs.labels))]
    return {int(error) for error in carriers[first] if error >= 0}


def reviewed_labels(corrupted: Corrupted, case: Case, found: Iterable[int]) -> list[LabelledFrame]:
    """The working labels after an oracle reviewer has set right what was found, and nothing else."""
    right = {label.id: label for entry in corrupted.reviewed for label in entry.annotations}
    mended: dict[str, Annotation | None] = {}
    added: list[Annotation] = []
    for number in found:
        error = case.errors[number]
        if error.kind == "drop":
            added.append(right[error.annotation_id])
        else:
            origin = corrupted.origin.get(error.annotation_id)
            mended[error.annotation_id] = None if origin is None else right[origin]
    by_frame: dict[str, list[Annotation]] = defaultdict(list)
    given = apply_policy(corrupted.project.store.annotations(source=WORKING), corrupted.project.config)
    for label in [*given, *added]:
        kept = mended.get(label.id, label)
        if kept is not None:
            by_frame[kept.frame_id].append(kept)
    return [
        LabelledFrame(entry.frame, tuple(by_frame.get(entry.frame.id, ()))) for entry in corrupted.reviewed
    ]


def recover(
    corrupted: Corrupted,
    case: Case,
    scores: Iterable[ToolScores],
    *,
    seed: int,
    cache: Path,
    reporter: SubReporter,
) -> list[dict[str, Any]]:
    """Train on clean, noisy and reviewed labels, judge on gold.

    Args:
        corrupted: The labels.
        case: The same with candidates and truth.
        scores: Tools whose order the reviewer follows; besides them there is a random order.
        seed: Of the training and of the random order (of the labels).
        cache: Where results are kept, by the content of the labels.
        reporter: Told how far it is.

    Returns:
        Rows of type "recovered": `order`, gold `ap`, `ap50`, share of the errors set right (`fixed`), and
        `recovered`, the share of the AP lost to the errors that came back (None for clean and noisy, or where
        less than .005 was lost).
    """
    orders: dict[str, list[LabelledFrame]] = {
        "clean": list(corrupted.reviewed),
        "noisy": reviewed_labels(corrupted, case, ()),
    }
    fixed = {"clean": 1.0, "noisy": 0.0}
    queues = {entry.tool: queue_of(case, entry)[0] for entry in scores}
    # Without a tool nothing points at what is missing: a person can only go through the labels.
    chance = np.random.default_rng([seed, 21]).random(int(case.judged.sum()))
    queues["random"] = np.concatenate([chance, np.full(len(case.pool), np.nan)])
    for name, values in queues.items():
        found = looked_at(case, values, seed)
        orders[name] = reviewed_labels(corrupted, case, found)
        fixed[name] = len(found) / max(1, len(case.errors))
    figures: dict[str, Mapping[str, float]] = {}
    for number, (name, labelled) in enumerate(orders.items()):
        part = SubReporter(reporter, number / len(orders), (number + 1) / len(orders), f"{name}: ")
        figures[name] = _train_and_judge(corrupted.project, labelled, seed, cache, part)
    lost = figures["clean"]["ap"] - figures["noisy"]["ap"]
    return [
        {
            "type": "recovered",
            "order": name,
            "seed": seed,
            "ap": entry["ap"],
            "ap50": entry["ap50"],
            "fixed": fixed[name],
            "recovered": (entry["ap"] - figures["noisy"]["ap"]) / lost
            if name in queues and lost >= _LEAST_LOSS
            else None,
        }
        for name, entry in figures.items()
    ]


def _train_and_judge(
    project: Project, labelled: list[LabelledFrame], seed: int, cache: Path, reporter: SubReporter
) -> Mapping[str, float]:
    from curate.detectors import Progress, TrainingStopped, train_detector

    start = starting_point(project, train_config(project, seed=seed), reporter)
    config = replace(start.config, checkpoint_every=20)
    gold = needed_gold(project)
    content = [
        sorted((a.label, a.bbox_xyxy, repr(a.mask), a.counts) for a in entry.annotations)
        for entry in labelled
    ]
    frames = [entry.frame.id for entry in labelled]
    text = json.dumps(
        [repr(config), project.config.policy.model_dump_json(), frames, content, _gold_key(gold)]
    )
    folder = cache.absolute() / "trained" / hashlib.sha256(text.encode()).hexdigest()[:16]
    result = folder / "gold.json"
    if result.exists():
        return dict(read_json(result))

    def tell(report: Progress) -> None:
        reporter.update(0.9 * report.step / report.steps, f"step {report.step} of {report.steps}")

    samples = [training_sample(project, entry) for entry in labelled]
    try:
        with exclusive(folder):
            detector = train_detector(
                samples, project.config.classes, config, start.weights, folder,
                progress=tell, should_stop=reporter.should_stop,
            )  # fmt: skip
    except TrainingStopped as error:
        raise Cancelled from error
    found = []
    for number, frame in enumerate(gold.frames):
        reporter.update(0.9 + 0.1 * number / len(gold.frames), f"gold frame {number + 1}")
        found.append(detector.predict([project.frame_image(frame)])[0])
    judged = evaluate(
        gold.frames,
        gold_annotations(project, gold),
        found,
        project.config.classes,
        settings_from_site(project.config),
    )
    figures = {"ap": judged.box.ap or 0.0, "ap50": judged.box.ap50 or 0.0}
    write_json(result, figures)
    return figures


def _gold_key(gold: Any) -> str:
    return str(gold.gold.content_hash)
