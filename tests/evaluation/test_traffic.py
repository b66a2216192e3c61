"""Figures for a traffic engineer: alarms by the hour, counts, calibration, and how many frames a verdict needs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from curate.annotations import Annotation, Frame
from curate.evaluation import (
    EvalInput,
    EvalSettings,
    compare,
    evaluate,
    evaluation_markdown,
    verdict_sentence,
)
from curate.evaluation.calibration import calibration
from curate.evaluation.comparison import Difference
from curate.evaluation.results import EvalResult
from curate.evaluation.traffic import looks_per_hour
from curate.tables import Detections


def frame(index: int, step: float = 2.0) -> Frame:
    return Frame(
        id=f"f{index}",
        name=f"f{index}.jpg",
        clip="clip",
        index=index,
        captured_at=index * step,
        width=100,
        height=100,
        sha256="0" * 64,
        path="x",
        camera="c",
        wall_time=False,
        source="clip.mp4",
    )


FRAMES = [frame(index) for index in range(12)]
GOLD = [
    Annotation(
        id=f"a{index}", frame_id=f"f{index}", label="person", bbox_xyxy=(10, 10, 30, 50), source="gold"
    )
    for index in range(12)
]
RIGHT, WRONG = [10.0, 10, 30, 50], [60.0, 60, 80, 90]


def found(*rows: tuple[list[float], float]) -> Detections:
    ordered = sorted(rows, key=lambda row: -row[1])
    return Detections(
        np.array([box for box, _ in ordered]).reshape(-1, 4),
        np.array([score for _, score in ordered]),
        np.zeros(len(ordered), np.int64),
    )


def result(detections: list[Detections], **options: object) -> EvalResult:
    settings = EvalSettings(score=0.3, alarms_per_hour=(300.0, 1.0, 7200.0))
    return evaluate(FRAMES, GOLD, detections, ["person"], settings, **options)


def test_the_hour_follows_from_the_frames_times() -> None:
    assert looks_per_hour(FRAMES) == 1800
    assert looks_per_hour([FRAMES[0]]) is None
    assert looks_per_hour([replace(entry, captured_at=0.0) for entry in FRAMES]) is None


def test_recall_at_false_alarms_an_hour() -> None:
    """Twelve frames stand for 24 seconds: one false alarm is 150 an hour."""
    detections = [found((RIGHT, 0.9 - 0.01 * at), *([(WRONG, 0.85)] if at == 0 else [])) for at in range(12)]
    rows = {row.per_hour: row for row in result(detections).alarms["person"]}
    assert rows[300.0].recall == 1
    assert rows[300.0].score == pytest.approx(0.79)
    assert rows[1.0].recall == pytest.approx(5 / 12)  # Scores .90 to .86 lie above the alarm.
    assert rows[7200.0].recall == 1
    first = [found((WRONG, 0.99), (RIGHT, 0.5)) for _ in range(12)]
    row = result(first).alarms["person"][1]
    assert (row.recall, row.score) == (0.0, None)
    assert "false alarm" in row.reason


def test_counts_by_class_and_region() -> None:
    detections = [found((RIGHT, 0.9), *([(WRONG, 0.8)] * (at % 2))) for at in range(11)] + [found()]
    left = ((0.0, 0.0), (50.0, 0.0), (50.0, 100.0), (0.0, 100.0))
    counts = result(detections, regions={"left": left}).counts
    assert set(counts) == {"person", "left: person"}
    whole = counts["person"]
    assert (whole.objects, whole.detections) == (1, pytest.approx(16 / 12))
    assert whole.bias == pytest.approx(4 / 12)
    assert whole.absolute == pytest.approx(6 / 12)
    assert counts["left: person"].absolute == pytest.approx(1 / 12)


def test_scores_that_mean_what_they_say() -> None:
    scores = np.repeat([0.25, 0.75], 400)
    right = np.concatenate([np.arange(400) < 100, np.arange(400) < 300])
    honest = calibration(scores, right, ~right)
    assert honest.error == pytest.approx(0, abs=1e-9)
    assert [(row.detections, row.precision) for row in honest.bins if row.detections] == [
        (400, 0.25),
        (400, 0.75),
    ]
    boastful = calibration(np.full(10, 0.9), np.arange(10) < 5, np.arange(10) >= 5)
    assert boastful.error == pytest.approx(0.4)
    assert calibration(np.full(5, 0.01), np.zeros(5, bool), np.ones(5, bool)).error is None


def test_the_figures_survive_json_and_are_told() -> None:
    done = result([found((RIGHT, 0.9)) for _ in range(12)])
    assert EvalResult.from_dict(done.to_dict()) == done
    older = {k: v for k, v in done.to_dict().items() if k not in ("alarms", "counts", "calibration")}
    assert EvalResult.from_dict(older).calibration is None
    text = evaluation_markdown(done)
    assert "false alarms an hour" in text
    assert "mean absolute error" in text
    assert "calibration error" in text


def test_a_comparison_has_alarms_and_counts_with_intervals() -> None:
    bad = [found((RIGHT, 0.9), (WRONG, 0.95)) for _ in range(12)]
    good = [found((RIGHT, 0.9)) for _ in range(12)]
    sides = [
        [EvalInput(FRAMES, GOLD, detections, ["person"], seed=seed) for seed in range(2)]
        for detections in (bad, good)
    ]
    settings = EvalSettings(alarms_per_hour=(300.0,))
    comparison = compare(*sides, np.arange(12), settings, resamples=200)
    recall = comparison.find("recall@300/h", "class", "person")
    assert (recall.before, recall.after, recall.direction) == (0, 1, "better")
    count = comparison.find("count_error", "class", "person")
    assert (count.before, count.after, count.direction) == (1, 0, "better")


def difference(value: float, half: float, *, blocks: int = 12, few: bool = False) -> Difference:
    return Difference(
        "class", "person", "box_ap", 0.5, 0.5 + value, value, value - half, value + half, 0.5, True, few,
        100, 10, 60, blocks,
    )  # fmt: skip


def test_how_many_frames_a_verdict_needs() -> None:
    assert difference(0.02, 0.01).frames_to_decide is None
    assert difference(0.01, 0.02).frames_to_decide == 240
    few = difference(0.02, 0.01, blocks=4, few=True).frames_to_decide
    assert few == math.ceil(60 * 10 / 4)
    assert difference(0.0, 0.02).frames_to_decide is None


def test_the_verdict_tells_it() -> None:
    noisy = [found((RIGHT, 0.9)) if at % 3 else found((WRONG, 0.9)) for at in range(12)]
    other = [found((RIGHT, 0.9)) if at % 4 else found((WRONG, 0.9)) for at in range(12)]
    sides = [
        [EvalInput(FRAMES, GOLD, detections, ["person"], seed=seed) for seed in range(2)]
        for detections in (noisy, other)
    ]
    comparison = compare(*sides, np.arange(12) // 3, resamples=200)
    assert "gold frames like these would be needed" in verdict_sentence(comparison)
