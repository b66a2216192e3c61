"""How much memory a prediction takes, counted instead of measured: the same on a busy machine."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from curate.tables import Detections
from curate.types import ImageArray

__all__ = ["prediction_mb"]


class _Predicts(Protocol):
    def predict(self, images: Sequence[ImageArray]) -> list[Detections]: ...


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of all storages that operations touch, as long as they live.

    Attributes:
        peak: Most bytes alive at one time, weights included.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        result = function(*arguments, **(named or {}))
        for value in tree_leaves((arguments, named, result)):
            if isinstance(value, torch.Tensor):
                self._note(value.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            weakref.finalize(storage, self._alive.pop, key, None)
            self.peak = max(self.peak, sum(self._alive.values()))


def prediction_mb(detector: _Predicts, image: ImageArray) -> float:
    """Largest memory of tensors while one frame is predicted, weights included, in 2^20 bytes.

    What libraries need besides (workspaces of convolutions, the interpreter) is not in it.

    Args:
        detector: Whose weights every operation reads.
        image: (H, W, 3) RGB.
    """
    alive = _Alive()
    with alive:
        detector.predict([image])
    return alive.peak / 2**20
