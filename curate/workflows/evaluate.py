"""Judge runs on the frozen gold set: predict, time, score, keep."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import Annotation
from curate.assist import COCO_DETECTOR, weights_path
from curate.errors import CompareError, DataError, NotFoundError
from curate.evaluation import (
    EvalResult,
    EvalSettings,
    evaluate,
    moving_objects,
    settings_from_site,
    site_slices,
)
from curate.store import EvaluationRecord, Role, RunRecord
from curate.tables import Detections
from curate.workflows.cards import write_model_card
from curate.workflows.files import read_json, write_json
from curate.workflows.gold import GoldContent, frozen_gold
from curate.workflows.gold_parts import approaches
from curate.workflows.new_objects import new_objects_slice
from curate.workflows.policy import apply_policy
from curate.workflows.predictions import read_detections, write_detections
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project

if TYPE_CHECKING:  # torch stays out of processes that only read results, such as the app
    from curate.detectors import GenericDetector, SiteDetector, TorchvisionCoco

__all__ = [
    "GENERIC_RUN",
    "TORCHVISION_RUN",
    "RunOnGold",
    "baseline_run",
    "evaluate_run",
    "gold_annotations",
    "load_detector",
    "needed_gold",
    "run_folder",
]

GENERIC_RUN = "generic"
"""Kind of the runs that stand for the bundled detector as it is, one for each input size."""
TORCHVISION_RUN = "torchvision"
"""Kind (and id) of the run that stands for torchvision's COCO detector, where its weights can be had."""

_WARM_UP = 3


@dataclass(frozen=True)
class RunOnGold:
    """A run's outputs and scores on a gold set; detections in the order of the gold frames."""

    run: RunRecord
    result: EvalResult
    detections: tuple[Detections, ...]


def needed_gold(project: Project) -> GoldContent:
    """The frozen gold set.

    Raises:
        NotFoundError: There is none yet.
    """
    gold = frozen_gold(project)
    if gold is None:
        raise NotFoundError(
            "there is no frozen gold set to judge on",
            hint="`curate gold create`, label its frames, `curate gold freeze`",
        )
    return gold


def gold_annotations(project: Project, gold: GoldContent) -> list[Annotation]:
    """The gold labels, the labelling policy applied."""
    return apply_policy(gold.annotations, project.config)


def run_folder(project: Project, run: RunRecord) -> Path:
    """Folder of a run's files."""
    return project.root / run.path


def baseline_run(project: Project, kind: str = GENERIC_RUN) -> RunRecord:
    """The run that stands for a detector from elsewhere, noted when first asked for.

    Args:
        project: The project.
        kind: `GENERIC_RUN` or `TORCHVISION_RUN`.

    Raises:
        AccessError: It is not noted yet, and see `evaluate_run`.
    """
    run_id = f"{kind}-{_input_size(project)}" if kind == GENERIC_RUN else kind
    try:
        return project.store.run(run_id)
    except NotFoundError:
        project.expect_role(Role.REVIEWER)
        folder = project.runs_dir / run_id
        folder.mkdir(exist_ok=True)
        path = str(folder.relative_to(project.root))
        return project.store.put_run(RunRecord(run_id, None, kind, "done", project.config.train.seed, path))


def _input_size(project: Project) -> int:
    from curate.workflows.train import train_config

    return train_config(project).input_size


def load_detector(project: Project, run: RunRecord) -> GenericDetector | SiteDetector | TorchvisionCoco:
    """The detector of a run.

    Raises:
        ModelError: Its files are missing or broken, or the weights cannot be downloaded.
        DataError: The run was not finished.
        CompareError: It was trained on other classes than those of site.yaml now.
    """
    from curate.detectors import GenericDetector, SiteDetector, TorchvisionCoco

    if run.kind == TORCHVISION_RUN:
        return TorchvisionCoco(project.config.classes, device=project.config.train.device)
    if run.kind == GENERIC_RUN:
        return GenericDetector(
            weights_path(COCO_DETECTOR),
            project.config.classes,
            input_size=_input_size(project),
            device=project.config.train.device,
        )
    if run.state != "done":
        raise DataError(
            f"the run is {run.state}, not done", item=f"run {run.id}", hint="run `curate retrain`"
        )
    detector = SiteDetector.load(run_folder(project, run), device=project.config.train.device)
    if tuple(detector.classes) != tuple(project.config.classes):
        raise CompareError(
            f"it was trained on the classes {list(detector.classes)}, not on {list(project.config.classes)}",
            item=f"run {run.id}",
            hint="retrain on the classes of today",
        )
    return detector


def evaluate_run(
    project: Project,
    run: RunRecord,
    gold: GoldContent,
    *,
    reporter: Reporter | None = None,
) -> RunOnGold:
    """Predict on every gold frame, one at a time and timed, and score. Done once per run and gold set.

    The time is the median over the frames of decoding-free prediction: letterbox, network, decoding of boxes and
    suppression, without masks. Masks are predicted in a second pass where the detector has a mask head.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        ModelError: The detector's files are broken.
        Cancelled: The reporter asked to stop.
    """
    project.expect_role(Role.REVIEWER)
    folder = run_folder(project, run)
    predictions = folder / f"{gold.gold.id}.parquet"
    result_file = folder / f"{gold.gold.id}.json"
    ids = [frame.id for frame in gold.frames]
    stored = project.store.evaluations(run_id=run.id, gold_id=gold.gold.id)
    key = _key(project)
    if stored and stored[-1].metrics.get("key") == key and predictions.exists() and result_file.exists():
        result = EvalResult.from_dict(read_json(result_file))
        if result.settings == _settings(project) and result.classes == tuple(project.config.classes):
            return RunOnGold(run, result, tuple(read_detections(predictions, ids)))
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0, f"evaluating {run.id}: ")
    detector = load_detector(project, run)
    masks = bool(getattr(detector, "has_masks", False))
    found, ms = _predict(project, detector, gold, masks, progress)
    write_detections(predictions, dict(zip(ids, found, strict=True)))
    annotations = gold_annotations(project, gold)
    moving = moving_objects(gold.frames, annotations)
    slices = site_slices(project.config.slices, annotations, moving)
    result = evaluate(
        gold.frames,
        annotations,
        found,
        project.config.classes,
        _settings(project),
        slices={**slices, **new_objects_slice(project, [run], gold, annotations, moving)},
        regions=approaches(project.config),
        moving=moving,
        gold_id=gold.gold.id,
        ms_per_frame=ms,
        memory_mb=_memory(project, detector, gold),
    )
    write_json(result_file, result.to_dict())
    if run.kind == "train":
        write_model_card(project, run, result)
    metrics = {
        "key": key,
        "box_ap": result.box.ap,
        "box_ap50": result.box.ap50,
        "mask_ap": result.mask.ap,
        "ms_per_frame": ms,
    }
    project.store.put_evaluation(
        EvaluationRecord(
            id=f"{run.id}@{gold.gold.id}",
            run_id=run.id,
            gold_id=gold.gold.id,
            metrics=metrics,
            path=str(result_file.relative_to(project.root)),
        )
    )
    return RunOnGold(run, result, tuple(found))


def _memory(
    project: Project, detector: GenericDetector | SiteDetector | TorchvisionCoco, gold: GoldContent
) -> float:
    from curate.detectors.memory import prediction_mb

    return prediction_mb(detector, project.frame_image(gold.frames[0]))


def _key(project: Project) -> str:
    """Digest of what a stored result depends on besides run and gold set."""
    config = project.config
    slices = [entry.model_dump_json() for entry in config.slices]
    text = json.dumps(
        [config.classes, slices, config.policy.model_dump_json(), config.evaluation.model_dump_json()]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _settings(project: Project) -> EvalSettings:
    return settings_from_site(project.config)


def _predict(
    project: Project,
    detector: GenericDetector | SiteDetector | TorchvisionCoco,
    gold: GoldContent,
    masks: bool,
    progress: SubReporter,
) -> tuple[list[Detections], float]:
    from curate.detectors import SiteDetector

    found: list[Detections] = []
    seconds: list[float] = []
    passes = 2 if masks else 1
    for number, frame in enumerate(gold.frames):
        image = project.frame_image(frame)
        for _ in range(0 if number else _WARM_UP):
            detector.predict([image])
        started = time.perf_counter()
        found.append(detector.predict([image])[0])
        seconds.append(time.perf_counter() - started)
        progress.update(number / len(gold.frames) / passes, f"frame {number + 1} of {len(gold.frames)}")
    if masks and isinstance(detector, SiteDetector):
        # A pass of its own: between two timed frames the mask head would drive the rest out of the caches.
        for number, frame in enumerate(gold.frames):
            found[number] = detector.predict([project.frame_image(frame)], masks=True)[0]
            progress.update(0.5 + number / len(gold.frames) / 2, f"masks of frame {number + 1}")
    return found, float(np.median(seconds)) * 1000
