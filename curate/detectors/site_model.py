"""What every network of a site's detector can do, whatever its architecture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import Lock

import torch
from torch import nn

from curate.detectors.inference import Prepared
from curate.errors import ModelError
from curate.tables import Detections, LabelScores
from curate.types import FloatArray

__all__ = ["SiteModel", "seeded"]

_GLOBAL_RANDOM = Lock()


class SiteModel(nn.Module):
    """A network that detects a site's classes and judges given boxes."""

    @property
    @abstractmethod
    def has_masks(self) -> bool:
        """Whether it predicts masks."""

    @property
    @abstractmethod
    def backbone_parts(self) -> Sequence[Sequence[nn.Module]]:
        """The backbone's layers from the image on, cut where their resolution changes: the dearest come first."""

    def freeze(self, count: int) -> None:
        """Keep the weights of the backbone's first parts: no gradient goes into or through them.

        All others are trained, also those that an earlier call has frozen.

        Args:
            count: Parts.

        Raises:
            ModelError: The backbone has fewer.
        """
        parts = self.backbone_parts
        if count > len(parts):
            raise ModelError(
                f"freeze must be at most {len(parts)} for this network, got {count}",
                item="freeze",
                hint="lower train.freeze",
            )
        self.requires_grad_(True)
        for module in chain.from_iterable(parts[:count]):
            module.requires_grad_(False)

    @abstractmethod
    def detect(self, prepared: Prepared, *, masks: bool, score: float) -> Detections:
        """Detections of one frame with at least that score, best first."""

    @abstractmethod
    def judge(self, prepared: Prepared, boxes: FloatArray) -> LabelScores:
        """What it says about given boxes (L, 4) in pixels of the frame."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """New parameters inside follow from the seed; torch's global random state is left as it was.

    That state belongs to the whole process: trainings side by side take turns.
    """
    with _GLOBAL_RANDOM, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
