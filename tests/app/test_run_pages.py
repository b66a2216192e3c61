"""Learning curves and results as the pages draw them."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from crossguard_app.presenters.comparison import main_figures
from crossguard_app.presenters.curves import (
    CurveOptions,
    curve_scale,
    curve_table,
    matching_metrics,
    smoothed,
)
from crossguard_app.presenters.quality import changed_words, quality_rows, version_steps
from crossguard_app.presenters.runs import (
    confusion_table,
    curve_rows,
    error_rows,
    figure_rows,
    frame_errors,
    run_cards,
    run_title,
    subset_rows,
)
from curate.annotations import Annotation
from curate.evaluation import Difference, EvalResult, evaluate
from curate.store import RunRecord, VersionRecord
from curate.tables import Detections
from curate.versions import VersionDiff
from curate.workflows.run_history import JudgedRun, RunCurves, VersionQuality

CLASSES = ["person", "bicycle", "van & co"]


def run(name: str, version: str | None = "v1") -> RunRecord:
    return RunRecord(name, version, "train", "done", 3, f"runs/{name}", created_at=1000.0)


def curves(name: str, values: list[float]) -> RunCurves:
    steps = np.arange(1, len(values) + 1)
    table = np.array(values, float)
    return RunCurves(run(name), {"loss/total": steps, "lr": steps}, {"loss/total": steps * 2.0, "lr": steps * 2.0},
                     {"loss/total": table, "lr": table})  # fmt: skip


def test_smoothing_has_no_bias_at_its_start_and_passes_over_gaps() -> None:
    assert smoothed(np.array([5.0, 5.0, 5.0]), 0.9).tolist() == pytest.approx([5, 5, 5])
    assert smoothed(np.array([1.0, 3.0]), 0.5).tolist() == pytest.approx([1, (0.25 * 1 + 0.5 * 3) / 0.75])
    assert smoothed(np.array([2.0, 7.0]), 0.0).tolist() == [2, 7]
    gap = smoothed(np.array([1.0, np.nan, 1.0]), 0.6)
    assert np.isnan(gap[1])
    assert gap[2] == pytest.approx(1.0)


def test_metrics_by_regular_expression() -> None:
    found = [curves("a", [1.0]), curves("b", [2.0])]
    assert matching_metrics(found, "") == ["loss/total", "lr"]
    assert matching_metrics(found, "^LOSS/(total|mask)$") == ["loss/total"]
    assert matching_metrics(found, "nothing") == []
    with pytest.raises(re.error):
        matching_metrics(found, "(")


def test_each_axis_and_the_log_scale() -> None:
    found = [curves("a", [4.0, -1.0, float("nan"), 1.0])]
    steps = curve_table(found, "loss/total", CurveOptions(smoothing=0.0))
    assert steps["at"].tolist() == [1, 2, 4]
    relative = curve_table(found, "loss/total", CurveOptions("relative", 0.0))
    assert relative["at"].tolist() == [2.0, 4.0, 8.0]
    wall = curve_table(found, "loss/total", CurveOptions("wall", 0.0))
    assert wall["at"].iloc[-1].timestamp() == 1008.0
    assert curve_table(found, "loss/total", CurveOptions(smoothing=0.0, log=True))["value"].tolist() == [
        4.0,
        1.0,
    ]
    nothing = curve_table(found, "other", CurveOptions())
    assert nothing.empty
    assert curve_scale(nothing, CurveOptions()) is None


def test_long_curves_are_thinned_with_both_ends() -> None:
    table = curve_table([curves("a", list(range(1, 5001)))], "loss/total", CurveOptions())
    assert len(table) == 800
    assert (table["step"].iloc[0], table["step"].iloc[-1]) == (1, 5000)


def test_outliers_do_not_spoil_the_scale_and_nothing_is_dropped() -> None:
    values = [1.0] * 300 + [1e6] + [1.0] * 300
    table = curve_table([curves("a", values)], "loss/total", CurveOptions(smoothing=0.0))
    _, high = curve_scale(table, CurveOptions(smoothing=0.0))
    assert high < 2
    assert table["value"].max() == 1e6
    assert curve_scale(table, CurveOptions(smoothing=0.0, outliers=False))[1] > 1e6
    # A curve that ends high is not taken for an outlier.
    late = curve_table([curves("b", [1.0] * 500 + [50.0])], "loss/total", CurveOptions(smoothing=0.0))
    assert curve_scale(late, CurveOptions(smoothing=0.0))[1] > 50


def difference(metric: str, **changes) -> Difference:
    values = {
        "kind": "all", "name": "", "metric": metric, "before": 0.5, "after": 0.75, "value": 0.25, "low": 0.1,
        "high": 0.3,
        "p_value": 0.01, "higher_is_better": True, "few": False, "objects": 9, "tracks": 2, "frames": 4, "blocks": 12,
    } | changes  # fmt: skip
    return Difference(**values)


def test_large_figures_are_coloured_only_when_they_can_be_believed() -> None:
    shown = [
        difference("recall", few=True),
        difference("fppi@0.85", higher_is_better=False),
        difference(
            "fppi@0.92", before=1.5, after=0.25, value=-1.25, low=-2.0, high=-0.5, higher_is_better=False
        ),
        difference("box_ap50"),
        difference("box_ap50", kind="class", name="person", after=0.1),
    ]
    figures = main_figures(SimpleNamespace(differences=shown))
    assert [(f.title, f.after, f.change, f.believed) for f in figures] == [
        ("Box AP50", "75.0", "+25.0", True),
        ("Recall", "75.0", "+25.0", False),
        ("False alarms at 92% recall", "0.25", "-1.25", True),
    ]


@pytest.fixture
def judged(sample) -> list[JudgedRun]:
    """A run that sees everything and ghosts besides, and one that misses the right walker and swaps a class."""
    project = sample.project
    frames = project.store.frames()[:4]
    gold = [a for a in project.store.annotations("gold") if a.frame_id in {f.id for f in frames}]

    def result(keep: int, ghosts: int, label: int) -> EvalResult:
        detections = []
        for frame in frames:
            boxes = [a.bbox_xyxy for a in gold if a.frame_id == frame.id][:keep]
            boxes += [(200.0, 10.0, 220.0, 30.0)] * ghosts
            detections.append(
                Detections(
                    np.array(boxes), np.linspace(0.9, 0.8, len(boxes)), np.full(len(boxes), label, np.int64)
                )
            )
        return evaluate(frames, gold, detections, CLASSES, ms_per_frame=12.0)

    return [
        JudgedRun(run("before"), result(2, 1, 0), True, ""),
        JudgedRun(run("after"), result(1, 0, 1), True, ""),
        JudgedRun(run("unjudged"), None, False, "not judged"),
    ]


def test_figures_stand_side_by_side(judged) -> None:
    table = figure_rows(judged).set_index("Figure")
    assert list(table.columns) == ["before", "after", "unjudged"]
    assert table.loc["Precision at score 0.3", "before"] == "66.7"
    assert set(table["unjudged"]) == {"–"}
    assert table.loc["Milliseconds a frame", "after"] == "12"


def test_confusion_and_kinds_of_error(judged) -> None:
    table = confusion_table(judged[1].result).set_index(["gold", "detected"])["count"]
    assert table["person", "bicycle"] == 4
    assert table["person", "nothing"] == 4
    ghosts = confusion_table(judged[0].result).set_index(["gold", "detected"])
    assert ghosts.loc[("nothing", "person"), "count"] == 4
    assert ghosts.loc[("nothing", "person"), "share"] == 0.5
    gains = error_rows(judged).set_index(["run", "tide"])["gain"]
    assert gains["after", "Cls"] == judged[1].result.gains.classification > 0
    kinds = error_rows(judged).set_index(["run", "tide"])["count"]
    assert (kinds["before", "Bkg"], kinds["before", "Miss"]) == (4, 0)
    assert (kinds["after", "Cls"], kinds["after", "Miss"]) == (4, 4)
    assert error_rows(judged, "bicycle").set_index(["run", "tide"])["count"]["after", "Cls"] == 4


def test_curves_and_subsets(judged) -> None:
    rows = curve_rows(judged, "person")
    assert set(rows["run"]) == {"before"}
    assert rows["recall"].max() == 1.0
    assert curve_rows(judged, "van & co").empty
    table = subset_rows({"before": judged[0].result.motion})
    assert list(table.columns) == ["run", "subset", "objects", "ap50", "recall", "missed"]


def test_frames_with_wins_or_losses_first(judged, sample) -> None:
    errors = frame_errors(judged, "wins")
    assert [entry.errors for entry in errors] == [(1, 3)] * 4
    assert errors[0].change == 2
    assert frame_errors(judged[2:], "wins") == []
    frames = {frame.id: frame for frame in sample.project.store.frames()}
    gold = [Annotation("g", errors[0].frame_id, "person", (1, 1, 9, 9))]
    seen = {
        errors[0].frame_id: Detections(
            np.array([[1.0, 1, 9, 9]] * 2), np.array([0.9, 0.1]), np.zeros(2, np.int64)
        )
    }
    card = run_cards(sample.project, errors[:1], gold, [("before", seen), ("after", {})], frames, 0.3)[0]
    assert (card.badge, card.tone) == ("+2 errors", "bad")
    assert [len(picture.shapes) for picture in card.pictures] == [2, 1]
    assert card.pictures[0].caption == "before: 1 error"


def test_versions_in_words(judged) -> None:
    def record(name: str) -> VersionRecord:
        return VersionRecord(name, "h", None, "ann", f"note {name}", 10, 20, 1000.0)

    change = SimpleNamespace(label_before="person", label_after=None)
    diff = VersionDiff("a", "b", (), (change, change), (), ("f",), (), (), False, True)
    assert changed_words(diff) == "person: 2 removed; 1 frame added; the labelling policy changed"
    line = [
        VersionQuality(record("a"), tuple(judged[:1]), None),
        VersionQuality(record("b"), tuple(judged[:2]), diff),
    ]
    steps = version_steps(line, "precision")
    assert [step.seeds for step in steps] == [1, 2]
    assert steps[1].low == 0.0
    assert steps[0].changed == "the first version"
    assert list(quality_rows(steps)["number"]) == [1, 2]
    assert quality_rows(version_steps(line, "mask_ap")).empty
    assert run_title(run("r"), {"v1": record("v1")}) == "r · note v1 · seed 3"
    assert "as it comes" in run_title(RunRecord("generic-512", None, "generic", "done", 0, "x"), {})
