"""What a fixed camera knows: the empty scene, sizes by ground row, places where things recur, bad frames."""

from curate.scene.contour import EdgeContrast, edge_contrast
from curate.scene.difference import difference_channels, foreground, foreground_mask
from curate.scene.duplicates import frame_signature, near_duplicates, signature_distance
from curate.scene.estimate import build_plate, build_plates, choose_plate
from curate.scene.evidence import (
    Leftover,
    foreground_fraction,
    inside_share,
    snap_box,
    unlabelled_foreground,
)
from curate.scene.fit import PlateFit, plate_fits
from curate.scene.health import FrameNumbers, FrameVerdict, frame_health, judge_frames, measure_frame
from curate.scene.outlines import MaskCover, mask_cover
from curate.scene.places import PlaceMap, recurring_places
from curate.scene.plate import Plate, load_plate, save_plate
from curate.scene.prior import PlacePrior
from curate.scene.regions import regions_to_mask
from curate.scene.sizes import SizeModel, SizePrior

__all__ = [
    "EdgeContrast",
    "FrameNumbers",
    "FrameVerdict",
    "Leftover",
    "MaskCover",
    "PlaceMap",
    "PlacePrior",
    "Plate",
    "PlateFit",
    "SizeModel",
    "SizePrior",
    "build_plate",
    "build_plates",
    "choose_plate",
    "difference_channels",
    "edge_contrast",
    "foreground",
    "foreground_fraction",
    "foreground_mask",
    "frame_health",
    "frame_signature",
    "inside_share",
    "judge_frames",
    "load_plate",
    "mask_cover",
    "measure_frame",
    "near_duplicates",
    "plate_fits",
    "recurring_places",
    "regions_to_mask",
    "save_plate",
    "signature_distance",
    "snap_box",
    "unlabelled_foreground",
]
