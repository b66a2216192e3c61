"""What counts, and what every figure of an evaluation says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from curate.config.schema import SiteConfig, SliceConfig
from curate.errors import ConfigError, DataError
from curate.evaluation import (
    EvalResult,
    EvalSettings,
    evaluate,
    headline,
    moving_objects,
    settings_from_site,
    site_slices,
)
from curate.tables import Detections

CLASSES = ("person", "car")
A, B, FAR = (10, 10, 40, 70), (60, 10, 90, 70), (120, 80, 150, 140)


@pytest.fixture
def one(make):
    """Evaluate one frame: gold as (box, class, flags), detections as (box, score, class index)."""

    def run(gold, found, settings=None, **more):
        (frame,) = make.frames(1)
        labels = [make.label(frame, box, name, **flags) for box, name, flags in gold]
        boxes, scores, classes = zip(*found, strict=True) if found else ((), (), ())
        detections = [make.found(boxes, scores, list(classes))]
        return evaluate([frame], labels, detections, CLASSES, settings, **more)

    return run


def test_perfect_detections_score_one(one):
    result = one([(A, "person", {}), (B, "car", {})], [(A, 0.9, 0), (B, 0.8, 1)])
    assert (result.box.ap, result.box.ap50, result.box.ap75) == (1.0, 1.0, 1.0)
    assert (result.at_score.precision, result.at_score.recall) == (1.0, 1.0)
    assert [row.per_frame for row in result.fppi] == [0.0, 0.0, 0.0]
    assert result.confusion == ((1, 0, 0), (0, 1, 0), (0, 0, 0))


@pytest.mark.parametrize("flag", ["iscrowd", "ignore", "difficult"])
def test_a_detection_on_an_ignored_object_counts_neither_way(one, flag):
    with_it = one([(A, "person", {}), (B, "person", {flag: True})], [(A, 0.5, 0), (B, 0.9, 0)])
    assert with_it.box.ap == 1.0
    assert (with_it.at_score.true, with_it.at_score.false, with_it.at_score.missed) == (1, 0, 0)
    assert with_it.errors == one([(A, "person", {})], [(A, 0.5, 0)]).errors
    without = one([(A, "person", {}), (B, "person", {flag: True})], [(A, 0.5, 0)])
    assert (without.box.ap, without.objects, without.ignored) == (1.0, 1, 1)


def test_an_ignored_object_absorbs_at_every_overlap_but_only_its_own_class(one):
    ignored = [(A, "person", {}), (B, "person", {"ignore": True})]
    part_of_it = (62, 12, 84, 55)
    assert one(ignored, [(A, 0.5, 0), (part_of_it, 0.9, 0)]).box.ap == 1.0
    car = one(ignored, [(A, 0.5, 0), (B, 0.9, 1)])
    assert car.at_score.false == 1
    unknown = one([(A, "person", {}), (B, "whatever", {"ignore": True})], [(A, 0.5, 0), (B, 0.9, 1)])
    assert unknown.at_score.false == 0


def test_a_counting_object_is_matched_before_an_ignored_one(one):
    nearly = (12, 10, 42, 70)
    gold = [(A, "person", {}), (nearly, "person", {"ignore": True})]
    assert one(gold, [(nearly, 0.9, 0)]).at_score.true == 1
    # The second detection of the two overlapping people is the ignored one's, not a duplicate.
    both = one(gold, [(nearly, 0.9, 0), (A, 0.8, 0)])
    assert (both.at_score.true, both.at_score.false) == (1, 0)


def test_ignore_regions_take_objects_and_false_alarms_out(one):
    region = EvalSettings(ignore_regions=(((100.0, 60.0), (200.0, 60.0), (200.0, 160.0), (100.0, 160.0)),))
    result = one(
        [(A, "person", {}), (FAR, "person", {})], [(A, 0.6, 0), ((110, 90, 140, 130), 0.9, 1)], region
    )
    assert (result.objects, result.ignored, result.at_score.false, result.box.ap) == (1, 1, 0, 1.0)
    # A detection that sticks out to an object that counts stays: half of it lies outside.
    assert one([(A, "person", {})], [((80, 60, 110, 100), 0.9, 0)], region).at_score.false == 1


def test_the_policy_leaves_out_small_and_occluded_objects(one):
    small, tiny = (100, 100, 104, 106), (100, 100, 104, 107)
    gold = [(A, "person", {}), (small, "person", {}), (B, "person", {"occluded": True})]
    found = [(A, 0.9, 0), ((50, 150, 53, 155), 0.95, 0), (tiny, 0.9, 0)]
    rules = EvalSettings(min_height=10.0, ignore_occluded=True)
    result = one(gold, found, rules)
    assert (result.objects, result.at_score.true, result.at_score.false) == (1, 1, 0)


def test_error_kinds_name_each_error_once(one):
    gold = [(A, "person", {}), (B, "car", {}), (FAR, "person", {}), ((10, 100, 40, 150), "person", {})]
    shifted = (120, 110, 150, 170)
    found = [
        (A, 0.9, 0),
        (A, 0.8, 0),
        (B, 0.7, 0),
        (shifted, 0.6, 0),
        ((60, 40, 90, 100), 0.5, 0),
        ((160, 5, 190, 40), 0.5, 0),
        ((160, 5, 190, 40), 0.1, 0),
    ]
    kinds = one(gold, found).errors
    assert (kinds.duplicate, kinds.classification, kinds.localisation) == (1, 1, 1)
    # One object is not pointed at by any detection; those behind a wrong class or place are not missed twice.
    assert (kinds.both, kinds.background, kinds.missed) == (1, 1, 1)


def test_confusion_finds_the_swapped_class_and_sums_up(one):
    result = one([(A, "person", {}), (B, "car", {})], [(A, 0.9, 1), (B, 0.9, 1), (FAR, 0.9, 0)])
    assert result.confusion == ((0, 1, 0), (0, 1, 0), (1, 0, 0))


def test_false_positives_per_frame_at_a_recall_and_ties(make):
    frames = make.frames(4)
    gold = [make.label(frame, A) for frame in frames]
    found = [
        make.found([A, FAR], [0.9, 0.8]),
        make.found([A, FAR], [0.7, 0.5]),
        make.found([A, FAR], [0.5, 0.5]),
        make.found([FAR], [0.4]),
    ]
    rules = EvalSettings(recalls=(0.5, 0.75, 0.9))
    rows = evaluate(frames, gold, found, CLASSES, rules).per_class["person"].fppi
    # At .5 the threshold takes both false alarms of that score with it.
    assert [(row.per_frame, row.score) for row in rows[:2]] == [(0.25, 0.7), (0.75, 0.5)]
    assert rows[2].per_frame is None
    assert "0.750" in rows[2].reason


def test_per_frame_counts_confusion_and_errors_tell_one_story(make):
    for seed in range(6):
        scene = make.scene(seed)
        result = evaluate(scene.frames, scene.gold, scene.found, CLASSES)
        table, point = np.array(result.confusion), result.at_score
        assert sum(row.true for row in result.per_frame) == point.true == np.trace(table[:2, :2])
        assert sum(row.false for row in result.per_frame) == point.false == table[:, :2].sum() - point.true
        assert sum(row.missed for row in result.per_frame) == point.missed
        assert table[:2].sum() == result.objects
        kinds = result.errors
        false = kinds.classification + kinds.localisation + kinds.both + kinds.duplicate + kinds.background
        assert false == point.false
        assert sum(entry.at_score.true for entry in result.per_class.values()) == point.true


def test_slices_ignore_other_objects_but_not_false_alarms(make):
    (frame,) = make.frames(1)
    gold = [make.label(frame, A), make.label(frame, B)]
    found = [make.found([A, B, FAR], [0.9, 0.8, 0.95])]
    slices = {"left": np.array([True, False]), "none": np.array([False, False])}
    result = evaluate([frame], gold, found, CLASSES, slices=slices)
    left = result.slices["left"]
    assert (left.objects, left.at_score.true, left.at_score.false) == (1, 1, 1)
    assert left.box.ap == pytest.approx(0.5)
    assert left.per_class["car"].ap is None
    assert result.slices["none"].box.ap is None
    assert result.slices["none"].box.reason


def test_moving_and_parked_are_told_apart(make):
    frames, gold = make.street(20)
    flags = moving_objects(frames, gold)
    assert {entry.label: flag for entry, flag in zip(gold, flags.tolist(), strict=True)} == {
        "person": 1,
        "car": 0,
    }
    found = [make.found([(300, 230, 380, 290)], [0.9], [1]) for _ in frames]
    result = evaluate(frames, gold, found, CLASSES)
    assert result.motion["parked"].box.ap50 == 1.0
    assert (result.motion["parked"].tracks, result.motion["moving"].box.ap50) == (1, 0.0)
    alone = make.label(frames[0], A, track_id="once")
    given = make.label(frames[0], A, track_id="once", attributes={"moving": True})
    assert moving_objects(frames, [alone]).tolist() == [-1]
    assert moving_objects(frames, [given]).tolist() == [1]


def test_jitter_of_a_parked_object_is_no_motion(make):
    frames = make.frames(30)
    random = np.random.default_rng(0)
    gold = [make.label(f, np.array(FAR) + random.uniform(-3, 3, 4), "car", track_id="c") for f in frames]
    assert set(moving_objects(frames, gold).tolist()) == {0}


def test_masks_are_scored_where_gold_has_them(make):
    (frame,) = make.frames(1)
    gold = [make.label(frame, A, mask=make.box_mask(A)), make.label(frame, B)]
    good = make.found([A, B], [0.9, 0.95], masks=(make.box_mask(A), make.box_mask(B)))
    result = evaluate([frame], gold, [good], CLASSES)
    assert (result.mask.ap, result.mask.objects) == (1.0, 1)
    assert "without a mask, ignored in the mask figures: 1." in result.notes[0]
    wrong = make.found([A, B], [0.9, 0.95], masks=(make.box_mask(FAR), make.box_mask(B)))
    assert evaluate([frame], gold, [wrong], CLASSES).mask.ap == 0.0
    plain = evaluate([frame], gold, [make.found([A], [0.9])], CLASSES)
    assert plain.mask.ap is None
    assert plain.mask.reason == "the detections have no masks"


def test_nothing_there_is_none_with_a_reason_and_never_a_crash(make):
    frames = make.frames(3)
    nothing = [make.found() for _ in frames]
    empty = evaluate(frames, [], nothing, CLASSES)
    assert empty.box.ap is None
    assert empty.box.reason == "no gold object counts here"
    assert empty.at_score.precision is None
    assert empty.at_score.recall is None
    assert empty.mask.ap is None
    blind = evaluate(frames, [make.label(frames[0], A)], nothing, CLASSES)
    assert (blind.box.ap, blind.box.reason) == (0.0, "no detections")
    assert blind.per_class["car"].box.ap is None
    assert blind.per_class["person"].curve.score == ()
    only_false = evaluate(frames, [], [make.found([A], [0.9]), *nothing[1:]], CLASSES)
    assert (only_false.box.ap, only_false.at_score.precision, only_false.at_score.false) == (None, 0.0, 1)
    for result in (empty, blind, only_false):
        json.dumps(result.to_dict(), allow_nan=False)


def test_sizes_are_coco_sizes(one):
    result = one([(A, "person", {}), ((100, 100, 120, 120), "person", {})], [(A, 0.9, 0)])
    assert (result.box_sizes["medium"].ap, result.box_sizes["small"].ap) == (1.0, 0.0)
    assert (result.box_sizes["medium"].objects, result.box_sizes["large"].ap) == (1, None)


def test_json_round_trip(make):
    scene = make.scene(1, masks=True)
    slices = {"some": np.arange(len(scene.gold)) % 2 == 0}
    result = evaluate(
        scene.frames, scene.gold, scene.found, CLASSES, slices=slices, gold_id="g1", ms_per_frame=12.5
    )
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert EvalResult.from_dict(json.loads(text)) == result
    broken = json.loads(text)
    del broken["box"]
    with pytest.raises(DataError, match="box"):
        EvalResult.from_dict(broken)


@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "message"),
    [
        ([A], [float("nan")], [0], "detection 0 has the score nan"),
        ([A], [1.5], [0], "score 1.5"),
        ([(0, 0, float("inf"), 4)], [0.5], [0], "not finite"),
        ([A], [0.5], [2], "class index 2"),
        ([A, B], [0.5], [0], "boxes of shape"),
        ([A], [0.5], [0, 1], "1 classes"),
    ],
)
def test_broken_detections_are_named(make, boxes, scores, classes, message):
    (frame,) = make.frames(1)
    found = Detections(np.array(boxes, float), np.array(scores), np.array(classes))
    with pytest.raises(DataError, match=message) as caught:
        evaluate([frame], [make.label(frame, A)], [found], CLASSES)
    assert "gold_0.jpg" in str(caught.value)


def test_input_that_does_not_fit_together_is_refused(make):
    frames = make.frames(2)
    nothing = [make.found(), make.found()]
    label = make.label(frames[0], A)
    for call, message in [
        (lambda: evaluate([], [], [], CLASSES), "no frame"),
        (lambda: evaluate(frames, [label], nothing[:1], CLASSES), "2 frames need as many"),
        (lambda: evaluate(frames[1:], [label], nothing[:1], CLASSES), "not among the 1 gold frames"),
        (lambda: evaluate([frames[0]] * 2, [label], nothing, CLASSES), "given once"),
        (lambda: evaluate(frames, [make.label(frames[0], A, "bus")], nothing, CLASSES), "'bus'"),
        (lambda: evaluate(frames, [label], nothing, ("person", "person")), "given once"),
        (lambda: evaluate(frames, [label], nothing, CLASSES, slices={"s": np.ones(3, bool)}), "slice s"),
        (lambda: evaluate(frames, [label], nothing, CLASSES, moving=np.ones(3, bool)), "moving"),
        (lambda: evaluate(frames, [label], nothing, CLASSES, ms_per_frame=float("nan")), "ms_per_frame"),
        (
            lambda: evaluate(
                frames, [make.label(frames[0], A, mask=make.box_mask(A, 20, 100))], nothing, CLASSES
            ),
            "100 x 20",
        ),
    ]:
        with pytest.raises(DataError, match=message):
            call()
    for bad in ({"score": 2.0}, {"recalls": (0.0,)}, {"max_detections": 0}, {"ignore_regions": (((0, 0),),)}):
        with pytest.raises(ConfigError):
            EvalSettings(**bad)


def test_headline_has_the_report_keys(one):
    result = one([(A, "person", {})], [(A, 0.9, 0), (FAR, 0.2, 0)], ms_per_frame=61.0)
    summary = headline(result, "person")
    assert summary == {
        "box_ap": 1.0,
        "box_ap50": 1.0,
        "box_ap75": 1.0,
        "precision_at_30": 1.0,
        "fppi": {"0.85": 0.0, "0.90": 0.0, "0.92": 0.0},
        "mask_ap": None,
        "ms_per_frame": 61.0,
    }
    with pytest.raises(DataError, match="bus"):
        headline(result, "bus")
    with pytest.raises(DataError, match=r"0\.5"):
        headline(one([(A, "person", {})], [], EvalSettings(score=0.5)), "person")


def test_site_yaml_decides_settings_and_slices(make):
    square = [(100.0, 60.0), (200.0, 60.0), (200.0, 160.0)]
    site = SiteConfig.model_validate(
        {
            "classes": list(CLASSES),
            "policy": {"ignore_regions": [square], "occluded": "ignore", "min_height": 9},
            "evaluation": {"score": 0.4, "recalls": [0.5]},
        }
    )
    rules = settings_from_site(site)
    assert rules == EvalSettings(0.4, (0.5,), 100, (tuple(square),), 9.0, 40.0, True)
    frames = make.frames(1)
    gold = [make.label(frames[0], A), make.label(frames[0], FAR, "car", occluded=True)]
    slices = [
        SliceConfig(name="cars", label="car"),
        SliceConfig(name="corner", region=[(0, 0), (60, 0), (60, 100)], max_height=61),
        SliceConfig(name="hidden", occluded=True),
        SliceConfig(name="standing", moving=False, min_height=50),
    ]
    masks = site_slices(slices, gold, np.array([1, 0]))
    assert {name: keep.tolist() for name, keep in masks.items()} == {
        "cars": [False, True],
        "corner": [False, False],
        "hidden": [False, True],
        "standing": [False, True],
    }
    with pytest.raises(DataError, match="moving"):
        site_slices(slices, gold)
