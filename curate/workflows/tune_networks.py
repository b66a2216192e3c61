"""Which networks a search may try besides today's: backbones whose weights are here, and widths of the pyramid."""

from __future__ import annotations

from collections.abc import Mapping

from curate.config.schema import ModelConfig
from curate.detectors.inference import choose_device
from curate.detectors.maskrcnn_start import coco_weights_path
from curate.workflows.progress import Reporter
from curate.workflows.project import Project
from curate.workflows.starting_point import StartingPoint, starting_point
from curate.workflows.train import train_config

__all__ = ["TODAYS", "networks", "yaml_lines"]

TODAYS = "today's"
_WIDTHS = (128, 256)


def networks(project: Project, today: StartingPoint, reporter: Reporter) -> dict[str, StartingPoint]:
    """Networks by the lines of site.yaml's `model` that choose them, today's first.

    `recipe: auto` on a CUDA device leaves the network open: the bundled detector, Mask R-CNN on its backbone
    with pyramids of two widths, and torchvision's where its weights lie on the machine. A site that names `recipe:
    maskrcnn` with the bundled backbone leaves the width open. Everything else pins the network: on a processor the
    others would take several times as long for a frame, and other weights have a width of their own.

    Args:
        project: The project.
        today: What site.yaml says now.
        reporter: Told of fallbacks.
    """
    model = project.config.model
    wanted: list[dict[str, str | int]] = []
    widths: list[dict[str, str | int]] = [
        {"recipe": "maskrcnn", "weights": "bundled", "pyramid": width} for width in _WIDTHS
    ]
    if model.recipe == "auto" and choose_device(project.config.train.device).type == "cuda":
        wanted = [{"recipe": "gpu"}, *widths]
        if coco_weights_path().is_file():
            wanted.append({"recipe": "maskrcnn", "weights": "coco"})
    elif model.recipe == "maskrcnn" and model.weights == "bundled":
        wanted = [*widths]
    found = {TODAYS: today}
    for lines in wanted:
        changed = ModelConfig.model_validate(model.model_dump() | {"weights": None, "pyramid": None} | lines)
        point = starting_point(project, train_config(project, model=changed), reporter)
        if _network(point) not in [_network(known) for known in found.values()]:
            found[", ".join(f"{name}: {value}" for name, value in lines.items())] = point
    return found


def _network(point: StartingPoint) -> tuple[str, str, int]:
    return point.config.architecture, point.config.weights, point.config.pyramid


def yaml_lines(name: str) -> Mapping[str, str]:
    """The keys of site.yaml's `model` that choose a network of `networks`; none for today's."""
    if name == TODAYS:
        return {}
    return dict(part.split(": ", 1) for part in name.split(", "))
