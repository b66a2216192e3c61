"""Why an issue is one: the raw numbers, and one sentence that a person understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from curate.annotations import IssueType, Mask
from curate.issues.hints import HintSource
from curate.issues.masks import as_rles, mask_agreement
from curate.issues.scores import invalid_polygon
from curate.issues.scoring import Scored
from curate.issues.spec import SPECS
from curate.types import FloatArray

__all__ = ["explain", "facts"]

Facts = Mapping[str, float]


def facts(scored: Scored, kind: IssueType, row: int) -> dict[str, float]:
    """Numbers behind an issue: the classifier's evidence by its own names, and the raw values they came from.

    What is unknown is left out. Decisions learn from the evidence entries, so they are not rounded away:
    six digits.
    """
    table = scored.evidence.features[kind]
    numbers = dict(zip(SPECS[kind].names, table.values[row].tolist(), strict=True))
    if kind is IssueType.MISSING:
        numbers.update(_candidate_facts(scored, row))
    elif kind is not IssueType.BAD_FRAME:
        numbers.update(_label_facts(scored, kind, row))
    return {name: round(float(value), 6) for name, value in numbers.items() if np.isfinite(value)}


def _pick(values: FloatArray | None, row: int) -> float:
    return float("nan") if values is None else float(np.asarray(values, float)[row])


def _label_facts(scored: Scored, kind: IssueType, row: int) -> dict[str, float]:
    inputs, context = scored.evidence.inputs, scored.evidence.context
    evidence, own = inputs.label_evidence, int(inputs.labels.classes[row])
    probs = evidence.class_probs
    numbers = {
        "foreground_share": _pick(evidence.foreground, row),
        "source_score": _pick(inputs.labels.source_scores, row),
        "detector_probability": float("nan") if probs is None else float(np.asarray(probs)[row, own]),
        "place_frames": float(context.places.counts[row]),
        "place_share": float(context.places.shares[row]),
        "frames": float(len(inputs.frames)),
        "size_z": _worst(evidence.size_z, row),
        "detection_iou": _pick(context.matched_iou, row),
    }
    if probs is not None and len(context.classes) > 1:
        others = np.array(np.asarray(probs, float)[row, :-1])
        others[own] = -1
        numbers["other_probability"] = float(others.max())
    if kind is IssueType.DUPLICATE:
        numbers["partner_iou"] = float(context.doubles.iou[row])
        numbers["partner_inside"] = float(context.doubles.inside[row])
    if kind is IssueType.INACCURATE_MASK:
        numbers["mask_iou"] = _mask_iou(scored, evidence.predicted_masks, row)
        numbers["segmenter_iou"] = _mask_iou(scored, evidence.segmenter_masks, row)
    for other, probability in scored.probabilities.items():
        applies = other not in (IssueType.MISSING, IssueType.BAD_FRAME, kind)
        if applies and probability[row] >= 0.2:
            numbers[f"also_{other.value}"] = float(probability[row])
    return numbers


def _mask_iou(scored: Scored, others: Sequence[Mask | None] | None, row: int) -> float:
    """IoU of the label's mask with another one of the same object; NaN without."""
    inputs = scored.evidence.inputs
    frame = int(inputs.labels.frames[row])
    size = np.asarray(inputs.frames.widths)[[frame]], np.asarray(inputs.frames.heights)[[frame]]
    own = None if inputs.labels.masks is None else inputs.labels.masks[row]
    other = None if others is None else others[row]
    if own is None or other is None or invalid_polygon([own])[0] > 0:
        return float("nan")
    return float(mask_agreement(as_rles([own], *size), as_rles([other], *size))[0][0])


def _candidate_facts(scored: Scored, row: int) -> dict[str, float]:
    candidates = scored.evidence.candidates
    hint = int(candidates.hints[row])
    source = -1 if hint < 0 else int(scored.evidence.inputs.hints.sources[hint])
    return {
        "hint_foreground": 1.0 if source == HintSource.FOREGROUND else float("nan"),
        "object_probability": float(candidates.objects[row]),
        "detector_score": float(candidates.scores[row]) if candidates.detections[row] >= 0 else float("nan"),
        "foreground_share": float(candidates.foreground[row]),
        "size_z": _worst(candidates.size_z, row),
        "place_frames": float(candidates.places.counts[row]),
        "place_share": float(candidates.places.shares[row]),
        "frames": float(len(scored.evidence.inputs.frames)),
    }


def _worst(size_z: FloatArray | None, row: int) -> float:
    if size_z is None:
        return float("nan")
    values = np.asarray(size_z, float)[row]
    known = values[np.isfinite(values)]
    return float(known[np.abs(known).argmax()]) if len(known) else float("nan")


def explain(kind: IssueType, label: str, numbers: Facts, *, other: str = "") -> str:
    """One sentence with the numbers that matter; what is unknown is not mentioned.

    Args:
        kind: Type of the issue.
        label: Class name ("" for a frame).
        numbers: From `facts`.
        other: The class or thing proposed instead, if any.
    """
    said = [part for part in _SENTENCES[kind](numbers, label, other) if part]
    text = _join(said) if said else _FALLBACK[kind].format(label=label)
    return text[0].upper() + text[1:] + "."


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + ", and " + parts[-1]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _say(numbers: Facts, name: str, text: Callable[[float], str], when: bool = True) -> str:
    return text(numbers[name]) if when and name in numbers else ""


def _place(numbers: Facts) -> str:
    if numbers.get("standing", 0.0) < 0.1 and numbers.get("place_share", 0.0) < 0.2:
        return ""
    return f"the same box stands on {numbers.get('place_frames', 0):.0f} of {numbers.get('frames', 0):.0f} frames"


def _spurious(n: Facts, label: str, other: str) -> list[str]:
    seen = n.get("background", 0.0) >= 0.4
    return [
        _say(
            n,
            "detector_probability",
            lambda p: (
                f"no detector trained without this label sees a {label} here ({p:.2f})"
                if seen
                else f"a detector trained without this label gives it {p:.2f}"
            ),
        ),
        _say(
            n,
            "foreground_share",
            lambda f: f"only {_percent(f)} of the box differs from the empty scene",
            n.get("low_foreground", 0.0) >= 0.3,
        ),
        _place(n),
        _say(
            n, "source_score", lambda s: f"its source was not sure ({s:.2f})", n.get("source_doubt", 0) >= 0.5
        ),
        _say(
            n,
            "size_z",
            lambda z: f"its size is {abs(z):.0f} deviations off for this place",
            n.get("odd_size", 0) >= 0.25,
        ),
        _say(n, "unseen", lambda u: "no detection overlaps it", n.get("unseen", 0.0) >= 0.98 and not seen),
    ]


def _missing(n: Facts, label: str, other: str) -> list[str]:
    tracked = n.get("in_track", 0.0) >= 0.5
    return [
        _say(
            n, "detector_score", lambda s: f"a detector sees a {label} here ({s:.2f}) and no label is there"
        ),
        ""
        if "detector_score" in n or "hint_foreground" in n
        else f"a {label} is labelled just before and after, but not on this frame",
        _say(
            n, "hint_foreground", lambda _: "something differs from the empty scene here that no label covers"
        ),
        _say(n, "object_probability", lambda p: f"a detector trained without this frame gives it {p:.2f}"),
        _say(n, "foreground_share", lambda f: f"{_percent(f)} of the box differs from the empty scene"),
        "it continues labels before and after" if tracked and "detector_score" in n else "",
        _say(
            n,
            "ledger",
            lambda v: f"the same place is labelled on {_percent(v)} of the frames",
            n.get("ledger", 0.0) >= 0.1,
        ),
    ]


def _wrong_class(n: Facts, label: str, other: str) -> list[str]:
    return [
        _say(
            n,
            "detector_probability",
            lambda p: (
                f"a detector trained without this label gives {label} {p:.2f}"
                + (f" and {other} {n['other_probability']:.2f}" if other and "other_probability" in n else "")
            ),
        ),
        _say(
            n,
            "neighbours",
            lambda v: f"{_percent(v)} of the most similar crops have another class",
            n.get("neighbours", 0) >= 0.3,
        ),
        _say(
            n,
            "track_minority",
            lambda v: f"{_percent(v)} of its track has another class",
            n.get("track_minority", 0) >= 0.3,
        ),
    ]


def _bad_location(n: Facts, label: str, other: str) -> list[str]:
    if n.get("out_of_frame", 0.0) >= 0.2:
        return [f"{_percent(n['out_of_frame'])} of the box lie outside the frame"]
    if n.get("sliver", 0.0) >= 1:
        return ["the box is too thin to hold an object"]
    return [
        _say(
            n,
            "refined",
            lambda v: f"a detector trained without this label would move the box (IoU {1 - v / 2:.2f})",
            n.get("refined", 0) >= 0.3,
        ),
        _say(
            n,
            "detection_iou",
            lambda v: f"the detection nearby fits it only with IoU {v:.2f}",
            n.get("detected", 0) >= 0.25,
        ),
        _say(
            n,
            "snapped",
            lambda v: f"what differs from the empty scene has another extent (IoU {1 - v / 2:.2f})",
            n.get("snapped", 0) >= 0.4,
        ),
        _say(
            n,
            "misfit",
            lambda v: f"the detector expects the box to fit with IoU {1 - v:.2f}",
            n.get("misfit", 0) >= 0.4,
        ),
        _say(n, "jump", lambda v: "it leaves the path of its track", n.get("jump", 0) >= 0.6),
    ]


def _inaccurate_mask(n: Facts, label: str, other: str) -> list[str]:
    if n.get("invalid", 0.0) >= 1:
        return ["the outline crosses itself or has too few points"]
    return [
        _say(
            n,
            "mask_iou",
            lambda v: f"the detector's mask agrees with it only to IoU {v:.2f}",
            n.get("mask_region", 0) >= 0.3,
        ),
        _say(
            n,
            "segmenter_iou",
            lambda v: f"the segmenter's mask agrees only to IoU {v:.2f}",
            n.get("segmenter_region", 0) >= 0.3,
        ),
        _say(
            n,
            "mask_box",
            lambda v: f"mask and box do not have the same bounds (IoU {1 - v:.2f})",
            n.get("mask_box", 0) >= 0.15,
        ),
        "part of it looks like the empty scene" if n.get("hollow", 0) >= 0.3 else "",
        "it leaves out a part of what moves there" if n.get("cut", 0) >= 0.3 else "",
        "it has few and long straight edges" if n.get("coarse", 0) >= 0.3 else "",
        "its outline would fit better a little larger, smaller or aside" if n.get("aside", 0) >= 0.6 else "",
        _say(n, "edge", lambda v: "there is hardly any edge along its outline", n.get("edge", 0) >= 0.7),
    ]


def _duplicate(n: Facts, label: str, other: str) -> list[str]:
    inside = n.get("partner_inside", 0.0)
    overlap = (
        f"another {label} label covers it (IoU {n.get('partner_iou', 0):.2f}, {_percent(inside)} inside)"
    )
    alone = n.get("alone", 0.0) >= 0.8
    return [
        overlap,
        _say(
            n,
            "mask_overlap",
            lambda v: f"{_percent(v)} of the smaller mask lie in the other",
            n.get("mask_overlap", 0) >= 0.3,
        ),
        "a detector draws both to the same box" if n.get("converge", 0.0) >= 0.7 else "",
        "only the other one has a detection of its own" if alone else "",
    ]


def _track(n: Facts, label: str, other: str) -> list[str]:
    return [
        _say(
            n,
            "jump",
            lambda v: f"it leaves the path of its track (IoU {1 - v / 2:.2f} with the box expected)",
        ),
        _say(n, "jitter", lambda v: "its size jumps", n.get("jitter", 0) >= 0.5),
        _say(
            n,
            "track_minority",
            lambda v: f"{_percent(v)} of its track has another class",
            n.get("track_minority", 0) >= 0.3,
        ),
    ]


def _outlier(n: Facts, label: str, other: str) -> list[str]:
    return [
        _say(n, "far", lambda v: f"it looks unlike the other {label} labels", n.get("far", 0) >= 0.3),
        _say(
            n,
            "neighbours",
            lambda v: f"{_percent(v)} of the most similar crops have another class",
            n.get("neighbours", 0) >= 0.3,
        ),
        _say(
            n,
            "size_z",
            lambda z: f"its size is {abs(z):.0f} deviations off for this place",
            n.get("odd_size", 0) >= 0.25,
        ),
    ]


_FRAME_WORDS = {
    "verdict": "an earlier check found the frame unfit",
    "blur": "the picture is far less sharp than usual",
    "exposure": "nothing can be seen: too dark or too bright",
    "frozen": "the picture has not changed since the frame before",
    "repeated": "it repeats an earlier frame",
    "moved": "the camera has moved against the background",
}


def _bad_frame(n: Facts, label: str, other: str) -> list[str]:
    found = [words for name, words in _FRAME_WORDS.items() if n.get(name, 0.0) >= 0.4]
    return [f"{other} frame: {found[0]}", *found[1:]] if other and found else found


_SENTENCES: dict[IssueType, Callable[[Facts, str, str], list[str]]] = {
    IssueType.SPURIOUS: _spurious,
    IssueType.MISSING: _missing,
    IssueType.WRONG_CLASS: _wrong_class,
    IssueType.BAD_LOCATION: _bad_location,
    IssueType.INACCURATE_MASK: _inaccurate_mask,
    IssueType.DUPLICATE: _duplicate,
    IssueType.INCONSISTENT_TRACK: _track,
    IssueType.OUTLIER: _outlier,
    IssueType.BAD_FRAME: _bad_frame,
}
_FALLBACK: dict[IssueType, str] = {
    IssueType.SPURIOUS: "several weak signs speak against this {label}",
    IssueType.MISSING: "a {label} may lack a label here",
    IssueType.WRONG_CLASS: "several weak signs speak against the class {label}",
    IssueType.BAD_LOCATION: "several weak signs speak against the box of this {label}",
    IssueType.INACCURATE_MASK: "several weak signs speak against the mask of this {label}",
    IssueType.DUPLICATE: "another label may mean the same {label}",
    IssueType.INCONSISTENT_TRACK: "this {label} does not fit its track",
    IssueType.OUTLIER: "this {label} is unusual",
    IssueType.BAD_FRAME: "several weak signs speak against the frame",
}
