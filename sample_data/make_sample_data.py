"""Makes the label files of this folder from the footage and from boxes set by eye (README.md says by whom).

    python sample_data/make_sample_data.py --work /tmp/sample-work

Takes about 25 minutes on two cores, most of it in the segmenter; what is done is kept in the work folder, so the
command goes on after an interruption. Inputs: junction.avi and boxes.json (every box, class, track id and flag,
set by eye). Outputs: working.coco.json, working.reviewed.coco.json, gold.coco.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curate.annotations import Annotation, Frame
from curate.assist import Segmenter
from curate.formats.coco import annotations_to_coco, write_coco
from curate.geometry.polygons import mask_to_polygons
from curate.geometry.rle import mask_to_rle, rle_from_coco, rle_to_coco, rle_to_mask
from curate.types import BoxTuple, FloatArray, ImageArray, MaskArray
from curate.workflows.files import write_json
from curate.workflows.ingest import ingest
from curate.workflows.labels import export_coco
from curate.workflows.prelabel import POLYGON_TOLERANCE, prelabel
from curate.workflows.project import Project

HERE = Path(__file__).parent
CLASSES = ["person", "car"]
LAST_WORKING, FIRST_GOLD = 555, 600
WINDOW = 208
"""Side in pixels of the window around people that the segmenter sees at its full size: sharper than the frame."""
CHANGED, STRONG = 32.0, 48.0
"""Grey levels of difference to the empty scene: changed at all; certainly something else."""
OCCLUDERS = ((412, 201, 447, 245), (423, 30, 439, 395))
"""The sign and the lamp post: nobody's mask covers them where the picture shows the empty scene."""


def main() -> None:
    """Make all three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for intermediate results")
    work: Path = parser.parse_args().work
    project = _project(work / "project")
    frames = {f"{frame.index:06d}": frame for frame in project.store.frames()}
    boxes = json.loads((HERE / "boxes.json").read_text("utf-8"))
    working = [frame for frame in frames.values() if frame.index <= LAST_WORKING]
    prelabel(project, frames=working)
    export_coco(
        project, HERE / "working.coco.json", source="cheap", frame_ids=[frame.id for frame in working]
    )
    masks = _masks(project, frames, boxes, work / "masks.json")
    for name, chosen in (
        ("working.reviewed.coco.json", working),
        ("gold.coco.json", [frame for frame in frames.values() if frame.index >= FIRST_GOLD]),
    ):
        annotations = _annotations(chosen, boxes, masks, name)
        write_coco(HERE / name, annotations_to_coco(chosen, annotations, CLASSES))


def _project(folder: Path) -> Project:
    if (folder / "site.yaml").exists():
        return Project.open(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text((HERE / "site.yaml").read_text("utf-8"), "utf-8")
    project = Project.open(folder)
    ingest(project, [HERE / "junction.avi"])
    return project


def _annotations(
    frames: Sequence[Frame], boxes: dict[str, Any], masks: dict[str, Any], name: str
) -> list[Annotation]:
    result = []
    for frame in frames:
        key = f"{frame.index:06d}"
        for row, packed in zip(boxes[key], masks[key], strict=True):
            mask = rle_to_mask(rle_from_coco(packed))
            x1, y1, x2, y2 = row["box"]
            result.append(
                Annotation(
                    id=str(len(result) + 1),
                    frame_id=frame.id,
                    label=row["class"],
                    bbox_xyxy=(x1, y1, x2, y2),
                    mask=mask_to_polygons(mask, tolerance=POLYGON_TOLERANCE) or None,
                    source="gold" if name.startswith("gold") else "reviewed",
                    track_id=row["track"],
                    occluded=row.get("occluded", False),
                    ignore=row.get("ignore", False),
                )
            )
    return result


def _masks(
    project: Project, frames: dict[str, Frame], boxes: dict[str, Any], cache: Path
) -> dict[str, list[dict[str, Any]]]:
    """Masks of all boxes by frame number; the segmenter's, mended by the difference to the empty scene."""
    done: dict[str, Any] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    images = {key: project.frame_image(frames[key]) for key in boxes}
    plate = np.median(np.stack(list(images.values())[::2]), axis=0).astype(np.float32)
    segmenter = Segmenter()
    parked: dict[BoxTuple, MaskArray] = {}
    for key, rows in boxes.items():
        if key not in done:
            done[key] = [
                rle_to_coco(mask_to_rle(m)) for m in _frame_masks(segmenter, images[key], plate, rows, parked)
            ]
            write_json(cache, done)
    return done


def _frame_masks(
    segmenter: Segmenter,
    image: ImageArray,
    plate: FloatArray,
    rows: Sequence[dict[str, Any]],
    parked: dict[BoxTuple, MaskArray],
) -> list[MaskArray]:
    raw = _segment(segmenter, image, rows, parked)
    difference = cv2.GaussianBlur(np.abs(image.astype(np.float32) - plate).max(2), (3, 3), 0)
    people = [row["class"] == "person" for row in rows]
    result = []
    for index, row in enumerate(rows):
        inside = np.zeros(difference.shape, bool)
        x1, y1, x2, y2 = row["box"]
        inside[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
        mask = raw[index] & inside
        if people[index]:
            others = [raw[i] for i in range(len(rows)) if i != index and people[i]]
            mask = _mend(mask, inside, difference, np.any(others, axis=0) if others else ~inside, row)
        result.append(_without_specks(mask))
    return result


def _segment(
    segmenter: Segmenter, image: ImageArray, rows: Sequence[dict[str, Any]], parked: dict[BoxTuple, MaskArray]
) -> list[MaskArray]:
    """One mask a box; boxes that fit one window share its encoding, parked vehicles are outlined once."""
    height, width = image.shape[:2]
    masks: dict[int, MaskArray] = {}
    for index, row in enumerate(rows):
        if row["class"] == "car" and not row.get("occluded") and tuple(row["box"]) in parked:
            masks[index] = parked[tuple(row["box"])]
    while len(masks) < len(rows):
        first = rows[next(i for i in range(len(rows)) if i not in masks)]["box"]
        side = max(WINDOW, 1.5 * max(first[2] - first[0], first[3] - first[1]))
        x = min(max(0.0, (first[0] + first[2] - side) / 2), width - side)
        y = min(max(0.0, (first[1] + first[3] - side) / 2), height - side)
        embedding = segmenter.embed(image, (x, y, x + side, y + side))
        for index, row in enumerate(rows):
            box = tuple(row["box"])
            fits = box[0] >= x + 4 and box[1] >= y + 4 and box[2] <= x + side - 4 and box[3] <= y + side - 4
            if index not in masks and (fits or row["box"] == first):
                masks[index] = segmenter.segment(embedding, box=box).mask
                if row["class"] == "car" and not row.get("occluded"):
                    parked[box] = masks[index]
    return [masks[index] for index in range(len(rows))]


def _mend(
    mask: MaskArray, inside: MaskArray, difference: FloatArray, others: MaskArray, row: dict[str, Any]
) -> MaskArray:
    """Add the parts beyond an occluder that the segmenter missed; cut the occluder itself out."""
    changed = (difference > CHANGED) & inside & ~others
    covered = (changed & mask).sum() / max(1, changed.sum())
    if (row.get("occluded") and covered < 0.75) or mask.sum() < 0.2 * inside.sum():
        mask = mask | _opened(changed & (difference > STRONG) & ~mask)
    still = np.zeros(mask.shape, bool)
    for x1, y1, x2, y2 in OCCLUDERS:
        still[y1:y2, x1:x2] = True
    cut = mask & ~_opened(mask & still & (difference < 22))
    return cut if cut.sum() >= 15 else inside & (difference > 40)


def _opened(mask: MaskArray) -> MaskArray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(bool)


def _without_specks(mask: MaskArray) -> MaskArray:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for part in range(1, count):
        if stats[part][4] < 8 and stats[part][4] < 0.05 * mask.sum():
            mask = mask & (parts != part)
    return mask


if __name__ == "__main__":
    main()
