"""The declaration `site.yaml`: schema, reader, template, changes by machine."""

from curate.config.edit import with_policy_regions
from curate.config.load import load_site, parse_site
from curate.config.recipes import RECIPES, Recipe, recipe_for
from curate.config.schema import (
    Blur,
    EvaluationConfig,
    FramesConfig,
    LabelsConfig,
    ModelConfig,
    PolicyConfig,
    PrivacyConfig,
    ScanConfig,
    SiteConfig,
    SliceConfig,
    SplitConfig,
    TrainConfig,
)
from curate.config.template import site_template

__all__ = [
    "RECIPES",
    "Blur",
    "EvaluationConfig",
    "FramesConfig",
    "LabelsConfig",
    "ModelConfig",
    "PolicyConfig",
    "PrivacyConfig",
    "Recipe",
    "ScanConfig",
    "SiteConfig",
    "SliceConfig",
    "SplitConfig",
    "TrainConfig",
    "load_site",
    "parse_site",
    "recipe_for",
    "site_template",
    "with_policy_regions",
]
