"""How the classes of a site are found among the 80 classes of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COCO_CLASSES", "ClassRows", "coco_sources", "map_classes"]

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
scissors, teddy bear, hair drier, toothbrush
"""
COCO_CLASSES: tuple[str, ...] = tuple(name.strip() for name in _NAMES.split(","))
"""COCO's 80 class names in the order of the detector's rows."""

# What a site may call it -> the COCO classes that it covers, the closest one first.
_ALIASES: dict[str, tuple[str, ...]] = {
    "pedestrian": ("person",),
    "people": ("person",),
    "human": ("person",),
    "adult": ("person",),
    "child": ("person",),
    "worker": ("person",),
    "car": ("car", "truck", "bus"),
    "vehicle": ("car", "truck", "bus", "motorcycle"),
    "van": ("truck", "car"),
    "lorry": ("truck",),
    "pickup": ("truck", "car"),
    "hgv": ("truck",),
    "coach": ("bus",),
    "minibus": ("bus",),
    "tram": ("train", "bus"),
    "bike": ("bicycle",),
    "cyclist": ("bicycle",),
    "bicyclist": ("bicycle",),
    "motorbike": ("motorcycle",),
    "motorcyclist": ("motorcycle",),
    "scooter": ("motorcycle",),
    "moped": ("motorcycle",),
}


@dataclass(frozen=True)
class ClassRows:
    """The rows of a network's class head.

    Attributes:
        sources: One COCO row per row of the head; None for a fresh row of a class that COCO does not know.
        groups: For every class of the site the rows whose maximum is its logit.
    """

    sources: tuple[int | None, ...]
    groups: tuple[tuple[int, ...], ...]


def coco_sources(classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """COCO classes that each class of a site covers; empty where COCO knows no such thing.

    A name of COCO covers itself, some covers more ("car" also truck and bus, as a site that only speaks
    of cars means them), but never what another class of the site names itself. Case, "-" and "_" do not
    matter, and a plural "s" may follow.
    """
    names = [_normalise(name) for name in classes]
    own = {name for name in names if name in COCO_CLASSES}
    # "van" beside "truck" and "car" still starts from one of them: better than from nothing.
    covered = []
    for name in names:
        wanted = _ALIASES.get(name, (name,) if name in COCO_CLASSES else ())
        kept = tuple(source for source in wanted if source == name or source not in own)
        covered.append(kept or wanted[:1])
    return tuple(covered)


def _normalise(name: str) -> str:
    plain = name.strip().lower().replace("_", " ").replace("-", " ")
    if plain in COCO_CLASSES or plain in _ALIASES:
        return plain
    singular = plain.removesuffix("s")
    return singular if singular in COCO_CLASSES or singular in _ALIASES else plain


def map_classes(classes: Sequence[str]) -> ClassRows:
    """Rows of a class head for a site's class list (see `coco_sources`)."""
    sources: list[int | None] = []
    groups = []
    for covered in coco_sources(classes):
        start = len(sources)
        sources += [COCO_CLASSES.index(name) for name in covered] or [None]
        groups.append(tuple(range(start, len(sources))))
    return ClassRows(tuple(sources), tuple(groups))
