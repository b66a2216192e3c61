"""Score labels with FiftyOne's Brain. Runs in FiftyOne's own environment: `peer_fiftyone.py IN.npz OUT.json`.

Input as in peer_cleanlab.py and, where there are masks, mask_windows (L + D, 4) whole pixels and mask_bits: the
masks inside their windows, one after the other. "default" is `compute_mistakenness` as it is; "evaluation" follows
FiftyOne's own tutorial on detection mistakes: false positives of `evaluate_detections` by confidence as missing
labels, false negatives as spurious ones, overlap from the evaluation (of masks where there are masks), and
`compute_max_ious` for doubles.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.utils.iou as foui
import numpy as np

MASK_SCORE = 0.2
"""Weaker predictions are left out where masks are compared: FiftyOne takes minutes for them and matches none."""


def load(path: Path):
    """The table of the input."""
    with np.load(path) as data:
        return {name: data[name] for name in data.files}


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


def make_dataset(table, *, masks: bool):
    """One sample per frame; every object carries its row of the input."""
    classes = [str(kind) for kind in range(int(table["class_count"]))]
    crops = _crops(table) if masks else None
    dataset = fo.Dataset()
    samples = []
    for frame, (width, height) in enumerate(table["sizes"].tolist()):
        sample = fo.Sample(filepath=f"/nowhere/{frame:06d}.jpg")
        sample.metadata = fo.ImageMetadata(width=width, height=height)
        for field, prefix, first in (("labels", "label", 0), ("found", "det", len(table["label_frames"]))):
            objects = []
            for row in np.flatnonzero(table[f"{prefix}_frames"] == frame).tolist():
                if masks and prefix == "det" and table["det_scores"][row] < MASK_SCORE:
                    continue
                if crops is not None and crops[first + row] is None:
                    continue  # Comparing masks fails where an object has none.
                box, mask = table[f"{prefix}_boxes"][row], None
                if crops is not None:
                    box, mask = table["mask_windows"][first + row], crops[first + row]
                x1, y1, x2, y2 = (float(value) for value in box)
                bounds = [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height]
                entry = fo.Detection(
                    label=classes[int(table[f"{prefix}_classes"][row])],
                    bounding_box=bounds,
                    mask=mask,
                    row=row,
                )
                if prefix == "det":
                    entry.confidence = float(table["det_scores"][row])
                objects.append(entry)
            sample[field] = fo.Detections(detections=objects)
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    return dataset


def _crops(table):
    sizes = table["mask_windows"][:, 2:] - table["mask_windows"][:, :2]
    ends = np.cumsum(sizes.prod(1))
    return [
        bits.reshape(high, wide).astype(bool) if wide * high else None
        for bits, (wide, high) in zip(np.split(table["mask_bits"], ends[:-1]), sizes.tolist(), strict=True)
    ]


def collect(dataset, field, names, count):
    """One list per attribute, in the order of the input; null where an object lacks it."""
    result = {name: [None] * count for name in names}
    for sample in dataset.iter_samples():
        for entry in sample[field].detections:
            for name in names:
                if entry.has_field(name) and entry[name] is not None:
                    result[name][entry.row] = entry[name]
    return result


def mistakenness(dataset) -> None:
    """The Brain's method at its defaults."""
    fob.compute_mistakenness(dataset, "found", label_field="labels", progress=False)


def defaults(dataset, counts):
    """Scores of the default method; a spurious label is only a yes, without a score."""
    names = ("mistakenness", "mistakenness_loc", "possible_spurious")
    labels = collect(dataset, "labels", names, counts[0])
    found = collect(dataset, "found", ("possible_missing", "confidence"), counts[1])
    missing = [
        confidence if flag else None
        for flag, confidence in zip(found["possible_missing"], found["confidence"], strict=True)
    ]
    spurious = [1.0 if flag else None for flag in labels["possible_spurious"]]
    worst = [
        max((value for value in values if value is not None), default=None)
        for values in zip(spurious, labels["mistakenness"], labels["mistakenness_loc"], strict=True)
    ]
    return {
        "labels": {
            "spurious": spurious,
            "wrong_class": labels["mistakenness"],
            "bad_location": labels["mistakenness_loc"],
        },
        "detections": {"missing": missing},
        "queue": {"labels": worst, "detections": missing},
    }


def evaluation(table, plain, counts):
    """Scores along FiftyOne's tutorial on detection mistakes."""
    plain.evaluate_detections("found", gt_field="labels", eval_key="e", classwise=False, progress=False)
    foui.compute_max_ious(plain, "labels", iou_attr="max_iou", progress=False)
    labels = collect(plain, "labels", ("e", "e_iou", "max_iou", "mistakenness"), counts[0])
    found = collect(plain, "found", ("e", "confidence"), counts[1])
    missing = [
        score if state == "fp" else None for state, score in zip(found["e"], found["confidence"], strict=True)
    ]
    spurious = [1.0 if state == "fn" else None for state in labels["e"]]
    location = [None if value is None else 1 - value for value in labels["e_iou"]]
    scores = {
        "spurious": spurious,
        "wrong_class": labels["mistakenness"],
        "bad_location": location,
        "duplicate": labels["max_iou"],
    }
    if "mask_bits" in table:
        masked = make_dataset(table, masks=True)
        masked.evaluate_detections(
            "found", gt_field="labels", eval_key="m", use_masks=True, classwise=False, iou=0.1, progress=False
        )
        overlap = collect(masked, "labels", ("m_iou",), counts[0])["m_iou"]
        scores["inaccurate_mask"] = [None if value is None else 1 - value for value in overlap]
        masked.delete()
    columns = [scores[name] for name in ("spurious", "wrong_class", "bad_location")]
    worst = [
        max((value for value in row if value is not None), default=None) for row in zip(*columns, strict=True)
    ]
    return {
        "labels": scores,
        "detections": {"missing": missing},
        "queue": {"labels": worst, "detections": missing},
    }


def main() -> None:
    """Read, score, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    table = load(arguments.input)
    counts = len(table["label_frames"]), len(table["det_frames"])
    dataset = make_dataset(table, masks=False)
    before = reset_peak()
    started = time.perf_counter()
    mistakenness(dataset)
    seconds = time.perf_counter() - started
    peak = None if before is None else max(0, resident("VmHWM") - before) / 2**10
    settings = {"default": defaults(dataset, counts), "evaluation": evaluation(table, dataset, counts)}
    dataset.delete()
    result = {"version": fo.__version__, "seconds": seconds, "peak_mb": peak, "settings": settings}
    arguments.output.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
