from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from curate.annotations import Annotation, Frame
from curate.geometry.shapes import Polygon, Rle
from curate.tables import Detections


def _frames(count, width=200, height=160, seconds=1.0):
    return [
        Frame(f"{i:032x}", f"gold_{i}.jpg", "cam", "clip", i, i * seconds, False, width, height, "", "", "")
        for i in range(count)
    ]


def _label(frame, box, label="person", **fields):
    number = f"{frame.id}-{label}-{tuple(float(v) for v in box)}"
    return Annotation(number, frame.id, label, tuple(float(v) for v in box), source="gold", **fields)


def _found(boxes=(), scores=(), classes=None, masks=None):
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    classes = np.zeros(len(boxes), int) if classes is None else np.asarray(classes, int)
    return Detections(boxes, np.asarray(scores, float), classes, masks)


def _box_mask(box, height=160, width=200):
    x1, y1, x2, y2 = (int(v) for v in box)
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return Rle(height, width, tuple([0, *counts] if flat[0] else counts))


def _scene(seed, frames=12, classes=("person", "car"), ties=True, masks=False):
    """Random gold with crowds and ignored objects; detections near them, duplicates, and elsewhere."""
    random = np.random.default_rng(seed)
    gold, found = [], []
    images = _frames(frames)
    for frame in images:
        count = int(random.integers(0, 6))
        corner, size = random.integers(0, 120, (count, 2)), random.integers(6, 40, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        names = random.integers(0, len(classes), count)
        for box, name in zip(boxes, names, strict=True):
            flag = int(random.integers(0, 8))
            x1, y1, x2, y2 = box.tolist()
            ring = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
            flags = {"iscrowd": flag == 0, "ignore": flag == 1, "difficult": flag == 2}
            gold.append(_label(frame, box, classes[name], mask=(Polygon(ring),) if masks else None, **flags))
        near = np.repeat(boxes, 2, axis=0) + random.integers(-4, 5, (2 * count, 4))
        corner = random.integers(0, 120, (4, 2))
        far = np.concatenate([corner, corner + random.integers(6, 40, (4, 2))], axis=1)
        found_boxes = np.clip(np.concatenate([near, far]), 0, 159)
        found_boxes[:, 2:] = np.maximum(found_boxes[:, 2:], found_boxes[:, :2])
        scores = random.random(len(found_boxes))
        labels = np.concatenate([np.repeat(names, 2), random.integers(0, len(classes), 4)])
        rles = tuple(_box_mask(box) for box in found_boxes) if masks else None
        found.append(_found(found_boxes, np.round(scores, 1) if ties else scores, labels, rles))
    return SimpleNamespace(frames=images, gold=gold, found=found, classes=classes)


def _run(frames, gold, seed, *, miss=0.1, jitter=2.0, false=2.0, classes=("person", "car")):
    """Detections of a detector that misses, is off by some pixels, and raises false alarms."""
    random = np.random.default_rng(seed)
    result = []
    for frame in frames:
        mine = [entry for entry in gold if entry.frame_id == frame.id and random.random() >= miss]
        boxes = np.array([entry.bbox_xyxy for entry in mine]).reshape(-1, 4)
        boxes = boxes + random.normal(0, jitter, boxes.shape)
        labels = [classes.index(entry.label) for entry in mine]
        alarms = int(random.poisson(false))
        corner = random.uniform(0, 120, (alarms, 2))
        boxes = np.concatenate([boxes, np.concatenate([corner, corner + 30], axis=1)])
        scores = np.concatenate([random.beta(5, 2, len(mine)), random.beta(3, 3, alarms)])
        result.append(_found(boxes, scores, [*labels, *random.integers(0, len(classes), alarms)]))
    return result


def _street(frames=60, people=5):
    """People walking and one parked car, with tracks."""
    images = _frames(frames, width=400, height=300)
    gold = []
    for i, frame in enumerate(images):
        for k in range(people):
            x, y = (20 + 60 * k + 1.5 * i) % 350, 40.0 * k + 20
            gold.append(_label(frame, (x, y, x + 20, y + 38), track_id=f"p{k}-{i // 20}"))
        gold.append(_label(frame, (300, 230, 380, 290), "car", track_id="c0"))
    return images, gold


@pytest.fixture
def make():
    return SimpleNamespace(
        frames=_frames,
        label=_label,
        found=_found,
        scene=_scene,
        run=_run,
        street=_street,
        box_mask=_box_mask,
    )
