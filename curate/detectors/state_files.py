"""State dicts that come from outside: safetensors, or torch's own files read without running anything in them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # the error alone: nothing here reads a pickle
from typing import Any
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from curate.errors import ModelError

__all__ = ["check_state", "read_state"]

_UNUSED = "num_batches_tracked"
_NAMED = 3


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pt or .pth file that holds a state dict.

    torch's files are pickles. They are read with `weights_only`: what would run code is refused, not run. A state
    dict may stand under "model" or "state_dict", as training scripts save it.

    Raises:
        ModelError: The file is missing or broken, holds something else, or more than tensors.
    """
    if not path.is_file():
        raise ModelError("there is no such weights file", file=path, hint="model.weights: coco, or a file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle's protocols, which nobody here chose
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ModelError(
            "the weights file holds more than tensors; nothing in it was run",
            file=path,
            hint="save the model's state_dict() alone, best as safetensors",
        ) from error
    except (OSError, SafetensorError, BadZipFile, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            "the weights file cannot be read", file=path, hint="fetch or save it again"
        ) from error
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    named = isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )
    if not named or not content:
        raise ModelError("expected a state dict: names with tensors", file=path)
    return dict(content)


def check_state(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], network: str, path: Path
) -> None:
    """Compare names and shapes; one error tells all that differs.

    Args:
        state: What was read.
        expected: Shapes by name.
        network: What it should be, in words.
        path: Where it came from.

    Raises:
        ModelError: A tensor is missing, unexpected, of another shape, or not finite.
    """
    wanted = {name for name in expected if not name.endswith(_UNUSED)}
    given = {name for name in state if not name.endswith(_UNUSED)}
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {expected[name]}"
        for name in sorted(wanted & given)
        if tuple(state[name].shape) != expected[name]
    ]
    broken = sorted(name for name in wanted & given if not bool(torch.isfinite(state[name]).all()))
    found = {
        "missing": sorted(wanted - given),
        "unexpected": sorted(given - wanted),
        "of another shape": shapes,
        "not finite": broken,
    }
    wrong = [f"{len(names)} {what} ({_some(names)})" for what, names in found.items() if names]
    if wrong:
        raise ModelError(
            f"expected the weights of {network}; of its {len(wanted)} tensors: {', '.join(wrong)}", file=path
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
