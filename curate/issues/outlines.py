"""Evidence about masks: what detector, segmenter and foreground say about the area, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curate.annotations import Mask
from curate.geometry.shapes import Rle
from curate.issues import scores
from curate.issues.context import Context
from curate.issues.inputs import FinderInputs
from curate.issues.masks import as_rles, mask_agreement, straightness
from curate.types import BoolArray, FloatArray

__all__ = ["has_mask", "mask_columns"]

_OPINIONS = ("mask", "redrawn", "detected", "segmenter")
# Few corners are no error by themselves: some people trace like that.
_CORNERS = 0.7


def has_mask(inputs: FinderInputs) -> BoolArray:
    """(L,) True for labels with a mask."""
    masks = inputs.labels.masks
    return (
        np.zeros(len(inputs.labels), bool)
        if masks is None
        else np.array([bool(mask) for mask in masks], bool)
    )


def mask_columns(
    inputs: FinderInputs, context: Context, edge: FloatArray | None
) -> dict[str, FloatArray | None]:
    """Columns (L,) of the type `inaccurate_mask` by name; nothing when no label has a mask.

    Args:
        inputs: Tables and evidence.
        context: What labels and detections say about each other.
        edge: (L,) doubt about the contrast along the outline.
    """
    labels, evidence = inputs.labels, inputs.label_evidence
    if labels.masks is None:
        return {}
    invalid = scores.invalid_polygon(labels.masks)
    widths = np.asarray(inputs.frames.widths)[labels.frames]
    heights = np.asarray(inputs.frames.heights)[labels.frames]
    # A polygon that cannot be rasterised is found by `invalid` and has no pixels to compare.
    usable = [
        None if bad else mask for mask, bad in zip(labels.masks, np.nan_to_num(invalid) > 0, strict=True)
    ]
    own = as_rles(usable, widths, heights)
    columns: dict[str, FloatArray | None] = {
        "mask_box": scores.mask_box_gap(labels.masks, labels.boxes),
        "invalid": invalid,
        "edge": edge,
        "coarse": scores.above_usual(straightness(own), 0.2),
        "aside": None if evidence.edge_gain is None else scores.edge_aside(evidence.edge_gain),
        "hollow": None if evidence.mask_empty is None else scores.hollow(evidence.mask_empty),
        "cut": None if evidence.mask_left is None else scores.above_usual(evidence.mask_left, 0.4),
    }
    found: dict[str, tuple[FloatArray, FloatArray]] = {}
    for name, others in _opinions(inputs, context).items():
        region, boundary = mask_agreement(own, as_rles(others, widths, heights))
        if name == "redrawn" and "mask" in found:
            # Where the box hardly changes there is no other mask.
            region, boundary = (
                np.where(np.isfinite(a), a, b) for a, b in zip((region, boundary), found["mask"], strict=True)
            )
        found[name] = region, boundary
        columns[f"{name}_region"] = scores.mask_disagreement(region)
        columns[f"{name}_boundary"] = scores.mask_disagreement(boundary, worst=0.2)
    return columns | _together(columns, len(labels))


def _together(columns: Mapping[str, FloatArray | None], count: int) -> dict[str, FloatArray | None]:
    """Evidence that counts because other evidence says the same.

    Whoever stands behind a sign has a mask of what can be seen, and every detector draws all of him: their
    disagreement alone says little. Beside an outline that does not lie where the foreground ends, or of few
    corners, it says much.
    """

    def column(name: str) -> FloatArray:
        values = columns.get(name)
        return np.zeros(count) if values is None else np.nan_to_num(np.asarray(values, float))

    calm = (1 - np.minimum(1, 2 * column("aside"))) * (1 - column("hollow")) * (1 - column("cut"))
    opinions = np.array([column(f"{name}_region") for name in _OPINIONS if f"{name}_region" in columns])
    if not len(opinions):
        return {"weak_edge": column("edge") * (1 - calm)}
    disagreement = np.sqrt(opinions.mean(0))
    return {
        "off_ground": disagreement * (1 - calm * (1 - _CORNERS * column("coarse"))),
        "weak_edge": column("edge") * (1 - calm),
    }


def _opinions(inputs: FinderInputs, context: Context) -> dict[str, tuple[Mask | None, ...]]:
    """Other masks of the same object: inside the label's box or a better one, the detection's, the segmenter's."""
    evidence, detections = inputs.label_evidence, inputs.detections
    found: dict[str, tuple[Mask | None, ...]] = {}
    if evidence.predicted_masks is not None:
        found["mask"] = evidence.predicted_masks
        if evidence.redrawn_masks is not None:
            found["redrawn"] = evidence.redrawn_masks
    if detections.masks is not None:
        masks: tuple[Rle | None, ...] = detections.masks
        found["detected"] = tuple(masks[row] if row >= 0 else None for row in context.matched.tolist())
    if evidence.segmenter_masks is not None:
        found["segmenter"] = evidence.segmenter_masks
    return found
