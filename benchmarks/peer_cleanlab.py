"""Score labels with cleanlab's ObjectLab. Runs in cleanlab's own environment: `peer_cleanlab.py IN.npz OUT.json`.

Input: label_frames (L,), label_boxes (L, 4) xyxy, label_classes (L,), det_frames (D,), det_boxes (D, 4),
det_scores (D,), det_classes (D,), sizes (F, 2) width and height, class_count. Output: for each setting one list per
score, high = more likely an error, null = no answer; seconds and peak
memory (MB) of `get_label_quality_scores`, cleanlab's own way to score everything. With --speed also those of
`find_label_issues`, which its documentation calls first: it says which images have an issue, the scores say how bad.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import cleanlab
import numpy as np
from cleanlab.object_detection.filter import find_label_issues
from cleanlab.object_detection.rank import (
    _get_valid_inputs_for_compute_scores,
    compute_badloc_box_scores,
    compute_overlooked_box_scores,
    compute_swap_box_scores,
    get_label_quality_scores,
)

# (alpha, low, high probability threshold). The first are the defaults; the others go down to where detectors
# trained on few frames have their scores, and weigh overlap and distance differently.
SETTINGS = {
    "default": (0.9, 0.5, 0.95),
    "high .6": (0.9, 0.5, 0.6),
    "low .3, high .5": (0.9, 0.3, 0.5),
    "low .1, high .3": (0.9, 0.1, 0.3),
    "low .05, high .1": (0.9, 0.05, 0.1),
    "alpha .5, low .1, high .3": (0.5, 0.1, 0.3),
}


def load(path: Path):
    """Labels and predictions as cleanlab takes them, and where each row went."""
    with np.load(path) as data:
        table = {name: data[name] for name in data.files}
    frames, classes = len(table["sizes"]), int(table["class_count"])
    labels, label_rows = [], []
    at = np.argsort(table["label_frames"], kind="stable")
    for rows in np.split(at, np.searchsorted(table["label_frames"][at], np.arange(1, frames))):
        label_rows.append(rows)
        labels.append({"bboxes": table["label_boxes"][rows], "labels": table["label_classes"][rows]})
    predictions, det_rows = [], []
    boxes = np.column_stack([table["det_boxes"], table["det_scores"]])
    at = np.lexsort((table["det_classes"], table["det_frames"]))
    for rows in np.split(at, np.searchsorted(table["det_frames"][at], np.arange(1, frames))):
        det_rows.append(rows)
        kinds = table["det_classes"][rows]
        predictions.append([boxes[rows[kinds == kind]] for kind in range(classes)])
    return labels, predictions, label_rows, det_rows


def resident(name: str) -> int:
    """Kilobytes that Linux counts for this process: "VmRSS" now, "VmHWM" at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def reset_peak() -> int | None:
    """Forget the highest memory so far; kilobytes now, or None where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return resident("VmRSS")
    except (OSError, StopIteration):
        return None


def score(labels, predictions, setting):
    """Per label (bad location, swapped class) and per prediction (overlooked), each as cleanlab gives it.

    What labels and predictions have in common is computed once for the three, as cleanlab itself does it.
    """
    alpha, low, high = setting
    both = {
        "alpha": alpha,
        "auxiliary_inputs": _get_valid_inputs_for_compute_scores(alpha, labels, predictions),
    }
    return (
        compute_badloc_box_scores(**both, low_probability_threshold=low),
        compute_swap_box_scores(**both, high_probability_threshold=high),
        compute_overlooked_box_scores(**both, high_probability_threshold=high),
    )


def spread(per_frame, rows, count):
    """One flat list in the order of the input; cleanlab's 0 = dirty turned into 1."""
    flat = np.full(count, np.nan)
    for values, at in zip(per_frame, rows, strict=True):
        flat[at] = 1 - np.asarray(values, float)
    return [None if np.isnan(value) else float(value) for value in flat]


def timed(function, *arguments, **options):
    """Seconds, and seconds of processor time, child processes counted in."""
    started, before = time.perf_counter(), os.times()
    function(*arguments, **options)
    seconds, after = time.perf_counter() - started, os.times()
    return seconds, sum(after[:4]) - sum(before[:4])


def main() -> None:
    """Read, score with every setting, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--speed", action="store_true", help="only the default setting, one timed run")
    arguments = parser.parse_args()
    labels, predictions, label_rows, det_rows = load(arguments.input)
    counts = sum(map(len, label_rows)), sum(map(len, det_rows))
    before = reset_peak()
    seconds, cpu = timed(get_label_quality_scores, labels, predictions, verbose=False)
    peak = None if before is None else max(0, resident("VmHWM") - before) / 2**10
    result = {
        "version": cleanlab.__version__,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mb": peak,
        "settings": {},
    }
    if arguments.speed:
        result["find_seconds"], result["find_cpu_seconds"] = timed(find_label_issues, labels, predictions)
    else:
        for name, setting in SETTINGS.items():
            badloc, swap, overlooked = score(labels, predictions, setting)
            bad, wrong = spread(badloc, label_rows, counts[0]), spread(swap, label_rows, counts[0])
            missing = spread(overlooked, det_rows, counts[1])
            result["settings"][name] = {
                "labels": {"bad_location": bad, "wrong_class": wrong},
                "detections": {"missing": missing},
                # Its own pooling over an image is a soft minimum of the three: the worst score counts.
                "queue": {
                    "labels": [
                        max(pair, key=lambda value: -1 if value is None else value)
                        for pair in zip(bad, wrong, strict=True)
                    ],
                    "detections": missing,
                },
            }
    arguments.output.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
