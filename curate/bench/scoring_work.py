"""One measurement of scoring: `python -m curate.bench.scoring_work boxes|masks|rerank|queue SIZE` prints JSON.

A process of its own, so that the peak memory is that of this one measurement. It imports neither torch nor faiss.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from curate.annotations import IssueType
from curate.geometry.rle import mask_to_rle
from curate.geometry.shapes import Rle
from curate.issues import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    FrameTable,
    LabelEvidence,
    LabelTable,
    TrainingRows,
    fit_calibrators,
    gather,
    score_evidence,
)
from curate.issues.ranking import rank
from curate.types import FloatArray, IntArray

__all__ = ["DETECTIONS", "LABELS", "main", "peer_table", "synthetic_inputs"]

LABELS, DETECTIONS = 10, 12
CLASSES = ("person", "car", "truck", "bus", "bicycle")
_SIZE = (1280, 720)
_BLOCK = 600
_DECISIONS = 200


def synthetic_inputs(frames: int, *, masks: bool = False, seed: int = 0) -> FinderInputs:
    """Labels and predictions of a made-up camera: ten labels a frame, most of them predicted, two more predictions.

    Args:
        frames: Number of frames.
        masks: Give every label a mask and a predicted mask (an ellipse in its box, shifted).
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    label_frames = np.repeat(np.arange(frames), LABELS)
    boxes = _boxes(rng, frames * LABELS)
    classes = rng.integers(len(CLASSES), size=frames * LABELS)
    det_frames, det_boxes, det_scores, det_classes = _predictions(rng, frames, boxes, classes)
    count = len(boxes)
    drawn = _ellipses(boxes, 0) if masks else None
    predicted = _ellipses(boxes, 3) if masks else None
    own = np.full((count, len(CLASSES) + 1), 0.02)
    own[np.arange(count), classes] = rng.uniform(0.3, 0.9, count)
    return FinderInputs(
        frames=FrameTable(
            ids=tuple(f"f{number:07d}" for number in range(frames)),
            times=np.arange(frames, dtype=float),
            clips=("camera",) * frames,
            blocks=np.arange(frames) // _BLOCK,
            folds=np.arange(frames) // _BLOCK % 2,
            widths=np.full(frames, _SIZE[0]),
            heights=np.full(frames, _SIZE[1]),
        ),
        labels=LabelTable(
            ids=tuple(f"l{number:08d}" for number in range(count)),
            revisions=np.zeros(count, np.int64),
            frames=label_frames,
            boxes=boxes,
            classes=classes,
            masks=drawn,
        ),
        detections=DetectionTable(det_frames, det_boxes, det_scores, det_classes),
        label_evidence=LabelEvidence(
            class_probs=own / own.sum(1, keepdims=True),
            refined_boxes=boxes + rng.normal(0, 2, boxes.shape),
            location_scores=rng.uniform(0.4, 1, count),
            predicted_masks=predicted,
            mask_scores=rng.uniform(0.5, 1, count) if masks else None,
            foreground=rng.uniform(0.2, 1, count),
            edge_contrast=rng.uniform(0, 1, count) if masks else None,
            snapped_boxes=boxes + rng.normal(0, 3, boxes.shape),
            size_z=rng.normal(0, 1, (count, 2)),
            neighbour_agreement=rng.uniform(0.4, 1, count),
            outlier=rng.uniform(0, 1, count),
        ),
        detection_evidence=DetectionEvidence(
            foreground=rng.uniform(0, 1, len(det_scores)), size_z=rng.normal(0, 1, (len(det_scores), 2))
        ),
    )


def _boxes(rng: np.random.Generator, count: int) -> FloatArray:
    wide, high = rng.uniform(20, 80, count), rng.uniform(30, 140, count)
    x, y = rng.uniform(0, _SIZE[0] - wide), rng.uniform(0, _SIZE[1] - high)
    return np.column_stack([x, y, x + wide, y + high])


def _predictions(
    rng: np.random.Generator, frames: int, boxes: FloatArray, classes: IntArray
) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    """Nine of ten labels predicted a little off, the rest of the twelve anywhere."""
    seen = np.arange(len(boxes)).reshape(frames, LABELS)[:, : LABELS - 1].ravel()
    extra = DETECTIONS - (LABELS - 1)
    found = np.concatenate([boxes[seen] + rng.normal(0, 2, (len(seen), 4)), _boxes(rng, frames * extra)])
    found = np.clip(found, 0, [*_SIZE, *_SIZE])
    at = np.concatenate([np.repeat(np.arange(frames), LABELS - 1), np.repeat(np.arange(frames), extra)])
    kinds = np.concatenate([classes[seen], rng.integers(len(CLASSES), size=frames * extra)])
    scores = np.concatenate([rng.uniform(0.3, 1, len(seen)), rng.uniform(0.05, 0.99, frames * extra)])
    order = np.argsort(at, kind="stable")
    return at[order], found[order], scores[order], kinds[order]


def _ellipses(boxes: FloatArray, shift: int) -> tuple[Rle, ...]:
    masks = []
    rows, columns = np.ogrid[: _SIZE[1], : _SIZE[0]]
    for x1, y1, x2, y2 in boxes.tolist():
        inside = ((columns - (x1 + x2) / 2 - shift) / ((x2 - x1) / 2)) ** 2
        inside = inside + ((rows - (y1 + y2) / 2) / ((y2 - y1) / 2)) ** 2
        masks.append(mask_to_rle(inside <= 1))
    return tuple(masks)


def peer_table(frames: int) -> dict[str, np.ndarray]:
    """The same labels and predictions as benchmarks/peer_cleanlab.py takes them."""
    inputs = synthetic_inputs(frames)
    labels, found = inputs.labels, inputs.detections
    return {
        "label_frames": np.asarray(labels.frames),
        "label_boxes": np.asarray(labels.boxes),
        "label_classes": np.asarray(labels.classes),
        "det_frames": np.asarray(found.frames),
        "det_boxes": np.asarray(found.boxes),
        "det_scores": np.asarray(found.scores),
        "det_classes": np.asarray(found.classes),
        "sizes": np.tile(np.array(_SIZE), (frames, 1)),
        "class_count": np.array(len(CLASSES)),
    }


def _score(inputs: FinderInputs) -> int:
    """Everything from tables to the order of the queue."""
    return len(rank(score_evidence(gather(inputs, CLASSES))))


def _rerank(labels: int) -> Callable[[], int]:
    """Gathered evidence of so many labels; timed is taking in a batch of decisions and ranking again."""
    evidence = gather(synthetic_inputs(max(1, labels // LABELS)), CLASSES)
    rng = np.random.default_rng(1)
    rows = {}
    for kind in (IssueType.SPURIOUS, IssueType.BAD_LOCATION, IssueType.MISSING):
        values = evidence.features[kind].values
        chosen = rng.integers(len(values), size=_DECISIONS)
        rows[kind] = TrainingRows(
            values[chosen],
            rng.integers(2, size=_DECISIONS),
            rng.integers(8, size=_DECISIONS),
            np.full(_DECISIONS, -1, np.int64),
            np.ones(_DECISIONS),
        )
    return lambda: len(rank(score_evidence(evidence, fit_calibrators(decisions=rows))))


def _peak_mb() -> float:
    """Most resident memory so far, in 2^20 bytes.

    From /proc where there is one: getrusage also counts what the parent held before this program was started.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text("utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _work(what: str, size: int, folder: Path) -> Callable[[], int]:
    """Everything made ready, and the call that is measured."""
    if what == "rerank":
        return _rerank(size)
    if what == "queue":
        from curate.bench.queue_work import reranked_queue

        return reranked_queue(size, folder)
    masks = what == "masks"
    return partial(_score, synthetic_inputs(max(1, size // LABELS) if masks else size, masks=masks))


def main(what: str, size: int) -> None:
    """Measure one thing and print it."""
    with tempfile.TemporaryDirectory(prefix="crossguard-bench-") as folder:
        work = _work(what, size, Path(folder))
        started, busy = time.perf_counter(), time.process_time()
        found = work()
        seconds, cpu = time.perf_counter() - started, time.process_time() - busy
        peak = _peak_mb()
    figures = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, "findings": found}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
