"""What can be set about the label-errors benchmark, and how the command line writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.annotations import IssueType
from curate.errors import ConfigError
from curate.issues import DEFAULT_RATES

__all__ = ["TOOLS", "LabelErrorsSettings", "parse_rates", "parse_tools"]

TOOLS = ("ours", "cleanlab", "fiftyone")
"""Tools that can be compared; the last two live in environments of their own (benchmarks/README.md)."""


@dataclass(frozen=True)
class LabelErrorsSettings:
    """What is measured.

    Attributes:
        data: "sample", "synth", or the path of a COCO or CVAT file or of a folder that holds such files.
        frames: Folder or video with the pictures of `data`; None: beside the labels.
        seeds: One injection each.
        rates: Share of the labels per type of error; None = the default 12 % in all.
        steps: Training steps of each detector.
        tools: Which tools are compared.
        cache: Folder where everything that takes time is kept, by content.
        peers: Folder with the environments of the other tools.
        max_frames: Frames of the rendered scene; a user's data set of more is thinned out evenly.
        recover: Whether detectors are trained on clean, noisy and reviewed labels and judged on gold.
        ablate: Whether each evidence family is removed in turn.
        natural: Whether the sample's own cheap labels are judged by the reviewed ones too.
    """

    data: str = "sample"
    frames: Path | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: Mapping[IssueType, float] | None = None
    steps: int = 80
    tools: tuple[str, ...] = TOOLS
    cache: Path = field(default_factory=lambda: Path("bench-cache"))
    peers: Path = field(default_factory=lambda: Path(".peers"))
    max_frames: int = 160
    recover: bool = True
    ablate: bool = False
    natural: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible settings.

        Raises:
            ConfigError: A number out of range, or an unknown tool.
        """
        parse_tools(",".join(self.tools))
        if not self.seeds or min(self.seeds) < 0:
            raise ConfigError(f"seeds are whole numbers from 0, got {list(self.seeds)}", item="--seed")
        if self.steps < 1:
            raise ConfigError(f"a detector needs at least one step, got {self.steps}", item="--steps")
        if self.max_frames < 12:
            raise ConfigError(
                f"fewer than 12 frames cannot be split, got {self.max_frames}", item="--max-frames"
            )


def parse_tools(text: str) -> tuple[str, ...]:
    """The tools of a list such as "ours,cleanlab".

    Raises:
        ConfigError: One is unknown, or there is none.
    """
    tools = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in tools if name not in TOOLS]
    if unknown or not tools:
        named = unknown[0] if unknown else text
        raise ConfigError(
            f"expected tools out of {', '.join(TOOLS)}, got {named!r}",
            item="--tools",
            hint="write them with commas between: --tools ours,cleanlab",
        )
    return tools


def parse_rates(text: str | None) -> dict[IssueType, float] | None:
    """Rates of a text such as "missing=0.05,spurious=0.03", or of one number for all types together.

    Returns:
        Share of the labels per type, or None for no text (the default rates).

    Raises:
        ConfigError: A name that cannot be injected, a number that is none or out of [0, 1], more than 1 in all.
    """
    if text is None or not text.strip():
        return None
    total = _number(text)
    if total is not None:
        scale = _share(text, total) / sum(DEFAULT_RATES.values())
        return {kind: rate * scale for kind, rate in DEFAULT_RATES.items()}
    rates: dict[IssueType, float] = {}
    for part in text.split(","):
        name, separator, written = part.partition("=")
        value = _number(written)
        if not separator or value is None:
            raise _bad(f"expected type=share, got {part.strip()!r}")
        if name.strip() not in {kind.value for kind in DEFAULT_RATES}:
            raise _bad(f"errors of type {name.strip()!r} cannot be injected")
        rates[IssueType(name.strip())] = _share(part, value)
    if sum(rates.values()) > 1:
        raise _bad(f"the rates together must not exceed 1, got {sum(rates.values()):.3g}")
    return rates


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _share(text: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise _bad(f"a rate lies between 0 and 1, got {text.strip()!r}")
    return value


def _bad(message: str) -> ConfigError:
    kinds: Sequence[str] = sorted(kind.value for kind in DEFAULT_RATES)
    return ConfigError(
        message, item="--rates", hint=f"types: {', '.join(kinds)}; or one number for all together"
    )
