"""The scene page as values: the plate's picture, places as boxes, regions, the camera's health, sizes."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from crossguard_app.components.gallery import Card, Picture, Shape
from crossguard_app.components.scene import PlaceLayer, PlaceMark, SceneRegion
from crossguard_app.presenters.shapes import when_taken
from crossguard_app.resources import image_url
from curate.annotations import Annotation, Frame
from curate.geometry.boxes import box_iou
from curate.scene.plate import Plate
from curate.workflows.project import Project
from curate.workflows.regions import Regions
from curate.workflows.site_scene import FrameNote, Place, SceneSizes

__all__ = [
    "CameraState",
    "OddSize",
    "camera_rows",
    "camera_state",
    "place_cards",
    "place_layers",
    "place_sentence",
    "plate_picture",
    "plate_title",
    "region_list",
    "size_lines",
    "size_points",
    "stored_form",
    "unusual",
]

GHOST, STANDING = "#ff4d4d", "#4cc3ff"
_MOST_WIDTH = 1600
_MOST_PLACES = 60
_NOTHING_THERE = 0.3
"""Less of a box than this differs from the empty scene: nothing stands there."""
_SAME_PLACE = 0.6
"""Overlap of two boxes that are taken for one standing thing."""
_FAULTS = {
    "moved": "camera moved",
    "offline": "no picture",
    "frozen": "frozen picture",
    "dark": "too dark",
    "overexposed": "too bright",
    "blurred": "blurred",
}


@dataclass(frozen=True)
class CameraState:
    """The camera in one sentence.

    Attributes:
        good: No frame has a fault.
        text: For a person.
        counts: Fault in words -> frames.
        frames: Frames with a fault, the worst kinds first.
    """

    good: bool
    text: str
    counts: dict[str, int]
    frames: tuple[FrameNote, ...]


def plate_picture(plate: Plate) -> str:
    """The plate as a data address: it is a picture that the scan made, no frame with a route of its own."""
    image = Image.fromarray(plate.image)
    if image.width > _MOST_WIDTH:
        image = image.resize((_MOST_WIDTH, round(image.height * _MOST_WIDTH / image.width)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def plate_title(plate: Plate, number: int) -> str:
    """Name of a plate by its light."""
    light = "dark" if plate.brightness < 60 else "dim" if plate.brightness < 95 else "bright"
    return f"Light {number + 1}: {light}, seen on {plate.frames} frames"


def region_list(regions: Regions) -> tuple[SceneRegion, ...]:
    """The stored regions as the board draws them."""
    return tuple(
        SceneRegion(kind, ring)
        for kind, rings in (("ignore_regions", regions.ignore_regions), ("far_zone", regions.far_zone))
        for ring in rings
    )


def stored_form(drawn: Sequence[SceneRegion]) -> Regions:
    """The inverse of `region_list`."""
    return Regions(
        tuple(region.points for region in drawn if region.kind == "ignore_regions"),
        tuple(region.points for region in drawn if region.kind == "far_zone"),
    )


def place_layers(ghosts: Sequence[Place], standing: Sequence[Place]) -> tuple[PlaceLayer, PlaceLayer]:
    """Both kinds of recurring places as boxes."""

    def marks(places: Sequence[Place]) -> tuple[PlaceMark, ...]:
        return tuple(PlaceMark(p.box, p.share, place_sentence(p)) for p in places[:_MOST_PLACES])

    return (
        PlaceLayer(
            "ghosts", "Unlabelled places", "The detectors see something there that nobody labelled",
            GHOST, marks(ghosts),
        ),
        PlaceLayer("standing", "Standing things", "Labelled at one place for long", STANDING, marks(standing)),
    )  # fmt: skip


def place_sentence(place: Place) -> str:
    """What is known about a place, with the numbers."""
    often = f"{place.label} on {len(place.frames)} frames ({place.share:.0%})"
    if place.score is None or place.foreground is None:
        return f"{often}, labelled; it stands still ({place.stillness:.2f})"
    verdict = (
        "nothing stands out against the empty scene: a ghost"
        if place.foreground < _NOTHING_THERE
        else "something is there: perhaps a missing label"
    )
    return f"{often}, mean score {place.score:.2f}; {verdict} (foreground {place.foreground:.0%})"


def place_cards(project: Project, places: Sequence[Place], key: str) -> list[Card]:
    """A cut-out of each place from a frame in the middle of its time."""
    middle = {number: place.frames[len(place.frames) // 2] for number, place in enumerate(places)}
    frames = {frame.id: frame for frame in project.store.frames(ids=middle.values())}
    cards = []
    for number, place in enumerate(places):
        frame = frames[middle[number]]
        box = _around(place.box, frame)
        left, top, right, bottom = box
        x1, y1, x2, y2 = place.box
        color = STANDING if place.score is None else GHOST
        picture = Picture(
            image_url(project, frame, width=240, box=box),
            right - left,
            bottom - top,
            (Shape((x1 - left, y1 - top, x2 - left, y2 - top), color),),
        )
        note = "" if place.foreground is None else f"foreground {place.foreground:.0%}"
        card = Card(f"{key}:{number}", f"{place.label}, {len(place.frames)} frames", (picture,), note=note)
        cards.append(card)
    return cards


def _around(box: tuple[float, float, float, float], frame: Frame) -> tuple[int, int, int, int]:
    """A square with half a box of margin, inside the frame."""
    x1, y1, x2, y2 = box
    half = max(x2 - x1, y2 - y1)
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, int(cx - half)), max(0, int(cy - half))
    return left, top, min(frame.width, int(cx + half) + 1), min(frame.height, int(cy + half) + 1)


def camera_state(notes: Sequence[FrameNote]) -> CameraState:
    """Whether the camera stands still and sees well."""
    if not notes:
        return CameraState(True, "Not measured yet: a scan looks at every frame.", {}, ())
    counts = Counter(_FAULTS.get(fault, fault) for note in notes for fault in note.faults)
    bad = tuple(
        sorted((n for n in notes if n.faults), key=lambda n: (list(_FAULTS).index(n.faults[0]), n.frame.name))
    )
    shifts = [note.shift for note in notes if note.shift is not None]
    if not bad:
        moved = f", at most {max(shifts):.1f} pixels against the empty scene" if shifts else ""
        return CameraState(True, f"The camera stands still{moved} on {len(notes):,} frames.", {}, ())
    words = ", ".join(f"{name} on {count}" for name, count in counts.most_common())
    return CameraState(
        False, f"{len(bad):,} of {len(notes):,} frames are in doubt: {words}.", dict(counts), bad
    )


def camera_rows(notes: Sequence[FrameNote]) -> pd.DataFrame:
    """One row per frame for the curve of movement and light."""
    return pd.DataFrame(
        {
            "number": range(1, len(notes) + 1),
            "shift": [note.shift for note in notes],
            "brightness": [note.brightness for note in notes],
            "name": [note.frame.name for note in notes],
            "time": [when_taken(note.frame) for note in notes],
            "faults": [", ".join(note.faults) or "none" for note in notes],
        }
    )


def size_points(sizes: SceneSizes, most: int = 4000) -> pd.DataFrame:
    """Labels as points of height against foot row; those far from usual are always among them."""
    table = pd.DataFrame(
        {
            "label": [annotation.label for annotation in sizes.annotations],
            "foot": sizes.foot,
            "height": sizes.height,
            "deviation": sizes.deviation,
            "id": [annotation.id for annotation in sizes.annotations],
        }
    )
    if len(table) <= most:
        return table
    order = np.random.default_rng(0).random(len(table)) - 2.0 * (np.abs(sizes.deviation) > 3)
    return table.iloc[np.sort(np.argsort(order, kind="stable")[:most])]


def size_lines(sizes: SceneSizes, classes: Sequence[str]) -> pd.DataFrame:
    """The usual height by foot row of each known class, with what 95 % of the labels keep to."""
    rows = []
    for index, model in sorted(sizes.prior.models.items()):
        foot = np.linspace(*model.rows, 40)
        usual = sizes.prior.expected_size(foot, index)[:, 0]
        reach = np.exp(1.96 * model.spread[0])
        rows.append(
            pd.DataFrame(
                {
                    "label": classes[index],
                    "foot": foot,
                    "usual": usual,
                    "low": usual / reach,
                    "high": usual * reach,
                }
            )
        )
    return pd.concat(rows) if rows else pd.DataFrame(columns=["label", "foot", "usual", "low", "high"])


@dataclass(frozen=True)
class OddSize:
    """A label far from the usual size, and how many such labels of its class lie at the same place."""

    annotation: Annotation
    deviation: float
    count: int

    @property
    def says(self) -> str:
        """In a few words."""
        size = "too large" if self.deviation > 0 else "too small"
        return size if self.count == 1 else f"{size}, {self.count} like it"


def unusual(sizes: SceneSizes, limit: float = 3.0) -> list[OddSize]:
    """Labels whose height is more than so many robust deviations from usual, one a place, the farthest first."""
    order = np.argsort(-np.abs(sizes.deviation), kind="stable")
    rows = [row for row in order.tolist() if abs(sizes.deviation[row]) > limit]
    boxes = np.array([sizes.annotations[row].bbox_xyxy for row in rows], float).reshape(-1, 4)
    free = np.ones(len(rows), bool)
    found = []
    for number, row in enumerate(rows):
        if not free[number]:
            continue
        label = sizes.annotations[row].label
        alike = free & (box_iou(boxes[number][None], boxes)[0] > _SAME_PLACE)
        alike &= np.array([sizes.annotations[other].label == label for other in rows], bool)
        free[alike] = False
        found.append(OddSize(sizes.annotations[row], float(sizes.deviation[row]), int(alike.sum())))
        if len(found) >= _MOST_PLACES:
            break
    return found
