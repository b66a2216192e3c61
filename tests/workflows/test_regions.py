"""Regions drawn on the scene: the declaration's text, what they leave out, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from curate.config import parse_site, site_template, with_policy_regions
from curate.errors import ConfigError, ConflictError, NotFoundError
from curate.evaluation import settings_from_site
from curate.workflows.project import Project
from curate.workflows.regions import (
    Regions,
    can_undo,
    current_regions,
    labels_left_out,
    regions_history,
    set_regions,
    undo_regions,
)

SQUARE = ((0.0, 0.0), (50.0, 0.0), (50.0, 50.5))
OTHER = ((1.0, 2.0), (3.0, 4.0), (5.0, 0.0), (2.0, 1.0))


@pytest.mark.parametrize(
    "policy",
    [
        "",  # no policy at all
        "policy:\n  min_area: 400  # small heads\n",
        "policy: {min_area: 400}\n",
        "policy: {}\n",
        "policy:\n  ignore_regions: []\n  min_area: 400\n",
        "policy: {min_area: 400, ignore_regions: [[[9, 9], [8, 8], [7, 9]]]}\n",
        "policy:\n  min_area: 400\n  ignore_regions:\n    - [[9, 9], [8, 8], [7, 9]]\n    # the last\n"
        "    - - [1, 1]\n      - [2, 2]\n      - [3, 1]\n  # after it\n  occluded: ignore\n",
        "policy:\n  ignore_regions:\n  - [[9, 9], [8, 8], [7, 9]]\n",
    ],
)
def test_only_the_regions_change_in_the_text(policy: str) -> None:
    text = f"# my camera\nclasses: [person]\n{policy}\n# steps as measured in May\ntrain: {{steps: 7}}\n"
    changed = with_policy_regions(text, "ignore_regions", [SQUARE, OTHER])
    before, after = yaml.safe_load(text), yaml.safe_load(changed)
    before["policy"] = {
        **(before.get("policy") or {}),
        "ignore_regions": [list(map(list, r)) for r in (SQUARE, OTHER)],
    }
    assert after == before
    for comment in ("# my camera", "# steps as measured in May"):
        assert comment in changed
    if "# after it" in text:
        assert "# after it" in changed
    again = with_policy_regions(changed, "ignore_regions", [])
    assert parse_site(again).policy.ignore_regions == []


def test_the_template_and_a_file_without_its_last_newline() -> None:
    text = site_template("a", ["person"], "c").rstrip("\n")
    changed = with_policy_regions(text, "far_zone", [SQUARE])
    assert parse_site(changed).policy.far_zone == [list(SQUARE)]
    assert changed.startswith(text)
    with pytest.raises(ConfigError, match="three points"):
        with_policy_regions(text, "far_zone", [SQUARE[:2]])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "site.yaml").write_text("# hand-made\nclasses: [person]\n", encoding="utf-8")
    return Project.open(tmp_path)


def test_what_is_drawn_counts_at_once_and_can_be_taken_back(project: Project) -> None:
    with pytest.raises(NotFoundError):
        undo_regions(project, "ann")
    nothing = current_regions(project)
    drawn = Regions(ignore_regions=(SQUARE,), far_zone=(OTHER,))
    project = set_regions(project, drawn, "ann", seen=nothing)
    assert current_regions(project) == drawn
    assert settings_from_site(project.config).ignore_regions == (OTHER, SQUARE)
    assert "# hand-made" in (project.root / "site.yaml").read_text(encoding="utf-8")
    more = Regions(ignore_regions=(SQUARE, OTHER))
    with pytest.raises(ConflictError):
        set_regions(project, more, "bob", seen=nothing)
    project = set_regions(project, more, "bob", seen=drawn)
    assert [entry.reviewer for entry in regions_history(project)] == ["ann", "bob"]

    project = undo_regions(project, "bob")
    assert current_regions(project) == drawn
    assert can_undo(regions_history(project), drawn)
    project = undo_regions(project, "ann")
    assert current_regions(project) == nothing
    assert not can_undo(regions_history(project), nothing)
    with pytest.raises(NotFoundError):
        undo_regions(project, "ann")
    assert len(regions_history(project)) == 4


def test_an_undo_does_not_overwrite_what_was_written_by_hand(project: Project) -> None:
    project = set_regions(project, Regions(ignore_regions=(SQUARE,)), "ann")
    site = project.root / "site.yaml"
    site.write_text(
        "classes: [person]\npolicy: {ignore_regions: [[[1, 1], [9, 1], [9, 9]]]}\n", encoding="utf-8"
    )
    project = Project.open(project.root)
    assert not can_undo(regions_history(project), current_regions(project))
    with pytest.raises(ConflictError):
        undo_regions(project, "ann")
    assert labels_left_out(project, current_regions(project)) == {"cheap": 0, "gold": 0}
