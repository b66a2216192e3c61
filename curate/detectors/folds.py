"""Out-of-fold judgement: every frame is judged by a detector that never saw its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.detectors.config import Progress, TrainConfig, TrainingSample
from curate.detectors.frames import load_image
from curate.detectors.training import train_detector
from curate.errors import TrainingError
from curate.tables import Detections, LabelScores
from curate.types import ImageArray

__all__ = ["OutOfFold", "out_of_fold"]


@dataclass(frozen=True)
class OutOfFold:
    """What the detectors of the folds say; one entry per sample, in the order of the samples.

    Attributes:
        detections: What the detector finds on the frame.
        label_scores: What it says about the frame's own labels, in their order.
    """

    detections: tuple[Detections, ...]
    label_scores: tuple[LabelScores, ...]


def out_of_fold(
    samples: Sequence[TrainingSample],
    fold_of: Sequence[int],
    classes: Sequence[str],
    config: TrainConfig,
    weights: Path,
    out_dir: Path,
    *,
    plate: ImageArray | None = None,
    progress: Callable[[int, Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> OutOfFold:
    """Train one detector per fold on the other folds, and let it judge the fold that it never saw.

    Resumable: a finished fold is loaded from its folder, a fold cut off goes on from its checkpoint, and
    a fold whose samples changed is trained anew.

    Args:
        samples: Labelled frames.
        fold_of: Fold number of each sample; negative for a sample of no fold (a gap between time blocks),
            which no detector learns from and whose judge is the first fold's.
        classes: The site's class names.
        config: Settings of each training.
        weights: The bundled detector's ONNX file.
        out_dir: Each fold has a folder fold-<number> here.
        plate: See `train_detector`.
        progress: Called with the fold's number after every step.
        should_stop: See `train_detector`.

    Raises:
        TrainingError: Fewer than two folds, or what `train_detector` raises.
    """
    if len(fold_of) != len(samples):
        raise TrainingError(f"expected one fold number per sample, got {len(fold_of)} for {len(samples)}")
    folds = sorted({fold for fold in fold_of if fold >= 0})
    if len(folds) < 2:
        raise TrainingError(
            f"out-of-fold judgement needs at least two folds, got {len(folds)}",
            hint="add frames of other times",
        )
    detections: dict[int, Detections] = {}
    scores: dict[int, LabelScores] = {}
    for fold in folds:
        detector = train_detector(
            [sample for sample, other in zip(samples, fold_of, strict=True) if other >= 0 and other != fold],
            classes,
            config,
            weights,
            out_dir / f"fold-{fold}",
            plate=plate,
            progress=None if progress is None else _tell(progress, fold),
            should_stop=should_stop,
        )
        for index, (sample, other) in enumerate(zip(samples, fold_of, strict=True)):
            if other == fold or (other < 0 and fold == folds[0]):
                image = load_image(sample)
                detections[index] = detector.predict([image], masks=detector.has_masks)[0]
                scores[index] = detector.score_boxes([image], [sample.boxes])[0]
    order = range(len(samples))
    return OutOfFold(tuple(detections[i] for i in order), tuple(scores[i] for i in order))


def _tell(progress: Callable[[int, Progress], None], fold: int) -> Callable[[Progress], None]:
    return lambda report: progress(fold, report)
