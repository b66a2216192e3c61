"""Frames, labels, issues, proposals and decisions as JSON objects and back.

The store, files of decisions and the app share them. A mask is {"polygons": [{"exterior": [[x, y], ...],
"holes": [...]}]} or COCO's {"size": [h, w], "counts": str}. Fields at their default are left out; an unknown
key, a missing one or a wrong type is a `FormatError`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from curate.annotations import (
    Annotation,
    Decision,
    DecisionKind,
    Frame,
    Issue,
    IssueState,
    IssueType,
    Mask,
    Polygon,
    Proposal,
    ProposalKind,
    Rle,
)
from curate.errors import FormatError
from curate.geometry.rle import rle_from_coco, rle_to_coco
from curate.types import BoxTuple, Ring, is_storable

__all__ = [
    "annotation_from_dict",
    "annotation_to_dict",
    "decision_from_dict",
    "decision_to_dict",
    "frame_from_dict",
    "frame_to_dict",
    "issue_from_dict",
    "issue_to_dict",
    "mask_from_dict",
    "mask_to_dict",
    "proposal_from_dict",
    "proposal_to_dict",
    "ranked_issue",
]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader = Callable[[Any, str], Any]


def mask_to_dict(mask: Mask) -> dict[str, Any]:
    """Either kind of mask as a JSON object."""
    if isinstance(mask, Rle):
        return rle_to_coco(mask)
    return {
        "polygons": [
            {"exterior": _points(part.exterior)}
            | ({"holes": [_points(h) for h in part.holes]} if part.holes else {})
            for part in mask
        ]
    }


def mask_from_dict(value: Any, item: str = "mask") -> Mask:
    """The mask of a JSON object.

    Raises:
        FormatError: Not such an object, a ring of fewer than three points, or run lengths that do not fit.
    """
    if isinstance(value, Mapping) and set(value) == {"size", "counts"}:
        return rle_from_coco(value, item=item)
    if (
        not isinstance(value, Mapping)
        or set(value) != {"polygons"}
        or not isinstance(value["polygons"], list)
    ):
        raise FormatError('expected {"polygons": [...]} or {"size": [h, w], "counts": ...}', item=item)
    return tuple(_polygon(part, item) for part in value["polygons"])


def frame_to_dict(frame: Frame) -> dict[str, Any]:
    """A frame as a JSON object."""
    return _to_dict(frame)


def frame_from_dict(value: Any, item: str = "frame") -> Frame:
    """The frame of a JSON object."""
    return _from_dict(Frame, value, _FRAME, item)


def annotation_to_dict(annotation: Annotation) -> dict[str, Any]:
    """A label as a JSON object."""
    return _to_dict(annotation)


def annotation_from_dict(value: Any, item: str = "annotation") -> Annotation:
    """The label of a JSON object.

    Raises:
        FormatError: A key or a type is wrong.
        DataError: The box is impossible.
    """
    return _from_dict(Annotation, value, _ANNOTATION, item)


def proposal_to_dict(proposal: Proposal) -> dict[str, Any]:
    """A proposal as a JSON object."""
    return _to_dict(proposal)


def proposal_from_dict(value: Any, item: str = "proposal") -> Proposal:
    """The proposal of a JSON object."""
    return _from_dict(Proposal, value, _PROPOSAL, item)


def issue_to_dict(issue: Issue) -> dict[str, Any]:
    """An issue as a JSON object."""
    return _to_dict(issue)


def issue_from_dict(value: Any, item: str = "issue") -> Issue:
    """The issue of a JSON object."""
    return _from_dict(Issue, value, _ISSUE, item)


def ranked_issue(payload: str, probability: float, severity: float, item: str = "issue") -> Issue:
    """The stored issue at its present rank: `payload` is what the scan wrote, re-ranking moves the columns only."""
    return issue_from_dict(json.loads(payload) | {"probability": probability, "severity": severity}, item)


def decision_to_dict(decision: Decision) -> dict[str, Any]:
    """A decision as a JSON object."""
    return _to_dict(decision)


def decision_from_dict(value: Any, item: str = "decision") -> Decision:
    """The decision of a JSON object. What it says is checked when it is decided, not here."""
    return _from_dict(Decision, value, _DECISION, item)


def _points(ring: Ring) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in ring]


def _polygon(value: Any, item: str) -> Polygon:
    if not isinstance(value, Mapping) or not {"exterior"} <= set(value) <= {"exterior", "holes"}:
        raise FormatError('a polygon needs {"exterior": [[x, y], ...], "holes": [...]}', item=item)
    holes = value.get("holes", [])
    if not isinstance(holes, list):
        raise FormatError("holes must be a list of rings", item=item)
    return Polygon(_ring(value["exterior"], item), tuple(_ring(hole, item) for hole in holes))


def _ring(value: Any, item: str) -> Ring:
    if not isinstance(value, list) or len(value) < 3:
        raise FormatError("a polygon ring needs at least three [x, y] points", item=item)
    if not all(isinstance(point, list | tuple) and len(point) == 2 for point in value):
        raise FormatError("a point needs two numbers [x, y]", item=item)
    return tuple((_number(x, item), _number(y, item)) for x, y in value)


def _to_dict(value: Any) -> dict[str, Any]:
    result = {}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if content is None or content == default:
            continue
        result[field.name] = _plain(field.name, content)
    return result


def _plain(name: str, content: Any) -> Any:
    if name == "mask":
        return mask_to_dict(content)
    if isinstance(content, Proposal):
        return _to_dict(content)
    if isinstance(content, StrEnum):
        return content.value
    if name == "evidence":
        return {str(key): float(number) for key, number in content.items()}
    if isinstance(content, Mapping):
        return dict(content)
    if name == "bbox_xyxy":
        return [float(side) for side in content]
    # numpy's floats are Python floats for isinstance, but not all are for json.
    return float(content) if isinstance(content, float) else content


def _from_dict(cls: type[T], value: Any, readers: Mapping[str, Reader], item: str) -> T:
    if not isinstance(value, Mapping):
        raise FormatError(f"expected a JSON object, got {type(value).__name__}", item=item)
    unknown = sorted(set(value) - set(readers))
    if unknown:
        raise FormatError(f"unknown key {unknown[0]!r}; allowed: {', '.join(readers)}", item=item)
    given: dict[str, Any] = {
        key: readers[key](content, f"{item}, {key}") for key, content in value.items() if content is not None
    }
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in given:
            if cls is not Issue or field.name not in _NULLABLE_OF_ISSUE:
                raise FormatError(f"key {field.name!r} is missing", item=item)
            given[field.name] = None
    return cls(**given)


def _text(value: Any, item: str) -> str:
    if not isinstance(value, str):
        raise FormatError(f"expected text, got {value!r}", item=item)
    if not is_storable(value):
        raise FormatError(f"this text cannot be stored: {value!r:.80}", item=item)
    return value


def _number(value: Any, item: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"expected a number, got {value!r}", item=item)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FormatError(f"expected a finite number, got {value!r}", item=item)
    return number


def _whole(value: Any, item: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"expected a whole number, got {value!r}", item=item)
    return value


def _flag(value: Any, item: str) -> bool:
    if not isinstance(value, bool):
        raise FormatError(f"expected true or false, got {value!r}", item=item)
    return value


def _box(value: Any, item: str) -> BoxTuple:
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise FormatError(f"a box needs four numbers x1, y1, x2, y2, got {value!r}", item=item)
    x1, y1, x2, y2 = (_number(side, item) for side in value)
    return (x1, y1, x2, y2)


def _mapping(read: Reader) -> Reader:
    def reader(value: Any, item: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise FormatError("expected a JSON object", item=item)
        return {key: read(content, f"{item}, {key}") for key, content in value.items()}

    return reader


def _choice(cls: type[E]) -> Reader:
    def reader(value: Any, item: str) -> E:
        try:
            return cls(value)
        except ValueError as error:
            allowed = ", ".join(member.value for member in cls)
            raise FormatError(f"expected one of {allowed}, got {value!r}", item=item) from error

    return reader


def _anything(value: Any, _item: str) -> Any:
    return value


_NULLABLE_OF_ISSUE = {"annotation_id", "bbox_xyxy", "label"}
"""They have no default and may be None."""

_FRAME: dict[str, Reader] = {
    **dict.fromkeys(("id", "name", "camera", "clip", "sha256", "path", "source"), _text),
    **dict.fromkeys(("index", "width", "height"), _whole),
    **dict.fromkeys(("wall_time", "excluded"), _flag),
    "captured_at": _number,
}
_ANNOTATION: dict[str, Reader] = {
    **dict.fromkeys(("id", "frame_id", "label", "source", "track_id"), _text),
    **dict.fromkeys(("iscrowd", "occluded", "difficult", "ignore"), _flag),
    "bbox_xyxy": _box,
    "mask": mask_from_dict,
    "score": _number,
    "attributes": _mapping(_anything),
    "revision": _whole,
}
_PROPOSAL: dict[str, Reader] = {
    "kind": _choice(ProposalKind),
    "label": _text,
    "bbox_xyxy": _box,
    "mask": mask_from_dict,
}
_ISSUE: dict[str, Reader] = {
    **dict.fromkeys(("id", "frame_id", "annotation_id", "label", "explanation", "group_id"), _text),
    **dict.fromkeys(("severity", "probability"), _number),
    "type": _choice(IssueType),
    "state": _choice(IssueState),
    "bbox_xyxy": _box,
    "evidence": _mapping(_number),
    "proposal": proposal_from_dict,
}
_DECISION: dict[str, Reader] = {
    **dict.fromkeys(
        ("id", "reviewer", "issue_id", "frame_id", "annotation_id", "label", "track_id", "undoes", "note"),
        _text,
    ),
    "kind": _choice(DecisionKind),
    "bbox_xyxy": _box,
    "mask": mask_from_dict,
    "flags": _mapping(_flag),
    "expected_revision": _whole,
    "group": _flag,
    "created_at": _number,
}
