"""Figures of a ranking against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from curate.bench.label_errors.metrics import auroc, average_precision, found_share, precision_at

TRUTH = np.array([True, False, True, False, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.2, 0.1])


def test_average_precision_by_hand() -> None:
    # Errors at places 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision(SCORES, TRUTH) == pytest.approx((1 + 2 / 3) / 2)


def test_unreachable_errors_lower_the_recall() -> None:
    assert average_precision(SCORES, TRUTH, unreachable=2) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(SCORES, np.zeros(5, bool), unreachable=3) == 0.0
    assert np.isnan(average_precision(SCORES, np.zeros(5, bool)))


def test_auroc_counts_pairs() -> None:
    # Of the 2 x 3 pairs (error, right item) one stands the wrong way round: 0.7 below 0.8.
    assert auroc(SCORES, TRUTH) == pytest.approx(5 / 6)
    assert auroc(np.zeros(5), TRUTH) == pytest.approx(0.5)
    assert np.isnan(auroc(SCORES, np.ones(5, bool)))


def test_precision_at_k_and_short_lists() -> None:
    assert precision_at(SCORES, TRUTH, 2) == pytest.approx(0.5)
    assert precision_at(SCORES, TRUTH, 50) == pytest.approx(2 / 5)
    assert np.isnan(precision_at(np.zeros(0), np.zeros(0, bool), 5))


def test_ties_are_what_a_random_order_gives() -> None:
    # One certain hit, then two of the next four equal ones are looked at; a quarter of those are errors.
    scores, truth = np.array([1.0, 0, 0, 0, 0]), np.array([True, True, False, False, False])
    assert precision_at(scores, truth, 3) == pytest.approx((1 + 2 * 1 / 4) / 3)
    assert found_share(scores, truth, 3, 2) == pytest.approx((1 + 0.5) / 2)


def test_what_a_tool_says_nothing_about_comes_last() -> None:
    scores = np.array([np.nan, 0.1, -5.0, np.nan])
    truth = np.array([True, False, True, False])
    assert precision_at(scores, truth, 2) == pytest.approx(0.5)
    assert found_share(scores, truth, 2, 4) == pytest.approx(0.25)
    assert found_share(scores, truth, 10, 0) != found_share(scores, truth, 10, 0)  # NaN
