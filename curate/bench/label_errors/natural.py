"""Errors that nobody injected: the sample's cheap labels, judged by the reviewed ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curate.annotations import Annotation, DecisionKind, Issue
from curate.bench.label_errors.corrupt import WORKING, natural_case
from curate.bench.label_errors.data import REVIEWED, Base
from curate.bench.label_errors.gathering import gather_case
from curate.bench.label_errors.settings import LabelErrorsSettings
from curate.errors import DataError
from curate.issues import find_issues, issue_looks, reliability
from curate.issues.places import cluster_boxes
from curate.workflows.policy import apply_policy
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project
from curate.workflows.replay import Verdict, judge_issue
from curate.workflows.scan_gather import scan_calibrators, scan_settings

__all__ = ["natural_rows", "repeated"]

_FIRST = 100
_SHARE = 0.3
REPEATS = 10
"""A place with at least so many labels without an object is a repeated error."""


def natural_rows(settings: LabelErrorsSettings, base: Base, reporter: SubReporter) -> list[dict[str, Any]]:
    """Precision of the first entries, and how early the repeated errors come.

    Raises:
        DataError: The data have no cheap labels beside the reviewed ones.
    """
    if settings.data != "sample":
        raise DataError(
            "only the sample has cheap labels and reviewed ones for the same frames",
            item="--natural",
            hint="use it with --data sample",
        )
    project = natural_case(base, settings.steps, settings.cache)
    gathered = gather_case(project, reporter)
    issues = find_issues(
        gathered.inputs,
        project.config.classes,
        scan_settings(project),
        calibrators=scan_calibrators(project, gathered),
    )
    truth: dict[str, list[Annotation]] = defaultdict(list)
    for label in apply_policy(project.store.annotations(source=REVIEWED), project.config):
        truth[label.frame_id].append(label)
    frames = {frame.id: frame for frame in project.store.frames()}
    verdicts = [
        judge_issue(project, issue, frames[issue.frame_id], truth[issue.frame_id])
        for issue in issues[: max(_FIRST, 4 * _FIRST)]
    ]
    looks = issue_looks(issues)
    first = {issue.id: verdict for issue, verdict in zip(issues, verdicts, strict=False)}
    labels = apply_policy(project.store.annotations(source=WORKING), project.config)
    row = {
        "type": "natural",
        "labels": sum(label.counts for label in labels),
        "issues": len(issues),
        "looks": len(looks),
        **_precision("entries", verdicts[:_FIRST]),
        **_precision(
            "looks",
            [
                first.get(look[0].id)
                or judge_issue(project, look[0], frames[look[0].frame_id], truth[look[0].frame_id])
                for look in looks[:_FIRST]
            ],
        ),
        **_repeated_row(project, labels, truth, issues, looks),
        **_reliability(issues, verdicts),
    }
    project.store.close()
    return [row]


def _precision(name: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    clear = [verdict.kind for verdict in verdicts if verdict.kind is not None]
    real = sum(kind is not DecisionKind.KEEP for kind in clear)
    return {
        f"{name}_real": real,
        f"{name}_unclear": len(verdicts) - len(clear),
        f"{name}_precision": real / len(clear) if clear else None,
    }


def _reliability(issues: Sequence[Issue], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    pairs = [
        (issue.probability, verdict.kind is not DecisionKind.KEEP)
        for issue, verdict in zip(issues, verdicts, strict=False)
        if verdict.kind is not None
    ]
    found = reliability(np.array([p for p, _ in pairs]), np.array([hit for _, hit in pairs], np.int64))
    return {"brier": found.brier, "calibration_error": found.error, "judged": len(pairs)}


def _repeated_row(
    project: Project,
    labels: Sequence[Annotation],
    truth: Mapping[str, Sequence[Annotation]],
    issues: Sequence[Issue],
    looks: Sequence[Sequence[Issue]],
) -> dict[str, Any]:
    wrong = repeated(project.config.classes, labels, truth)
    limit = round(_SHARE * sum(label.counts for label in labels))
    by_items = {issue.annotation_id for issue in issues[:limit]}
    by_looks = {issue.annotation_id for look in looks[:limit] for issue in look}
    number = {issue.annotation_id: at for at, look in enumerate(looks) for issue in look}
    used = {number[name] for name in wrong if name in number and name in by_looks}
    return {
        "repeated": len(wrong),
        "repeated_places": len(set(wrong.values())),
        "repeated_found_items": len(by_items & set(wrong)) / len(wrong) if wrong else None,
        "repeated_found_looks": len(by_looks & set(wrong)) / len(wrong) if wrong else None,
        "repeated_groups": len(used),
        "repeated_last_look": max(used, default=-1) + 1,
    }


def repeated(
    classes: Sequence[str], labels: Sequence[Annotation], truth: Mapping[str, Sequence[Annotation]]
) -> dict[str, int]:
    """Labels that stand where no object is, at one place on at least ten frames: label id -> place."""
    from curate.geometry.boxes import box_iou

    bare = []
    for label in labels:
        if not label.counts:
            continue
        there = np.array([entry.bbox_xyxy for entry in truth.get(label.frame_id, ())], float).reshape(-1, 4)
        if not len(there) or box_iou(np.array(label.bbox_xyxy), there).max() < 0.3:
            bare.append(label)
    boxes = np.array([label.bbox_xyxy for label in bare], float).reshape(-1, 4)
    kinds = np.array([list(classes).index(label.label) for label in bare], np.int64)
    places = cluster_boxes(boxes, kinds)
    counts = np.bincount(places, minlength=1)
    return {
        label.id: int(place)
        for label, place in zip(bare, places.tolist(), strict=True)
        if counts[place] >= REPEATS
    }
