"""The networks that a site's detector can have, by name: how each is begun, filled from a file, and trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from curate.config.recipes import ARCHITECTURE_TITLES
from curate.detectors.classes import map_classes
from curate.detectors.config import TrainConfig
from curate.detectors.learner import Learner, SiteLearner
from curate.detectors.maskrcnn_learner import MaskRcnnLearner
from curate.detectors.maskrcnn_start import empty_maskrcnn, maskrcnn_from_file, maskrcnn_on_bundled
from curate.detectors.model import SiteNetwork, new_site_network
from curate.detectors.nanodet import NanoDet
from curate.detectors.site_model import SiteModel
from curate.errors import ModelError

__all__ = ["ARCHITECTURES", "Architecture", "architecture_of"]


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Attributes:
        title: Its name in words, with its size.
        begin: A network that starts from a weights file; told the classes, the settings, and whether any label has
            a mask.
        empty: A network that fits the tensors of a saved detector, which are then loaded into it.
        learner: Its losses.
    """

    title: str
    begin: Callable[[Path, Sequence[str], TrainConfig, bool], SiteModel]
    empty: Callable[[Sequence[str], TrainConfig, Mapping[str, Tensor]], SiteModel]
    learner: Callable[[Any, TrainConfig], Learner]


def architecture_of(name: str) -> Architecture:
    """An architecture by its name.

    Raises:
        ModelError: There is none of that name.
    """
    if name not in ARCHITECTURES:
        raise ModelError(f"architecture must be one of {tuple(ARCHITECTURES)}, got {name!r}")
    return ARCHITECTURES[name]


def _channels(config: TrainConfig) -> int:
    return 6 if config.background_channels else 3


def _begin_nanodet(weights: Path, classes: Sequence[str], config: TrainConfig, masks: bool) -> SiteModel:
    return new_site_network(
        weights, classes, channels=_channels(config), mask_head=config.mask_head and masks, seed=config.seed
    )


def _empty_nanodet(classes: Sequence[str], config: TrainConfig, tensors: Mapping[str, Tensor]) -> SiteModel:
    rows = map_classes(classes)
    masks = any(name.startswith("mask.") for name in tensors)
    return SiteNetwork(NanoDet(len(rows.sources), _channels(config)), rows, mask_head=masks)


def _begin_maskrcnn(weights: Path, classes: Sequence[str], config: TrainConfig, masks: bool) -> SiteModel:
    # The mask head comes trained: it is worth keeping where no label has a mask yet.
    return maskrcnn_from_file(
        weights, classes, channels=_channels(config), mask_head=config.mask_head, seed=config.seed
    )


def _begin_on_bundled(weights: Path, classes: Sequence[str], config: TrainConfig, masks: bool) -> SiteModel:
    return maskrcnn_on_bundled(
        weights,
        classes,
        channels=_channels(config),
        mask_head=config.mask_head and masks,
        seed=config.seed,
        width=config.pyramid,
    )


def _empty_maskrcnn(classes: Sequence[str], config: TrainConfig, tensors: Mapping[str, Tensor]) -> SiteModel:
    masks = any(name.startswith("roi_heads.mask_") for name in tensors)
    bundled = config.architecture == "maskrcnn-nanodet-g"
    return empty_maskrcnn(
        classes, channels=_channels(config), mask_head=masks, bundled=bundled, width=config.pyramid
    )


ARCHITECTURES: Mapping[str, Architecture] = {
    "nanodet-g": Architecture(ARCHITECTURE_TITLES["nanodet-g"], _begin_nanodet, _empty_nanodet, SiteLearner),
    "maskrcnn-resnet50-fpn-v2": Architecture(
        ARCHITECTURE_TITLES["maskrcnn-resnet50-fpn-v2"],
        _begin_maskrcnn,
        _empty_maskrcnn,
        MaskRcnnLearner,
    ),
    "maskrcnn-nanodet-g": Architecture(
        ARCHITECTURE_TITLES["maskrcnn-nanodet-g"],
        _begin_on_bundled,
        _empty_maskrcnn,
        MaskRcnnLearner,
    ),
}
