"""Detectors: the bundled COCO detector, its fine-tuning to a site, and what they say about labels."""

from curate.detectors.classes import COCO_CLASSES, coco_sources
from curate.detectors.config import Progress, TrainConfig, TrainingSample, TrainingStopped
from curate.detectors.generic import GenericDetector
from curate.detectors.site import SiteDetector
from curate.detectors.torchvision_coco import TorchvisionCoco
from curate.detectors.training import train_detector

__all__ = [
    "COCO_CLASSES",
    "GenericDetector",
    "Progress",
    "SiteDetector",
    "TorchvisionCoco",
    "TrainConfig",
    "TrainingSample",
    "TrainingStopped",
    "coco_sources",
    "train_detector",
]
