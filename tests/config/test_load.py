from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from curate.config import RECIPES, SiteConfig, load_site, parse_site, recipe_for, site_template
from curate.errors import ConfigError


def test_only_the_classes_are_needed() -> None:
    site = parse_site("classes: [person, car]\n")
    assert site.classes == ["person", "car"]
    assert site.train.steps is None
    assert recipe_for(site.model.recipe, cuda=False).steps == 120


def test_template_is_the_default_declaration() -> None:
    site = parse_site(site_template("corner", ["person"], "cam"))
    assert site == SiteConfig(classes=["person"], site="corner", camera="cam")


def test_every_default_in_the_template_is_true() -> None:
    """Uncomment every line of the template: it must say what the schema does, key by key."""
    text = site_template("my-junction", ["person"], "camera-1")
    lines = [
        re.sub(r"^# ?", "", line) if re.match(r"^# ?\s*[a-z_]+:", line) else line
        for line in text.splitlines()
    ]
    data = yaml.safe_load("\n".join(line for line in lines if not line.startswith("#")))
    assert SiteConfig.model_validate(data) == SiteConfig(classes=["person"])
    assert set(data) == set(SiteConfig.model_fields)
    for key, value in data.items():
        if isinstance(value, dict):
            assert set(value) == set(type(getattr(SiteConfig(classes=["person"]), key)).model_fields), key


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, ["empty", "classes"]),
        ("site: a\n", 1, ["`classes` is missing"]),
        ("classes: [person]\nmodle: {}\n", 2, ["unknown key `modle`", "did you mean `model`"]),
        ("classes: [person]\ntrain:\n  stpes: 3\n", 3, ["unknown key `train.stpes`", "steps"]),
        ("classes: [person]\ntrain:\n  steps: many\n", 3, ["`train.steps`", "many"]),
        ("classes: [person]\ntrain:\n  device: tpu\n", 3, ["'auto', 'cpu' or 'cuda'", "tpu"]),
        ("classes: [person]\nmodel:\n  input_size: 400\n", 3, ["multiple of 32", "400"]),
        ("classes: [person]\npolicy:\n  min_height: .nan\n", 3, ["finite"]),
        ("classes: [person, person]\n", 1, ["once"]),
        ("classes: [person]\nclasses: [car]\n", 2, ["given twice"]),
        ("classes: [person]\nfr[a: 1\n", 2, ["unknown key `fr[a`"]),
        ("classes: [person\n", 2, ["not valid YAML"]),
        ("a: &x [1]\nclasses: *x\n", 2, ["aliases"]),
        ("classes: ['../x']\n", 1, ["no slashes"]),
        ("classes: [person]\npolicy:\n  far_zone: [[[0, 0], [1, 1]]]\n", 3, ["three points"]),
        ("classes: [person]\nslices: [{name: s, label: dog}]\n", 2, ["dog", "person"]),
        (
            "classes: [person]\ntrain:\n  freeze: 2\nmodel:\n  background_channels: true\n",
            3,
            [
                "3: `train.freeze` must be 0 with `model.background_channels`: the first layers have to learn them"
            ],
        ),
        ("- person\n", 1, ["keys and values"]),
        ("classes: !!python/object/apply:os.system [ls]\n", 1, ["tag", "not allowed"]),
    ],
)
def test_errors_name_line_key_and_what_is_allowed(text: str, line: int | None, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_site(text, file="site.yaml")
    message = str(caught.value)
    assert message.startswith("site.yaml")
    if line is not None:
        assert f"line {line}" in message
    for word in words:
        assert word in message
    assert "{" not in message  # no heaps of values


def test_missing_huge_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="curate init"):
        load_site(tmp_path / "site.yaml")
    huge = tmp_path / "huge.yaml"
    huge.write_text("#" * 1_000_001)
    with pytest.raises(ConfigError, match="at most"):
        load_site(huge)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_site(binary)


def test_the_recipe_decides_what_is_left_open() -> None:
    assert recipe_for("auto", cuda=True) == RECIPES["gpu"]
    assert recipe_for("auto", cuda=False) == RECIPES["cpu"] == recipe_for("cpu", cuda=True)
    with pytest.raises(ConfigError, match="recipe"):
        parse_site("classes: [person]\nmodel: {recipe: magic}\n")
