"""The whole benchmark on a tiny rendered scene, and its parts on the hand-made case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from curate.annotations import Annotation, IssueType
from curate.bench.label_errors import LabelErrorsSettings, bench_label_errors, data, recover
from curate.bench.label_errors.case import Case, Pool
from curate.bench.label_errors.corrupt import WORKING, corrupt, reviewed_frames
from curate.bench.label_errors.data import prepare_data, scene_config
from curate.bench.label_errors.extras import FAMILIES, without
from curate.bench.label_errors.natural import repeated
from curate.bench.label_errors.recover import looked_at, reviewed_labels
from curate.cli.main import app
from curate.errors import ConfigError, DataError
from curate.issues import InjectedError
from curate.synth import SceneConfig
from curate.workflows.progress import Quiet, SubReporter


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache; while it is there, scenes are small."""

    def small(seed: int, frames: int) -> SceneConfig:
        return replace(scene_config(seed, frames), size=(160, 120), persons=3, cars=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "scene_config", small)
        yield tmp_path_factory.mktemp("bench")


def settings(cache: Path, **change: object) -> LabelErrorsSettings:
    base = LabelErrorsSettings(
        data="synth",
        seeds=(0,),
        steps=1,
        tools=("ours", "cleanlab"),
        cache=cache,
        peers=cache / "no-peers",
        max_frames=24,
    )
    return replace(base, **change)  # type: ignore[arg-type]


@pytest.mark.slow
def test_from_data_to_table_and_again_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Four trainings more would show nothing new: the trainer has tests of its own.
    monkeypatch.setattr(recover, "_train_and_judge", lambda *_: {"ap": 0.5, "ap50": 0.8})
    said: list[str] = []
    first = bench_label_errors(settings(cache, ablate=True), reporter=Quiet(), say=said.append)
    assert any("rendered scene" in line for line in said)
    assert any("cleanlab is skipped" in line for line in said)
    rows = {(row["type"], row.get("tool")): row for row in first.figures["rows"]}
    for kind in ("missing", "spurious", "wrong_class", "bad_location", "inaccurate_mask", "duplicate"):
        assert 0 <= rows[kind, "ours"]["ap"] <= 1
    assert rows["all", "ours"]["found10"] <= rows["all", "ours"]["found20"] <= 1
    assert {"ours", "random"} == set(first.figures["recovered"])
    assert rows["all", "without fixed camera"]["errors"] == rows["all", "ours"]["errors"]
    orders = [row["order"] for row in first.figures["rows"] if row["type"] == "recovered"]
    assert orders == ["clean", "noisy", "ours", "random"]
    for heading in ("lost AP recovered", "proposal right", "Brier", "without time"):
        assert heading in first.markdown
    cases = sorted(path.name for path in (cache / "cases").iterdir())
    again = bench_label_errors(settings(cache, tools=("ours",)), reporter=Quiet())
    assert sorted(path.name for path in (cache / "cases").iterdir()) == cases
    fresh = {(row["type"], row.get("tool")): row for row in again.figures["rows"]}
    assert fresh["spurious", "ours"]["ap"] == rows["spurious", "ours"]["ap"]


def test_errors_are_told_apart_from_nothing_but_the_truth(cache: Path) -> None:
    options = settings(cache)
    base = prepare_data(options, 0, SubReporter(Quiet(), 0, 1))
    reviewed = reviewed_frames(base)
    case = corrupt(base, reviewed, seed=0, rates=None, steps=1, cache=cache)
    labels = case.project.store.annotations(source=WORKING)
    assert {label.track_id for label in labels} == {None}
    assert {label.score for label in labels} == {None}
    assert {len(label.id) for label in labels} == {20}
    given = [label for entry in reviewed for label in entry.annotations]
    assert len(case.errors) == pytest.approx(0.12 * len(given), abs=4)
    gold = {frame.id for frame in base.project.store.frames()} - {entry.frame.id for entry in reviewed}
    assert gold.isdisjoint({label.frame_id for label in labels})
    before = {label.id: label for label in base.project.store.annotations(source="gold")}
    after = {label.id: label for label in case.project.store.annotations(source="gold")}
    assert before == after
    again = corrupt(base, reviewed, seed=0, rates=None, steps=1, cache=cache)
    assert again.project.root == case.project.root
    other = corrupt(base, reviewed, seed=1, rates=None, steps=1, cache=cache)
    assert other.project.root != case.project.root


def test_an_oracle_that_sees_everything_makes_the_labels_right(cache: Path) -> None:
    base = prepare_data(settings(cache), 0, SubReporter(Quiet(), 0, 1))
    reviewed = reviewed_frames(base)
    corrupted = corrupt(base, reviewed, seed=0, rates=None, steps=1, cache=cache)
    nowhere = np.zeros(0, np.int64)
    pool = Pool(nowhere, np.zeros((0, 4)), nowhere, nowhere, nowhere, nowhere)
    case = Case(None, (), corrupted.errors, nowhere, pool)  # type: ignore[arg-type]
    mended = reviewed_labels(corrupted, case, range(len(corrupted.errors)))

    def content(entries: object) -> list[list[tuple[object, ...]]]:
        return [
            sorted((a.label, a.bbox_xyxy, repr(a.mask), a.counts) for a in entry.annotations)
            for entry in entries  # type: ignore[attr-defined]
        ]

    assert content(mended) == content(reviewed)
    assert content(reviewed_labels(corrupted, case, ())) != content(reviewed)


def test_the_reviewer_looks_at_a_fifth_best_first(case: Case) -> None:
    # Four labels, so one look: at the candidate that means the lost label (number 2).
    assert looked_at(case, np.array([0.1, 0.2, 0.3, 0.9, np.nan, 0.0]), 0) == {2}
    assert looked_at(case, np.array([np.nan, 0.2, np.nan, 0.1, np.nan, np.nan]), 0) == {1}


def test_a_lost_label_that_no_candidate_means_counts_as_never_found(case: Case) -> None:
    assert case.unreachable(IssueType.MISSING) == 0
    gone = replace(case, pool=replace(case.pool, errors=np.array([-1, -1, -1])))
    assert gone.unreachable(IssueType.MISSING) == 1


def test_a_family_that_is_removed_leaves_nothing_behind(case: Case) -> None:
    assert len(without(case.inputs, "detections").detections) == 0
    assert len(set(without(case.inputs, "time").frames.clips)) == len(case.inputs.frames)
    for family in FAMILIES:
        less = without(case.inputs, family)
        assert less.labels.ids == case.inputs.labels.ids


def test_repeated_errors_are_labels_at_one_place_without_an_object() -> None:
    def label(number: int, box: tuple[float, float, float, float]) -> Annotation:
        return Annotation(f"a{number}", f"f{number}", "person", box)

    standing = [label(number, (10, 10, 20, 40)) for number in range(12)]
    walking = [label(100 + number, (50 + 20 * number, 10, 60 + 20 * number, 40)) for number in range(12)]
    truth = {"f3": [Annotation("t", "f3", "person", (10, 10, 20, 40))]}
    found = repeated(["person"], [*standing, *walking], truth)
    assert set(found) == {f"a{number}" for number in range(12) if number != 3}
    assert len(set(found.values())) == 1


def test_the_command_explains_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    result = run(app, ["bench", "label-errors", "--data", str(tmp_path / "none.json")])
    assert isinstance(result.exception, DataError)
    for option, value in (("--tools", "ours,sloth"), ("--rates", "missing=2")):
        result = run(app, ["bench", "label-errors", option, value])
        assert isinstance(result.exception, ConfigError)
    natural = settings(tmp_path, natural=True, recover=False, data=str(tmp_path))
    with pytest.raises(DataError, match="no labels here"):
        bench_label_errors(natural, reporter=Quiet())
    monkeypatch.setenv("CROSSGUARD_DB", "sqlite:///elsewhere.db")
    with pytest.raises(ConfigError, match="projects of its own"):
        bench_label_errors(settings(tmp_path), reporter=Quiet())


def test_figures_are_json(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    options = ["--data", "synth", "--seed", "0", "--steps", "1", "--max-frames", "16", "--no-recover"]
    arguments = [
        "bench",
        "label-errors",
        *options,
        "--tools",
        "ours",
        "--cache",
        str(cache),
        "--json",
        str(file),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text("utf-8"))
    assert {"data", "seeds", "rows", "recovered"} <= set(figures)
    assert {"type", "tool", "seed", "ap", "auroc", "p50", "p100"} <= set(figures["rows"][0])


def test_a_label_made_wrong_twice_by_one_stroke_counts_for_its_own_type_only(case: Case) -> None:
    moved = InjectedError(
        IssueType.BAD_LOCATION, "shift", "b", "f0", (20, 20, 30, 40), 1, None, 1, (IssueType.INACCURATE_MASK,)
    )
    given = replace(case, errors=(moved,), label_errors=np.array([-1, 0, -1, -1]))
    scores = np.array([0.1, 0.9, 0.2, 0.3])
    values, truth = given.ranked(IssueType.BAD_LOCATION, scores)
    assert values.tolist() == [0.1, 0.9, 0.2]
    assert truth.tolist() == [False, True, False]
    # Its mask is wrong as well, so no tool is blamed for saying so, and none is praised.
    assert given.ranked(IssueType.INACCURATE_MASK, scores)[0].tolist() == [0.1, 0.2]
    assert given.ranked(IssueType.SPURIOUS, scores)[0].tolist() == [0.1, 0.9, 0.2]
