"""What the figures of a comparison speak of: all, a class, a size, a slice, a place, a light, an approach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from curate.evaluation.coco import SIZES, detection_area
from curate.evaluation.gold import COUNTS
from curate.evaluation.scorer import Scorer
from curate.evaluation.traffic import standing_in
from curate.types import BoolArray, Ring

__all__ = ["ALL", "Scope", "Scopes"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a figure speaks of: kind ("all", "class", "size", "slice", "motion", "place", "light", "approach"), name."""

    kind: str
    name: str = ""


ALL = Scope("all")


@dataclass(frozen=True)
class Scopes:
    """The scopes of a comparison besides all and the classes.

    Attributes:
        classes: Class names.
        objects: Scope -> (G,) objects of it. A false alarm counts against each of them, since nobody can say which
            of them a thing that is not there belongs to.
        frames: Scope -> (F,) frames of it; what is on others does not exist for it.
        approaches: Name -> polygon in which things are counted, class by class.
    """

    classes: tuple[str, ...]
    objects: Mapping[Scope, BoolArray] = field(default_factory=dict)
    frames: Mapping[Scope, BoolArray] = field(default_factory=dict)
    approaches: Mapping[str, Ring] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Scope, ...]:
        """Scopes that are scored like the whole: sizes, objects, frames."""
        return (*(Scope("size", name) for name in SIZES), *self.objects, *self.frames)

    def subset(self, scorer: Scorer, scope: Scope) -> BoolArray | None:
        """(G,) objects of one of `parts`, whatever kind of object they are; None for all."""
        if scope.kind == "size":
            low, high = SIZES[scope.name]
            return np.asarray((scorer.gold.area >= low) & (scorer.gold.area <= high))
        if scope in self.frames:
            return np.asarray(self.frames[scope][scorer.gold.frame])
        return self.objects.get(scope)

    def outside(self, scorer: Scorer, scope: Scope, *, masks: bool) -> BoolArray | None:
        """(D,) detections that count for nothing unless they find an object of the scope; None where all count."""
        if scope.kind == "size":
            low, high = SIZES[scope.name]
            area = detection_area(scorer.detections, masks)
            return np.asarray((area < low) | (area > high))
        if scope in self.frames:
            return np.asarray(~self.frames[scope][scorer.detections.frame])
        return None

    def counted_places(self) -> dict[Scope, tuple[Ring, int]]:
        """Approaches, class by class: scope -> polygon and class."""
        return {
            Scope("approach", f"{place}: {name}"): (ring, label)
            for place, ring in self.approaches.items()
            for label, name in enumerate(self.classes)
        }

    def members(self, scorer: Scorer, scope: Scope) -> BoolArray:
        """(G,) objects that count in a scope."""
        members = scorer.gold.kind == COUNTS
        if scope.kind == "class":
            return np.asarray(members & (scorer.gold.label == self.classes.index(scope.name)))
        if scope.kind == "approach":
            ring, label = self.counted_places()[scope]
            return np.asarray(members & (scorer.gold.label == label) & standing_in(ring, scorer.gold.boxes))
        subset = self.subset(scorer, scope)
        return np.asarray(members if subset is None else members & subset)
