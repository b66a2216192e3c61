"""What each format keeps of a label: one table, which the contract tests hold against the writers and readers."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["FEATURES", "Keeps"]

FEATURES: dict[str, str] = {
    "boxes": "boxes, to 0.01 px",
    "polygons": "polygons of one ring, to 0.01 px",
    "parts": "masks of several parts, to the pixel",
    "holes": "masks with holes, to the pixel",
    "rle": "run-length masks, to the pixel",
    "box_beside_mask": "a box that is not the mask's own",
    "ids": "label ids",
    "tracks": "track ids",
    "scores": "scores",
    "attributes": "attributes",
    "occluded": "flag occluded",
    "difficult": "flag difficult",
    "ignore": "flag ignore",
    "crowd": "flag iscrowd",
    "empty": "frames without labels",
    "clips": "several recordings in one file",
}
"""Feature -> what it means. "To the pixel" is meant of the rasterised mask."""


@dataclass(frozen=True, slots=True)
class Keeps:
    """Which features survive export and import again; a field is false where something is lost or changed."""

    boxes: bool = True
    polygons: bool = True
    parts: bool = True
    holes: bool = True
    rle: bool = True
    box_beside_mask: bool = True
    ids: bool = True
    tracks: bool = True
    scores: bool = True
    attributes: bool = True
    occluded: bool = True
    difficult: bool = True
    ignore: bool = True
    crowd: bool = True
    empty: bool = True
    clips: bool = True

    def lost(self) -> tuple[str, ...]:
        """Names of the features that do not survive."""
        return tuple(field.name for field in fields(self) if not getattr(self, field.name))
