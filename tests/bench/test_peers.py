"""Other tools' answers, in the shapes that their scripts write, on the hand-made case."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.annotations import IssueType
from curate.bench.label_errors.case import Case
from curate.bench.label_errors.judge import judge_tool, queue_of
from curate.bench.label_errors.peers import PeerError, peer_reason, peer_scores, run_peer, write_input
from curate.bench.label_errors.tools import ToolScores


def setting(bad: list[Any], wrong: list[Any], missing: list[Any]) -> dict[str, Any]:
    worst = [
        max(pair, key=lambda value: -1 if value is None else value) for pair in zip(bad, wrong, strict=True)
    ]
    return {
        "labels": {"bad_location": bad, "wrong_class": wrong},
        "detections": {"missing": missing},
        "queue": {"labels": worst, "detections": missing},
    }


# Three of the four labels count, so three scores; three detections.
ANSWER = {
    "version": "2.9.0",
    "seconds": 1.5,
    "peak_mb": 12.0,
    "settings": {
        "default": setting([0.1, 0.0, 0.0], [0.0, 0.2, 0.5], [None, None, None]),
        "low .1": setting([0.1, 0.0, 0.0], [0.0, 0.9, 0.1], [0.7, None, 0.4]),
    },
}


def test_input_holds_the_labels_that_count_and_all_predictions(case: Case) -> None:
    with np.load(io.BytesIO(write_input(case))) as data:
        assert data["label_frames"].tolist() == [0, 0, 0]
        assert data["label_classes"].tolist() == [0, 1, 0]
        assert data["det_scores"].tolist() == [0.9, 0.8, 0.3]
        assert data["sizes"].tolist() == [[100, 80], [100, 80]]
        assert int(data["class_count"]) == 2
    assert write_input(case) == write_input(case)


def test_scores_go_to_labels_and_candidates(case: Case) -> None:
    default, best = peer_scores(case, "cleanlab", ANSWER)
    assert (default.tool, best.tool) == ("cleanlab", "cleanlab-best")
    np.testing.assert_array_equal(default.types[IssueType.WRONG_CLASS], [0.0, 0.2, 0.5, np.nan])
    # The third candidate is one that no detector sees: nothing can be said about it.
    np.testing.assert_array_equal(best.types[IssueType.MISSING], [0.7, 0.4, np.nan])
    assert set(default.general) == {IssueType.SPURIOUS, IssueType.INACCURATE_MASK, IssueType.DUPLICATE}


def test_best_is_the_setting_that_did_best_on_this_case(case: Case) -> None:
    default, best = peer_scores(case, "cleanlab", ANSWER)
    rows = {row["type"]: row for row in judge_tool(case, default, 0)}
    assert rows["wrong_class"]["ap"] == pytest.approx(0.5)  # The one flipped label stands second.
    rows = {row["type"]: row for row in judge_tool(case, best, 0)}
    assert rows["wrong_class"]["ap"] == pytest.approx(1.0)
    assert rows["missing"]["ap"] == pytest.approx(1.0)
    assert not rows["wrong_class"]["general"]
    assert rows["spurious"]["general"]


def test_pooled_queue_counts_labels_candidates_and_frames(case: Case) -> None:
    scores = ToolScores(
        "ours",
        {},
        np.array([0.1, 0.9, np.nan, 1.0]),
        np.array([0.8, np.nan, 0.2]),
        np.array([0.95]),
        0.1,
        1.0,
    )
    values, truth = queue_of(case, scores)
    assert len(values) == 3 + 3 + 1  # The label that does not count is no item.
    assert truth.tolist() == [False, True, True, True, False, False, False]
    (row,) = judge_tool(case, scores, 0)
    # Four labels: 10 % is no item at all, 20 % is one, and the first item is the frame.
    assert (row["type"], row["found10"], row["found20"]) == ("all", 0.0, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {}},
        {"seconds": None},
        {"settings": {"default": setting([0.1], [0.2], [None, None, None])}},
        {"settings": {"default": {"labels": {}}}},
    ],
)
def test_an_answer_that_does_not_fit_is_refused(case: Case, tmp_path: Path, change: dict[str, Any]) -> None:
    from curate.bench.label_errors.peers import _checked

    with pytest.raises(PeerError, match="the answer of cleanlab"):
        _checked({**ANSWER, **change}, case, "cleanlab")


def test_a_tool_that_is_not_here_is_named_with_the_way_out(tmp_path: Path) -> None:
    reason = peer_reason("cleanlab", tmp_path)
    assert reason is not None
    assert "setup_peers.sh" in reason


def test_a_tool_that_fails_says_what_it_said(case: Case, tmp_path: Path) -> None:
    python = tmp_path / "cleanlab" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 3\n", "utf-8")
    python.chmod(0o755)
    with pytest.raises(PeerError, match="no such module"):
        run_peer(case, "cleanlab", tmp_path, tmp_path / "cache")
