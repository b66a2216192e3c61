"""The speed benchmark: its synthetic data, its arithmetic, and one small measurement. Nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.bench import scoring
from curate.bench.scoring import bench_scoring, slope
from curate.bench.scoring_work import DETECTIONS, LABELS, peer_table, synthetic_inputs
from curate.workflows.progress import Quiet


def test_synthetic_frames_hold_what_they_promise() -> None:
    inputs = synthetic_inputs(7)
    assert np.bincount(inputs.labels.frames).tolist() == [LABELS] * 7
    assert np.bincount(inputs.detections.frames).tolist() == [DETECTIONS] * 7
    masked = synthetic_inputs(1, masks=True).labels.masks
    assert masked is not None
    assert all(mask is not None for mask in masked)
    table = peer_table(7)
    np.testing.assert_array_equal(table["label_boxes"], inputs.labels.boxes)


def test_slope_is_the_exponent() -> None:
    rows = [{"what": "boxes", "size": size, "cpu_seconds": 0.001 * size**1.5} for size in (10, 100, 1000)]
    assert slope(rows) == pytest.approx(1.5)
    assert slope(rows[:1]) is None


def test_every_kind_is_measured_and_cleanlab_is_missed(tmp_path: Path) -> None:
    said: list[str] = []
    result = bench_scoring(
        sizes=(3,), masks=20, decided=40, peers=tmp_path, reporter=Quiet(), say=said.append
    )
    assert [row["what"] for row in result.figures["rows"]] == ["boxes", "masks", "rerank", "queue"]
    assert all(row["seconds"] > 0 and row["peak_mb"] > 0 for row in result.figures["rows"])
    assert "ranked again" in result.markdown
    assert "cleanlab is skipped" in said[0]


def test_cleanlab_is_compared_by_scores_alone_and_with_its_issues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"seconds": 2.0, "cpu_seconds": 0.1, "peak_mb": 100.0}
    asked: list[int] = []

    def answer(size: int, peers: Path) -> list[dict[str, object]]:
        asked.append(size)
        alone = {"what": "cleanlab", "size": size, "seconds": 4.0, "cpu_seconds": 2.0, "peak_mb": 5.0}
        return [
            alone,
            {**alone, "what": "cleanlab_issues", "seconds": 30.0, "cpu_seconds": 6.0, "peak_mb": None},
        ]

    monkeypatch.setattr(scoring, "_measure", lambda what, size: ours)
    monkeypatch.setattr(scoring, "_cleanlab", answer)
    monkeypatch.setattr(scoring, "peer_reason", lambda tool, peers: "")
    result = bench_scoring(sizes=(1_000, 100_000), masks=0, decided=0, peers=tmp_path, reporter=Quiet())
    assert asked == [1_000]
    assert [ratio["what"] for ratio in result.figures["ratios"]] == ["cleanlab", "cleanlab_issues"]
    assert [ratio["cpu_seconds"] for ratio in result.figures["ratios"]] == pytest.approx([20, 60])
    assert [ratio["seconds"] for ratio in result.figures["ratios"]] == pytest.approx([2, 15])
    assert "60 times the speed of cleanlab's issues and scores at 1,000 frames in CPU" in result.markdown
