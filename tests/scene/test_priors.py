from __future__ import annotations

import numpy as np
import pytest

from curate.errors import DataError
from curate.scene import PlacePrior, SizePrior, recurring_places


def ground_boxes(rng: np.random.Generator, count: int, tall: float = 0.4) -> np.ndarray:
    """People on a flat ground with the horizon at row 40."""
    foot = rng.uniform(100, 500, count)
    height = tall * (foot - 40) * rng.normal(1, 0.05, count)
    width = 0.4 * height * rng.normal(1, 0.1, count)
    x = rng.uniform(50, 600, count)
    return np.stack([x, foot - height, x + width, foot], axis=1)


def test_sizes_are_judged_by_the_ground_row() -> None:
    rng = np.random.default_rng(0)
    prior = SizePrior.fit(ground_boxes(rng, 200), np.zeros(200, int))
    usual = prior.z_scores(ground_boxes(rng, 200), np.zeros(200, int))
    assert np.abs(np.median(usual, axis=0)).max() < 0.5
    assert np.quantile(np.abs(usual), 0.95) < 4
    assert prior.expected_size(np.array([240.0]), 0)[0, 0] == pytest.approx(80, rel=0.08)
    half = ground_boxes(rng, 20)
    half[:, 1] = (half[:, 1] + half[:, 3]) / 2
    assert (prior.z_scores(half, np.zeros(20, int))[:, 0] < -5).all()


def test_a_fifth_of_wrong_labels_does_not_bend_the_fit() -> None:
    rng = np.random.default_rng(1)
    boxes = ground_boxes(rng, 250)
    boxes[:50] = np.array([300, 330, 365, 480]) + rng.normal(
        0, 1, (50, 4)
    )  # one tripod labelled again and again
    prior = SizePrior.fit(boxes, np.zeros(250, int))
    assert prior.expected_size(np.array([150.0, 450.0]), 0)[:, 0] == pytest.approx([44, 164], rel=0.12)
    trusted = SizePrior.fit(boxes, np.zeros(250, int), np.r_[np.zeros(50), np.ones(200)])
    assert trusted.models[0].count == 200


def test_rare_classes_are_unknown_and_score_zero() -> None:
    rng = np.random.default_rng(2)
    boxes, classes = ground_boxes(rng, 27), np.r_[np.zeros(20, int), np.ones(7, int)]
    prior = SizePrior.fit(boxes, classes)
    assert prior.known(0)
    assert not prior.known(1)
    assert (prior.z_scores(boxes, classes)[20:] == 0).all()
    assert np.isnan(prior.expected_size(np.array([100.0]), 1)).all()
    assert not SizePrior.fit(np.zeros((0, 4)), np.zeros(0, int)).known(0)


def test_cut_boxes_are_left_out_and_one_row_is_no_problem() -> None:
    boxes = np.tile([0.0, 10, 20, 60], (9, 1))
    assert not SizePrior.fit(boxes, np.zeros(9, int), frame_size=(100, 100)).known(0)
    same_row = SizePrior.fit(boxes, np.zeros(9, int))
    assert same_row.z_scores(boxes, np.zeros(9, int)) == pytest.approx(0)


def test_what_the_border_cuts_has_no_expected_size() -> None:
    """Half a bus at the edge is no odd bus."""
    rng = np.random.default_rng(3)
    prior = SizePrior.fit(ground_boxes(rng, 100), np.zeros(100, int), frame_size=(800, 600))
    boxes = np.array(
        [[100.0, 200, 160, 360], [0.5, 300, 30, 420], [700, 300, 799.5, 420], [90, 560, 150, 600]]
    )
    scores = prior.z_scores(boxes, np.zeros(4, int), frame_size=(800, 600))
    assert np.isfinite(scores[0]).all()
    assert np.isnan(scores[1:]).all()
    assert np.isfinite(prior.z_scores(boxes, np.zeros(4, int))).all()


def test_size_prior_survives_json() -> None:
    rng = np.random.default_rng(3)
    boxes = ground_boxes(rng, 60)
    prior = SizePrior.fit(boxes, np.zeros(60, int))
    assert SizePrior.from_json(prior.to_json()) == prior
    for text in (
        "",
        "[]",
        '{"kind": "size_prior", "version": 2, "models": {}}',
        prior.to_json().replace("row", "r"),
    ):
        with pytest.raises(DataError, match="size prior"):
            SizePrior.from_json(text)
    with pytest.raises(DataError, match="finite"):
        SizePrior.fit(np.full((9, 4), np.nan), np.zeros(9, int))


def test_standing_objects_are_found_and_walkers_are_not() -> None:
    rng = np.random.default_rng(4)
    tripod, van = np.array([460.0, 338, 525, 482]), np.array([652.0, 44, 724, 100])
    frames = np.arange(100)
    ghosts = tripod + rng.normal(0, 2, (40, 4))
    parked = van + rng.normal(0, 0.5, (100, 4))
    walker = np.array([20.0, 200, 50, 280]) + frames[:, None] * [6.0, 0, 6, 0]
    boxes = np.concatenate([ghosts, parked, walker])
    frame = np.r_[np.sort(rng.permutation(100)[:40]), frames, frames]
    places = recurring_places(boxes, frame, frame / 5.0)
    assert (places.count.sum(), places.place.max() + 1) == (240, len(places))
    standing = places.standing(least_frames=10)
    assert len(standing) == 2
    assert places.boxes[standing[0]] == pytest.approx(van, abs=0.5)
    assert places.boxes[standing[1]] == pytest.approx(tripod, abs=1.5)
    assert places.share[standing] == pytest.approx([1.0, 0.4])
    assert places.persistence[standing[0]] == 1.0
    assert places.span[standing[0]] == pytest.approx(19.8)
    assert len(set(places.place[:40].tolist())) == 1
    assert places.stillness[places.place[140:]].max() < 0.8


def test_places_do_not_depend_on_the_order_of_the_boxes() -> None:
    rng = np.random.default_rng(5)
    centres = rng.uniform(0, 1000, (15, 2))
    which = rng.integers(0, 15, 400)
    boxes = np.concatenate([centres[which], centres[which] + [30, 80]], 1) + rng.normal(0, 1, (400, 4))
    order = rng.permutation(400)
    one = recurring_places(boxes, np.arange(400), np.arange(400.0))
    two = recurring_places(boxes[order], np.arange(400)[order], np.arange(400.0)[order])
    together = one.place[:, None] == one.place[None]
    again = two.place[:, None] == two.place[None]
    assert np.array_equal(together[np.ix_(order, order)], again)


def test_many_boxes_of_one_parked_car_and_many_walkers() -> None:
    """100,000 boxes: all pairs would be 10^10, the grid makes it seconds."""
    rng = np.random.default_rng(6)
    car = np.array([652.0, 44, 724, 100]) + rng.normal(0, 1, (60_000, 4))
    foot = rng.uniform([0, 100], [1900, 1000], (40_000, 2))
    tall = foot[:, 1:] * 0.2
    people = np.concatenate([foot - tall * [0.2, 1], foot + tall * [0.2, 0]], axis=1)
    frame = rng.integers(0, 20_000, 100_000)
    places = recurring_places(np.concatenate([car, people]), frame, frame / 5.0, frame_count=25_000)
    assert places.count[0] >= 59_000
    assert places.stillness[0] > 0.9
    assert places.share[0] <= 20_000 / 25_000


def test_places_of_nothing_and_of_nonsense() -> None:
    assert len(recurring_places(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))) == 0
    with pytest.raises(DataError, match="equal lengths"):
        recurring_places(np.zeros((2, 4)), np.zeros(1, int), np.zeros(2))
    with pytest.raises(DataError, match="finite"):
        recurring_places(np.full((1, 4), np.inf), np.zeros(1, int), np.zeros(1))


def test_class_by_place() -> None:
    rng = np.random.default_rng(7)
    left = np.concatenate([rng.uniform(0, 40, (100, 2)), rng.uniform(45, 90, (100, 2))], 1)
    boxes = np.concatenate([left, left + np.array([100, 0, 100, 0])])
    classes = np.repeat([0, 1], 100)
    prior = PlacePrior.fit(boxes, classes, class_count=3, frame_size=(200, 100), grid=(8, 4))
    chance = prior.probabilities(boxes)
    assert chance.sum(1) == pytest.approx(1)
    assert chance[:100, 0].mean() > 0.85
    assert chance[100:, 1].mean() > 0.85
    # A single odd label must not vouch for itself.
    boxes, classes = np.concatenate([boxes, boxes[:1]]), np.r_[classes, 2]
    prior = PlacePrior.fit(boxes, classes, class_count=3, frame_size=(200, 100), grid=(8, 4))
    with_own, without = prior.probabilities(boxes)[-1, 2], prior.probabilities(boxes, classes)[-1, 2]
    assert without < with_own
    assert without < 0.02
    with pytest.raises(DataError, match="class indices"):
        PlacePrior.fit(boxes, classes, class_count=2, frame_size=(200, 100))
