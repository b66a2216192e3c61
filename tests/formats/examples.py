"""Labels with every feature that a format may keep or lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from curate.annotations import Annotation
from curate.geometry import Polygon
from curate.geometry.polygons import mask_to_polygons, to_mask
from curate.geometry.rle import mask_to_rle, rle_to_bbox

WIDTH, HEIGHT = 64, 48
CLASSES = ["person", "car", "röt & <b>"]


def frames(make_frame, clips=("clip",)):
    """Three frames of a recording, the names in a folder and with a blank; every fifth of the video."""
    names = ["{}_a.jpg", "sub/{} b.jpg", "{}_c.jpg"]
    return [
        replace(make_frame(name.format(clip), 10 * place + number, WIDTH, HEIGHT, clip), index=5 * number)
        for place, clip in enumerate(clips)
        for number, name in enumerate(names)
    ]


def blob(*, hole=False, parts=False):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4:20, 6:30] = True
    mask[4:7, 6:9] = False
    if hole:
        mask[9:13, 12:20] = False
    if parts:
        mask[30:44, 40:60] = True
        mask[33:35, 45:47] = not hole
    return mask


def label(frame, **changes):
    base = Annotation("17", frame.id, "car", (3.237, 4.118, 20.333, 30.251), source="cheap", track_id=None)
    return replace(base, **changes)


def with_mask(frame, mask, **changes):
    """A label whose box is that of its mask."""
    pixels = to_mask(mask, HEIGHT, WIDTH)
    return label(frame, mask=mask, bbox_xyxy=rle_to_bbox(mask_to_rle(pixels)), **changes)


TRIANGLE = (Polygon(((3.111, 3.222), (20.333, 3.444), (12.555, 18.666))),)


def probes(frames):
    """Feature -> labels that have it."""
    frame = frames[0]
    tight = (3.111, 3.222, 20.333, 18.666)
    attributes = {
        "colour": "röt",
        "parked": True,
        "wheels": 4,
        "share": 0.25,
        "none": None,
        "list": [1, "a"],
        "like a number": "4",
        "like true": "true",
        "blanks": " x ",
        "lines": "a\nb",
        "<tag>": "<b>&amp;",
    }
    return {
        "boxes": [label(frame), label(frames[2], id="18", label="person", bbox_xyxy=(0, 0, WIDTH, HEIGHT))],
        "polygons": [label(frame, mask=TRIANGLE, bbox_xyxy=tight)],
        "parts": [with_mask(frame, mask_to_polygons(blob(parts=True)))],
        "holes": [with_mask(frame, mask_to_polygons(blob(hole=True, parts=True)))],
        "rle": [with_mask(frame, mask_to_rle(blob(hole=True)))],
        "box_beside_mask": [label(frame, mask=TRIANGLE, bbox_xyxy=(2.5, 3.222, 20.333, 18.666))],
        "ids": [label(frame, id="17"), label(frames[1], id="b7e1")],
        "tracks": [
            label(frame, track_id="clip/4"),
            label(frames[1], id="18", track_id="clip/4"),
            label(frames[1], id="19", bbox_xyxy=(40, 5, 50, 15)),
            label(frames[2], id="20", track_id="clip/5"),
        ],
        "scores": [label(frame, score=0.8125)],
        "attributes": [
            label(frame, attributes=attributes),
            label(frames[1], id="18", attributes={"wheels": "many"}),
        ],
        "occluded": [label(frame, occluded=True), label(frames[1], id="18")],
        "difficult": [label(frame, difficult=True), label(frames[1], id="18")],
        "ignore": [label(frame, ignore=True), label(frames[1], id="18")],
        "crowd": [label(frame, iscrowd=True), label(frames[1], id="18")],
        "empty": [label(frame)],
    }


def rich(frames):
    """All of it at once, for golden files."""
    found = []
    for number, (feature, labels) in enumerate(sorted(probes(frames).items())):
        for place, one in enumerate(labels):
            track = None if one.track_id is None else one.track_id
            found.append(
                replace(
                    one,
                    id=f"{10 * number + place}" if feature != "ids" else one.id + feature,
                    label=CLASSES[number % 3],
                    track_id=track,
                    score=one.score,
                )
            )
    return found
