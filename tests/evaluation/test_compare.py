"""A comparison finds what is there, does not find what is not, and refuses what cannot be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from curate.errors import CompareError, DataError
from curate.evaluation import (
    Comparison,
    EvalInput,
    EvalSettings,
    compare,
    comparison_markdown,
    delta,
    escape_markdown,
    evaluate,
    evaluation_markdown,
    gold_hash,
    verdict_sentence,
)
from curate.evaluation.interval import sign_flip_p

CLASSES = ("person", "car")


@pytest.fixture
def street(make):
    return make.street(60)


@pytest.fixture
def side(make, street):
    """Runs of one detector, a training seed each."""
    frames, gold = street

    def build(seeds, **quality):
        return [
            EvalInput(
                frames, gold, make.run(frames, gold, seed, **quality), CLASSES, seed=seed, ms_per_frame=50.0
            )
            for seed in seeds
        ]

    return build


TWELVE = np.arange(60) // 5
GOOD = {"miss": 0.03, "jitter": 1.0, "false": 0.5}
POOR = {"miss": 0.25, "jitter": 3.0, "false": 4.0}


def test_a_known_improvement_is_found_in_every_figure(side):
    result = compare(side([1, 2, 3], **POOR), side([4, 5, 6], **GOOD), TWELVE, resamples=400)
    assert result.verdict == "better"
    assert (result.headline.name, result.headline.metric) == ("person", "box_ap50")
    for metric in ("box_ap", "box_ap50", "box_ap75", "precision", "recall"):
        entry = result.find(metric, "class", "person")
        assert entry.low is not None
        assert 0 < entry.low <= entry.value <= entry.high
        assert entry.p_value < 0.05
    assert (entry.blocks, entry.frames, entry.tracks, entry.objects) == (12, 60, 15, 300)
    rules = EvalSettings(recalls=(0.6,))
    alarms = compare(side([1, 2, 3], **POOR), side([4, 5, 6], **GOOD), TWELVE, rules, resamples=400)
    fewer = alarms.find("fppi@0.6", "class", "person")
    assert fewer.high < 0
    assert fewer.verdict == "better"
    back = compare(side([4, 5, 6], **GOOD), side([1, 2, 3], **POOR), TWELVE, resamples=400)
    assert back.verdict == "worse"
    assert len(result.wins) > len(result.losses)
    gains = [entry.before - entry.after for entry in result.wins]
    assert gains == sorted(gains, reverse=True)


def test_identical_runs_differ_by_nothing(side):
    runs = side([1, 2])
    result = compare(runs, runs, TWELVE, resamples=300)
    assert result.verdict == "no clear difference"
    assert result.wins == result.losses == ()
    for entry in result.differences:
        if entry.low is not None:
            assert entry.value == 0
            assert entry.low <= 0 <= entry.high
            assert entry.p_value == 1.0


def test_one_run_against_itself_has_no_width(side):
    runs = side([1])
    entry = compare(runs, runs, TWELVE, resamples=200).headline
    assert (entry.value, entry.low, entry.high, entry.verdict) == (0, 0, 0, "indicative")


def test_full_set_figures_equal_the_evaluation(side, street):
    frames, gold = street
    runs, other = side([1, 2]), side([3])
    result = compare(runs, other, TWELVE, resamples=100)
    single = [evaluate(frames, gold, run.detections, CLASSES) for run in (*runs, *other)]
    for name in CLASSES:
        before = np.mean([entry.per_class[name].box.ap for entry in single[:2]])
        entry = result.find("box_ap", "class", name)
        assert entry.before == pytest.approx(before, abs=1e-9)
        assert entry.after == pytest.approx(single[2].per_class[name].box.ap, abs=1e-9)
    assert result.find("box_ap50").after == pytest.approx(single[2].box.ap50, abs=1e-9)
    assert result.find("precision").after == pytest.approx(single[2].at_score.precision)
    parked = result.find("box_ap50", "motion", "parked")
    assert parked.after == pytest.approx(single[2].motion["parked"].box.ap50, abs=1e-9)
    alarms = result.find("fppi@0.85", "class", "car").after
    assert alarms == single[2].per_class["car"].fppi[0].per_frame


def test_the_same_seed_gives_the_same_interval(side):
    before, after = side([1, 2], **POOR), side([3, 4])
    first = compare(before, after, TWELVE, resamples=200, seed=7)
    again = compare(before, after, TWELVE, resamples=200, seed=7)
    other = compare(before, after, TWELVE, resamples=200, seed=8)
    assert first == again
    assert first.headline.low != other.headline.low


def test_little_evidence_is_indicative_and_one_block_has_no_interval(side):
    many = side([1, 2], **POOR), side([3, 4], **GOOD)
    assert compare(*many, np.arange(60) // 15, resamples=200).verdict == "indicative"
    alone = side([1], **POOR), side([3], **GOOD)
    single = compare(*alone, TWELVE, resamples=200)
    assert (single.verdict, single.headline.direction) == ("indicative", "better")
    one_block = compare(*many, np.zeros(60, int), resamples=200).headline
    assert (one_block.low, one_block.high, one_block.p_value) == (None, None, None)
    assert one_block.value > 0
    assert "one block" in one_block.reason
    assert one_block.verdict == "unknown"


def test_runs_of_one_training_seed_are_one_piece_of_evidence(side):
    same = [replace(run, seed=1) for run in side([1, 2, 3], **POOR)]
    result = compare(same, side([4, 5, 6], **GOOD), TWELVE, resamples=200)
    assert (result.before.runs, result.before.seeds, result.verdict) == (3, 1, "indicative")


def test_training_seeds_widen_the_interval(make, street):
    frames, gold = street
    good, poor = (make.run(frames, gold, 1, **quality) for quality in (GOOD, POOR))

    def runs(*detections):
        return [EvalInput(frames, gold, item, CLASSES, seed=at) for at, item in enumerate(detections)]

    steady = compare(runs(poor, poor), runs(good, good), TWELVE, resamples=300).headline
    shaky = compare(runs(poor, good), runs(good, poor), TWELVE, resamples=300).headline
    assert steady.low > 0
    assert shaky.low < 0 < shaky.high


def test_slices_are_compared_and_figures_that_cannot_be_had_say_why(side, street):
    _, gold = street
    slices = {
        "left": np.array([entry.bbox_xyxy[0] < 150 for entry in gold]),
        "none": np.zeros(len(gold), bool),
    }
    result = compare(side([1, 2], miss=0.6), side([3, 4], **GOOD), TWELVE, slices=slices, resamples=200)
    left = result.find("box_ap50", "slice", "left")
    assert left.verdict == "better"
    assert left.objects == slices["left"].sum()
    nothing = result.find("box_ap50", "slice", "none")
    assert (nothing.value, nothing.verdict) == (None, "unknown")
    assert "no gold object" in nothing.reason
    unreached = result.find("fppi@0.92", "class", "person")
    assert unreached.value is None
    assert "`before` does not reach" in unreached.reason
    with pytest.raises(DataError, match="'box_ap50' for slice x"):
        result.find("box_ap50", "slice", "x")


def test_the_order_of_frames_and_labels_does_not_matter(side, street):
    frames, gold = street
    before, after = side([1, 2], **POOR), side([3, 4])
    turned = [
        replace(run, frames=frames[::-1], gold=gold[::-1], detections=run.detections[::-1]) for run in after
    ]
    assert gold_hash(frames, gold) == gold_hash(frames[::-1], gold[::-1])
    assert compare(before, turned, TWELVE, resamples=100) == compare(before, after, TWELVE, resamples=100)


def test_unlike_gold_frames_and_classes_are_refused_with_the_reason(side, street):
    frames, gold = street
    runs = side([1])
    moved = [replace(gold[0], bbox_xyxy=(0.0, 0.0, 9.0, 9.0)), *gold[1:]]
    hidden = [replace(gold[0], ignore=True), *gold[1:]]
    for other, message in [
        ({"gold": moved}, r"gold labels differ.*1 frames are labelled otherwise, such as gold_0\.jpg"),
        ({"gold": hidden}, "gold labels differ"),
        ({"gold": gold[1:]}, "359 labels against 360"),
        ({"gold_hash": "0" * 64, "gold_id": "gold-2"}, "scored on the gold set 'gold-2'"),
        ({"classes": ("car", "person")}, "classes"),
        ({"frames": frames[1:], "gold": gold[6:]}, "1 are missing, 0 are extra"),
    ]:
        with pytest.raises(CompareError, match=message):
            compare(runs, [replace(runs[0], **other)], TWELVE)
    with pytest.raises(CompareError, match="'after' has no run"):
        compare(runs, [], TWELVE)
    same = [replace(run, gold_hash=gold_hash(frames, gold)) for run in runs]
    assert compare(same, runs, TWELVE, resamples=100).gold_hash == gold_hash(frames, gold)


def test_other_wrong_input_is_named(side):
    runs = side([1])
    for more, message in [
        ({"blocks": np.zeros(3, int)}, "60 frames need one whole block"),
        ({"resamples": 10}, "at least 100"),
        ({"label": "bus"}, "'bus'"),
        ({"metric": "speed"}, "no figure 'speed'"),
    ]:
        with pytest.raises(DataError, match=message):
            compare(runs, runs, **{"blocks": TWELVE, "resamples": 100, **more})
    short = [replace(runs[0], detections=runs[0].detections[1:])]
    with pytest.raises(DataError, match="60 frames need as many"):
        compare(runs, short, TWELVE)


def test_json_round_trip_and_summary(side):
    result = compare(side([1], **POOR), side([2], miss=0.5), np.arange(60) // 15, resamples=100)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert Comparison.from_dict(json.loads(text)) == result
    summary = delta(result, "box_ap50", "person")
    entry = result.find("box_ap50", "class", "person")
    assert [summary[key] for key in ("value", "low", "high")] == [entry.value, entry.low, entry.high]


def test_sign_flips():
    # All six blocks agree: only the two extreme patterns of 2^6 are as extreme.
    assert sign_flip_p(np.full(6, 0.1), np.ones(6), 0) == pytest.approx(2 / 64)
    assert sign_flip_p(np.array([0.1, -0.1]), np.ones(2), 0) == 1.0
    assert sign_flip_p(np.array([0.1, np.nan]), np.ones(2), 0) is None
    many = np.random.default_rng(0).normal(0.5, 1, 40)
    assert sign_flip_p(many, np.ones(40), 1) == sign_flip_p(many, np.ones(40), 1) < 0.05


def test_names_cannot_break_the_markdown(make):
    evil = "a|b<script>\n# [x](y)`"
    assert escape_markdown(evil) == r"a\|b&lt;script&gt; \# \[x\](y)" + r"\`"
    frames = make.frames(12)
    gold = [make.label(frame, (10, 10, 40, 70), evil) for frame in frames]
    found = [make.found([(10, 10, 40, 70)], [0.9]) for _ in frames]
    worse = [make.found([(10, 20, 40, 80)], [0.9]) for _ in frames]
    everything = np.ones(len(gold), bool)
    single = evaluate(frames, gold, found, (evil,), slices={evil: everything})
    runs = [[EvalInput(frames, gold, item, (evil,), label=evil)] for item in (worse, found)]
    both = compare(*runs, np.arange(12), slices={evil: everything}, resamples=100)
    for text in (evaluation_markdown(single, evil), comparison_markdown(both, evil)):
        assert "<" not in text.replace("&lt;", "").replace("< 0.001", "")
        tables = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("|")]
        for above, below in pairwise(tables):
            if not below.startswith("|  |") and not below.startswith(("| scope", "| frame")):
                assert above.count("|") == below.count("|")
        assert not [line for line in text.splitlines()[1:] if line.startswith("# ")]


def test_the_report_speaks_in_words_with_numbers(side):
    result = compare(side([1, 2], **POOR), side([3, 4], **GOOD), TWELVE, resamples=200)
    sentence = verdict_sentence(result)
    assert sentence.startswith("After is better in box AP50 of person")
    assert f"{result.headline.low:+.3f} to {result.headline.high:+.3f}" in sentence
    assert "12 time blocks, 15 tracks and 60 frames, 2 and 2 training seeds" in sentence
    few = compare(side([1], **POOR), side([3], **GOOD), TWELVE, resamples=200)
    assert verdict_sentence(few).startswith("Indicative only: after is better")
    text = comparison_markdown(result, frames=2)
    assert "50.0 before, 50.0 after" in text
    assert text.count("| gold_") <= 4


def test_a_side_that_finds_nothing_at_all_is_compared(side):
    before = [replace(run, detections=[item.empty() for item in run.detections]) for run in side([1])]
    result = compare(before, side([2], **GOOD), TWELVE, resamples=100)
    assert result.find("box_ap50", "class", "person").before == 0
    assert result.find("fppi@0.85", "class", "person").value is None
    assert result.find("recall", "class", "person").after > 0.8
