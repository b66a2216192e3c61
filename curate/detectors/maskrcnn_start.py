"""New Mask R-CNNs: from torchvision's COCO weights or a file like them, or on the bundled detector's backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

from curate.detectors.classes import coco_sources, map_classes
from curate.detectors.maskrcnn import COCO_ROWS, MaskRcnn, torchvision_parts
from curate.detectors.nanodet import NanoDet
from curate.detectors.site_model import seeded
from curate.detectors.state_files import check_state, read_state
from curate.detectors.weights import build_network, load_coco_state
from curate.errors import ModelError
from curate.files import write_atomically

__all__ = [
    "coco_weights_path",
    "empty_maskrcnn",
    "fetch_coco_weights",
    "maskrcnn_from_file",
    "maskrcnn_on_bundled",
]

_COCO = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1
_TIMEOUT = 20.0
_NETWORK = "torchvision's Mask R-CNN ResNet-50 FPN v2 with COCO's 91 classes"
_STEM = "backbone.body.conv1.weight"
# Tensors with one row (or four) for each class.
_CLASS_ROWS = {
    "roi_heads.box_predictor.cls_score": 1,
    "roi_heads.box_predictor.bbox_pred": 4,
    "roi_heads.mask_predictor.mask_fcn_logits": 1,
}


def coco_weights_path() -> Path:
    """Where torch's hub keeps torchvision's COCO weights, whether they are there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / str(_COCO.url).rsplit("/", 1)[-1]


def fetch_coco_weights() -> Path:
    """Torchvision's COCO weights in torch's hub cache, downloaded into it where they are missing.

    A process tries once: the second fold or seed of a machine without a network does not wait again.

    Raises:
        ModelError: They are not there and cannot be downloaded, or what came is something else.
    """
    path = coco_weights_path()
    if not path.is_file() and (failure := _download(path)) is not None:
        raise ModelError(failure, file=path)
    return path


@cache
def _download(path: Path) -> str | None:
    """Why the weights cannot be had; None once they lie there."""
    try:
        with urlopen(str(_COCO.url), timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
    except (OSError, HTTPException) as error:
        return f"torchvision's COCO weights cannot be had: {error}"
    expected = path.stem.rsplit("-", 1)[-1]
    if not hashlib.sha256(content).hexdigest().startswith(expected):
        return f"what was downloaded does not begin with the digest {expected}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return None


def maskrcnn_from_file(
    path: Path, classes: Sequence[str], *, channels: int, mask_head: bool, seed: int
) -> MaskRcnn:
    """A network that starts as the COCO detector of a file; each class from the COCO class closest to it.

    A class that COCO does not know starts as the mean of all. Input channels after the first three start at zero.

    Args:
        path: State dict of the whole COCO network.
        classes: The site's class names.
        channels: 3, or 6 with difference channels.
        mask_head: Whether masks are predicted.
        seed: Seeds what the file does not give; the global random state is left as it was.

    Raises:
        ModelError: The file cannot be read or holds another network.
    """
    state = read_state(path)
    check_state(state, _coco_shapes(), _NETWORK, path)
    with seeded(seed):
        model = MaskRcnn(len(classes), channels=channels, mask_head=mask_head)
    own = model.state_dict()
    for name in own:
        if name not in state:  # counters of BatchNorm, which nothing reads
            continue
        stem, _, _ = name.rpartition(".")
        value = state[name].float() if state[name].is_floating_point() else state[name]
        if stem in _CLASS_ROWS:
            value = _site_rows(value, classes, _CLASS_ROWS[stem])
        elif name == _STEM and channels != 3:
            value = torch.cat([value, value.new_zeros(len(value), channels - 3, *value.shape[2:])], 1)
        own[name] = value
    model.load_state_dict(own)
    return model.to(memory_format=torch.channels_last)


def maskrcnn_on_bundled(
    weights: Path, classes: Sequence[str], *, channels: int, mask_head: bool, seed: int, width: int
) -> MaskRcnn:
    """The same heads, untrained, on the bundled COCO detector's backbone.

    Args:
        weights: The bundled detector's ONNX file.
        classes: The site's class names.
        channels: 3, or 6 with difference channels.
        mask_head: Whether masks are predicted.
        seed: Seeds pyramid and heads; the global random state is left as it was.
        width: Channels of the pyramid.

    Raises:
        ModelError: The weights cannot be read.
    """
    body = build_network(load_coco_state(weights), map_classes(classes), channels)
    with seeded(seed):
        model = MaskRcnn(len(classes), channels=channels, mask_head=mask_head, body=body, width=width)
    return model.to(memory_format=torch.channels_last)


def empty_maskrcnn(
    classes: Sequence[str], *, channels: int, mask_head: bool, bundled: bool, width: int
) -> MaskRcnn:
    """A network whose weights are about to be loaded."""
    body = NanoDet(1, channels) if bundled else None
    return MaskRcnn(len(classes), channels=channels, mask_head=mask_head, body=body, width=width)


@cache
def _coco_shapes() -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in torchvision_parts(COCO_ROWS).state_dict().items()}


def _site_rows(values: Tensor, classes: Sequence[str], each: int) -> Tensor:
    """Rows of a COCO head for the background and the site's classes; `each` consecutive rows belong together."""
    names: list[str] = _COCO.meta["categories"]
    grouped = values.reshape(COCO_ROWS, each, *values.shape[1:])
    known = [row for row, name in enumerate(names) if row and name != "N/A"]
    mean = grouped[known].mean(0)
    picked = [grouped[0]] + [
        grouped[names.index(covered[0])] if covered else mean for covered in coco_sources(classes)
    ]
    return torch.cat(picked).contiguous()
