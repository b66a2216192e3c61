"""What `curate tune` may change, around the settings of today, and how its choice is written into site.yaml."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import optuna

from curate.detectors import TrainConfig

__all__ = ["SEARCHED", "Space", "search_space"]

SEARCHED: Mapping[str, tuple[Any, ...]] = {
    "ema": (0.0, 0.95, 0.98),
    "mirror": (False, True),
    "zoom": (0.0, 0.06, 0.15),
    "shift": (0.0, 0.03, 0.06),
    "paste": (0.0, 1.0, 2.0),
    "background_channels": (False, True),
}
"""Values that are tried besides today's; input size and learning rate follow from today's alone."""
_SMALLER = (96, 32)
_SMALLEST_INPUT = 160
_RATES = (0.3, 5.0)


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        base: Today's settings.
        choices: Setting -> the values that are tried, today's among them.
        rates: Lowest and highest learning rate.
    """

    base: TrainConfig
    choices: Mapping[str, tuple[Any, ...]]
    rates: tuple[float, float]

    @property
    def key(self) -> str:
        """Of today's settings and all that is tried: tries of another space do not compare."""
        text = json.dumps([asdict(self.base), dict(self.choices), self.rates], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def today(self) -> dict[str, Any]:
        """Today's settings in the terms of the search."""
        return {
            **{name: getattr(self.base, name) for name in self.choices},
            "learning_rate": self.base.learning_rate,
        }

    def config(self, trial: optuna.Trial) -> TrainConfig:
        """The settings of a try."""
        chosen = {name: trial.suggest_categorical(name, values) for name, values in self.choices.items()}
        rate = trial.suggest_float("learning_rate", *self.rates, log=True)
        # Masks cost a quarter of a step and do not bear on the boxes.
        return replace(self.base, **chosen, learning_rate=rate, mask_head=False, checkpoint_every=10**6)

    def site_yaml(self, settings: Mapping[str, Any]) -> str:
        """Lines for site.yaml that choose the settings of a try."""
        lines = ["model:", f"  input_size: {settings['input_size']}"]
        lines.append(f"  background_channels: {_text(settings['background_channels'])}")
        lines += ["train:", f"  learning_rate: {settings['learning_rate']:.3g}"]
        lines += [
            f"  {name}: {_text(settings[name])}" for name in ("ema", "mirror", "zoom", "shift", "paste")
        ]
        return "\n".join(lines) + "\n"


def _text(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def search_space(base: TrainConfig) -> Space:
    """The space around today's settings.

    The input is never larger than today's: what is found may not cost more time a frame.

    Args:
        base: Today's settings; values that are on no list join theirs, so that today can be tried as it is.
    """
    smaller = [base.input_size - less for less in _SMALLER if base.input_size - less >= _SMALLEST_INPUT]
    choices: dict[str, tuple[Any, ...]] = {"input_size": (*smaller, base.input_size)}
    for name, values in SEARCHED.items():
        choices[name] = tuple(sorted({*values, getattr(base, name)}))
    low, high = _RATES
    return Space(base, choices, (base.learning_rate * low, base.learning_rate * high))
