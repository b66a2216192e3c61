"""The declaration of a site as pydantic models: everything but the class list has a default."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from curate.config.recipes import LARGEST_INPUT, MOST_FROZEN

__all__ = [
    "Blur",
    "EvaluationConfig",
    "FramesConfig",
    "LabelsConfig",
    "ModelConfig",
    "PolicyConfig",
    "PrivacyConfig",
    "ScanConfig",
    "SiteConfig",
    "SliceConfig",
    "SplitConfig",
    "TrainConfig",
]

_URL = re.compile(r"^[a-z][a-z0-9+.-]{0,31}://[^\s?#\\\x00-\x1f\x7f]{1,1000}$")
_NAME = re.compile(r"^[^\x00-\x1f/\\<>]{1,64}$")


def _check_name(value: str) -> str:
    if not _NAME.match(value) or value.strip() != value:
        raise ValueError("a name has 1 to 64 characters, no slashes, angle brackets or control characters")
    if value[0] in "=+-@":
        # Tables of names end up in spreadsheets, which would run them.
        raise ValueError("a name does not begin with =, +, - or @")
    return value


def _check_region(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) < 3:
        raise ValueError(f"a region needs at least three points, got {len(points)}")
    if not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("a region's coordinates must be finite numbers")
    return points


def _check_url(value: str) -> str:
    if not _URL.match(value) or ".." in value.split("/"):
        raise ValueError(
            "expected a URL such as s3://bucket/prefix or file:///folder, without spaces, ?, # or .."
        )
    if "::" in value:
        raise ValueError("chained URLs (::) are not taken")
    if ":" in value.partition("://")[2].partition("/")[0].rpartition("@")[0]:
        raise ValueError("no password belongs into site.yaml; see docs/site-yaml.md for where it does")
    if value.startswith(("file://", "local://")) and not value.partition("://")[2].startswith("/"):
        raise ValueError("a folder is given whole: file:///folder")
    return value


def _switch(value: object) -> object:
    """YAML reads on and off as truth values."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


Name = Annotated[str, AfterValidator(_check_name)]
Url = Annotated[str, AfterValidator(_check_url)]
Blur = Literal["none", "heads_and_plates", "people_and_vehicles"]
Region = Annotated[list[tuple[float, float]], AfterValidator(_check_region)]
"""Polygon in pixels: [[x, y], ...], at least three points."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FramesConfig(_Strict):
    """How frames are taken from recordings, and where their pictures lie."""

    url: Url | None = None
    cache_mb: int = Field(default=2000, ge=16, le=10_000_000)
    every_seconds: float | None = Field(default=0.5, gt=0, le=86400)
    every_n: int | None = Field(default=None, ge=1, le=1_000_000)
    jpeg_quality: int = Field(default=95, ge=50, le=100)
    max_pixels: int = Field(default=64_000_000, ge=1_000, le=178_000_000)


class PrivacyConfig(_Strict):
    """What is made unrecognisable in each picture before it is stored. Not a promise: a detector misses some."""

    blur: Blur = "none"


class LabelsConfig(_Strict):
    """Where the labels that are being curated come from."""

    working: Name = "cheap"
    prelabel_score: float = Field(default=0.3, ge=0.01, le=0.95)


class PolicyConfig(_Strict):
    """What the labels of this site hold. What it leaves out is ignored in scoring, loss and metric alike."""

    min_height: float = Field(default=8.0, ge=0, le=10_000)
    min_area: float = Field(default=40.0, ge=0, le=1e9)
    occluded: Literal["label", "ignore"] = "label"
    far_zone: list[Region] = Field(default_factory=list)
    ignore_regions: list[Region] = Field(default_factory=list)


class SliceConfig(_Strict):
    """A named subset of the objects, scored on its own. All conditions given must hold."""

    name: Name
    label: Name | None = None
    region: Region | None = None
    min_height: float | None = Field(default=None, ge=0)
    max_height: float | None = Field(default=None, gt=0)
    occluded: bool | None = None
    moving: bool | None = None


class SplitConfig(_Strict):
    """Time blocks: the unit of folds, of resampling and of gold."""

    block_seconds: float = Field(default=5.0, gt=0, le=86400)
    gap_seconds: float = Field(default=1.0, ge=0, le=3600)
    folds: int = Field(default=2, ge=2, le=10)
    gold_share: float = Field(default=0.25, gt=0, lt=0.9)


class ModelConfig(_Strict):
    """The site's detector. What is None, the recipe decides."""

    recipe: Literal["auto", "cpu", "gpu", "maskrcnn"] = "auto"
    weights: str | None = Field(default=None, min_length=1, max_length=4096)
    pyramid: int | None = Field(default=None, ge=32, le=512, multiple_of=32)
    input_size: int | None = Field(default=None, ge=160, le=LARGEST_INPUT, multiple_of=32)
    background_channels: bool = False
    mask_head: bool = True

    @model_validator(mode="after")
    def _weights_of_a_recipe(self) -> ModelConfig:
        if self.weights is not None and self.recipe != "maskrcnn":
            raise ValueError(
                "`weights` goes with `recipe: maskrcnn`; the other recipes start from the bundled detector"
            )
        if self.pyramid is not None and self.weights != "bundled":
            raise ValueError(
                "`pyramid` goes with `weights: bundled`; other weights have a width of their own"
            )
        return self


class TrainConfig(_Strict):
    """How it is trained: a fixed number of steps, so that before and after are comparable.

    What is None, the recipe decides.
    """

    steps: int | None = Field(default=None, ge=1, le=1_000_000)
    fold_steps: int = Field(default=80, ge=1, le=1_000_000)
    folds_at_once: int | None = Field(default=None, ge=1, le=10)
    batch_size: int | None = Field(default=None, ge=1, le=1024)
    freeze: int | None = Field(default=None, ge=0, le=MOST_FROZEN)
    learning_rate: float | None = Field(default=None, gt=0, le=1.0)
    ema: float | None = Field(default=None, ge=0, lt=1)
    mirror: bool | None = None
    zoom: float | None = Field(default=None, ge=0, le=0.5)
    shift: float | None = Field(default=None, ge=0, le=0.5)
    balance: float = Field(default=0.1, ge=0, le=1)
    weather: float = Field(default=0.0, ge=0, le=1)
    paste: float = Field(default=0.0, ge=0, le=20)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = "auto"
    deterministic: bool = False
    warm_share: float = Field(default=0.25, ge=0, le=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    device: Literal["auto", "cpu", "cuda"] = "auto"


class ScanConfig(_Strict):
    """How label errors are looked for."""

    neighbours: int = Field(default=10, ge=1, le=200)
    retrain_share: float = Field(default=0.1, ge=0, le=1)
    min_probability: float = Field(default=0.05, ge=0, le=1)
    max_issues_per_type: int = Field(default=100_000, ge=1)


class EvaluationConfig(_Strict):
    """How runs are compared on gold."""

    score: float = Field(default=0.3, ge=0.01, le=0.99)
    recalls: list[float] = Field(default_factory=lambda: [0.85, 0.90, 0.92], min_length=1, max_length=10)
    alarms_per_hour: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: [60.0, 600.0], min_length=1, max_length=5
    )
    resamples: int = Field(default=2000, ge=100, le=100_000)

    @field_validator("recalls")
    @classmethod
    def _recalls_in_range(cls, value: list[float]) -> list[float]:
        if not all(0 < recall < 1 for recall in value):
            raise ValueError("each recall lies between 0 and 1")
        return value


class SiteConfig(_Strict):
    """The whole of site.yaml."""

    classes: list[Name] = Field(min_length=1, max_length=80)
    site: Name = "my-junction"
    camera: Name = "camera-1"
    database: str | None = None
    frames: FramesConfig = FramesConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    labels: LabelsConfig = LabelsConfig()
    policy: PolicyConfig = PolicyConfig()
    slices: list[SliceConfig] = Field(default_factory=list, max_length=100)
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    scan: ScanConfig = ScanConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _consistent(self) -> SiteConfig:
        if self.train.freeze and self.model.background_channels:
            raise ValueError(
                "`train.freeze` must be 0 with `model.background_channels`: the first layers have to learn them"
            )
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("each class stands once in `classes`")
        if self.labels.working == "gold":
            raise ValueError("`labels.working` cannot be 'gold': that source is the frozen test set")
        names = [entry.name for entry in self.slices]
        if len(set(names)) != len(names):
            raise ValueError("`slices`: each has a name of its own")
        for entry in self.slices:
            if entry.label is not None and entry.label not in self.classes:
                raise ValueError(
                    f"`slices`: {entry.name!r} names the class {entry.label!r}; allowed: {self.classes}"
                )
        return self
