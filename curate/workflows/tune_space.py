"""What `curate tune` may change, around the settings of today, and how its choice is written into site.yaml."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import optuna

from curate.detectors import TrainConfig
from curate.workflows.starting_point import StartingPoint
from curate.workflows.tune_networks import TODAYS, yaml_lines

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
_NETWORK = "network"
_SMALLER = (96, 32)
_SMALLEST_INPUT = 160
_RATES = (0.3, 5.0)


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        networks: What may be trained, today's first (see `networks`).
        choices: Setting -> the values that are tried, today's among them; "network" where there are several.
        rates: Lowest and highest learning rate of today's network; those of the others follow as their recipes' do.
    """

    networks: Mapping[str, StartingPoint]
    choices: Mapping[str, tuple[Any, ...]]
    rates: tuple[float, float]

    @property
    def base(self) -> TrainConfig:
        """Today's settings."""
        return self.networks[TODAYS].config

    @property
    def key(self) -> str:
        """Of today's settings and all that is tried: tries of another space do not compare."""
        every = {name: asdict(point.config) for name, point in self.networks.items()}
        text = json.dumps([every, dict(self.choices), self.rates], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def today(self) -> dict[str, Any]:
        """Today's settings in the terms of the search."""
        own = {name: getattr(self.base, name) for name in self.choices if name != _NETWORK}
        network = {_NETWORK: TODAYS} if _NETWORK in self.choices else {}
        return {**own, **network, "learning_rate": self.base.learning_rate}

    def start(self, trial: optuna.Trial) -> StartingPoint:
        """The settings of a try, and the weights that it starts from."""
        chosen = {name: trial.suggest_categorical(name, values) for name, values in self.choices.items()}
        rate = trial.suggest_float("learning_rate", *self.rates, log=True)
        point = self.networks[chosen.pop(_NETWORK, TODAYS)]
        # Masks cost a quarter of a step and do not bear on the boxes.
        config = replace(
            point.config,
            **chosen,
            freeze=_frozen(point.config, chosen["background_channels"]),
            learning_rate=rate * self._rate_factor(point),
            mask_head=False,
            checkpoint_every=10**6,
        )
        return replace(point, config=config)

    def _rate_factor(self, point: StartingPoint) -> float:
        return point.config.learning_rate / self.base.learning_rate

    def site_yaml(self, settings: Mapping[str, Any]) -> str:
        """Lines for site.yaml that choose the settings of a try."""
        network = settings.get(_NETWORK, TODAYS)
        lines = ["model:", *(f"  {name}: {value}" for name, value in yaml_lines(network).items())]
        lines.append(f"  input_size: {settings['input_size']}")
        lines.append(f"  background_channels: {_text(settings['background_channels'])}")
        rate = settings["learning_rate"] * self._rate_factor(self.networks[network])
        lines += ["train:", f"  learning_rate: {rate:.3g}"]
        frozen = _frozen(self.networks[network].config, settings["background_channels"])
        lines.append(f"  freeze: {frozen}")
        lines += [
            f"  {name}: {_text(settings[name])}" for name in ("ema", "mirror", "zoom", "shift", "paste")
        ]
        return "\n".join(lines) + "\n"


def _frozen(config: TrainConfig, background_channels: bool) -> int:
    return 0 if background_channels else config.freeze


def _text(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def search_space(networks: Mapping[str, StartingPoint]) -> Space:
    """The space around today's settings.

    The input is never larger than today's. Another network may take more time a frame; the report says how much.

    Args:
        networks: What may be trained, today's first; values of today's settings that are on no list join theirs, so
            that today can be tried as it is.
    """
    base = networks[TODAYS].config
    smaller = [base.input_size - less for less in _SMALLER if base.input_size - less >= _SMALLEST_INPUT]
    choices: dict[str, tuple[Any, ...]] = {"input_size": (*smaller, base.input_size)}
    for name, values in SEARCHED.items():
        choices[name] = tuple(sorted({*values, getattr(base, name)}))
    if len(networks) > 1:
        choices[_NETWORK] = tuple(networks)
    low, high = _RATES
    return Space(networks, choices, (base.learning_rate * low, base.learning_rate * high))
