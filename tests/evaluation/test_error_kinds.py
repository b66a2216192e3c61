"""What repairing each kind of error would bring: cases whose gain can be worked out by hand.

AP50 is read at 101 recalls: with one of two objects found at precision 1, 51 of them are reached.
"""

from __future__ import annotations

import dataclasses

import pytest

from curate.evaluation import EvalResult, EvalSettings, evaluate, evaluation_markdown

CLASSES = ("person", "car")
A, B, FAR = (10, 10, 40, 70), (60, 10, 90, 70), (120, 80, 150, 140)
B_SHIFTED = (60, 40, 90, 100)  # IoU 1/3 with B.
HALF = 50 / 101
PERSON, CAR = 0, 1
TWO = [(A, "person"), (B, "person")]


def gains(make, gold, found, label=None, settings=None):
    """Kinds with a gain, of one class or of the mean."""
    result = one(make, gold, found, settings)
    entry = result.gains if label is None else result.per_class[label].gains
    return {name: pytest.approx(value) for name, value in dataclasses.asdict(entry).items() if value}


def one(make, gold, found, settings=None):
    (frame,) = make.frames(1)
    labels = [make.label(frame, box, name, **(flags[0] if flags else {})) for box, name, *flags in gold]
    boxes, scores, classes = zip(*found, strict=True) if found else ((), (), ())
    return evaluate([frame], labels, [make.found(boxes, scores, list(classes))], CLASSES, settings)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([(A, 0.9, PERSON), (B, 0.8, PERSON)], {}, id="nothing to repair"),
        pytest.param(
            [(A, 0.9, PERSON)], {"missed": HALF, "false_negative": HALF}, id="one of two objects is missed"
        ),
        pytest.param(
            # Precision 2/3 from the second object on.
            [(A, 0.9, PERSON), (A, 0.8, PERSON), (B, 0.7, PERSON)],
            {"duplicate": HALF / 3, "false_positive": HALF / 3},
            id="a duplicate between two hits",
        ),
        pytest.param(
            [(A, 0.9, PERSON), (FAR, 0.8, PERSON), (B, 0.7, PERSON)],
            {"background": HALF / 3, "false_positive": HALF / 3},
            id="a false alarm between two hits",
        ),
        pytest.param(
            # Repaired it is a hit; not counted as missed, since something points at the object.
            [(A, 0.9, PERSON), (B_SHIFTED, 0.8, PERSON)],
            {"localisation": HALF, "false_negative": HALF},
            id="a loose box",
        ),
        pytest.param(
            # The object is found anyway: the loose box is dropped, not made a second hit.
            [(A, 0.9, PERSON), (B_SHIFTED, 0.8, PERSON), (B, 0.7, PERSON)],
            {"localisation": HALF / 3, "false_positive": HALF / 3},
            id="a loose box beside a hit",
        ),
        pytest.param(
            # Of two loose boxes on one object the better-scored one becomes the hit.
            [(B_SHIFTED, 0.9, PERSON), (A, 0.8, PERSON), ((60, 45, 90, 105), 0.7, PERSON)],
            {
                "localisation": 1 - 0.5 * 51 / 101,
                "false_positive": 0.5 * 51 / 101,
                "false_negative": HALF / 2,
            },
            id="two loose boxes on one object",
        ),
        pytest.param([], {"missed": 1.0, "false_negative": 1.0}, id="nothing detected at all"),
    ],
)
def test_one_class(make, found, expected):
    assert gains(make, TWO, found, "person") == expected


def test_a_wrong_class_costs_both_classes(make):
    gold, found = [(A, "person"), (B, "car")], [(A, 0.9, CAR), (B, 0.8, CAR)]
    assert gains(make, gold, found, "person") == {"classification": 1.0, "false_negative": 1.0}
    assert gains(make, gold, found, "car") == {"classification": 0.5, "false_positive": 0.5}
    assert gains(make, gold, found) == {
        "classification": 0.75,
        "false_positive": 0.25,
        "false_negative": 0.5,
    }


def test_wrong_class_and_place_at_once_is_dropped(make):
    gold, found = [(A, "person"), (B, "car")], [(B_SHIFTED, 0.9, PERSON), (A, 0.8, PERSON)]
    assert gains(make, gold, found, "person") == {"both": 0.5, "false_positive": 0.5}
    assert gains(make, gold, found, "car") == {"missed": 1.0, "false_negative": 1.0}


def test_an_object_goes_to_the_best_scored_error_whatever_its_kind(make):
    """A better-scored detection of the wrong class has it: repairing the loose box alone only drops it."""
    gold = [(A, "person"), (B, "person"), (FAR, "car")]
    found = [(A, 0.9, PERSON), (FAR, 0.9, CAR), (B, 0.8, CAR), (B_SHIFTED, 0.7, PERSON)]
    assert gains(make, gold, found, "person") == {"classification": HALF, "false_negative": HALF}


def test_what_is_ignored_costs_nothing_and_low_scores_count(make):
    gold = [*TWO, (FAR, "person", {"ignore": True})]
    assert gains(make, gold, [(A, 0.9, 0), (FAR, 0.8, 0), (B, 0.7, 0)]) == {}
    # Below the operating score there is no error to count, but AP knows it.
    low = one(make, TWO, [(A, 0.25, 0), (FAR, 0.2, 0), (B, 0.1, 0)], EvalSettings(score=0.3))
    assert low.errors.background == 0
    assert low.gains.background == pytest.approx(HALF / 3)


def test_without_objects_there_is_nothing_to_gain(make):
    result = one(make, [], [(A, 0.9, 0)])
    assert result.gains is None
    assert result.per_class["person"].gains is None
    only = one(make, TWO, [(A, 0.9, 0)])
    assert only.per_class["car"].gains is None
    assert only.gains == only.per_class["person"].gains


def test_repairing_everything_of_a_side_gains_at_least_as_much_as_a_part(make):
    for seed in range(6):
        scene = make.scene(seed)
        result = evaluate(scene.frames, scene.gold, scene.found, CLASSES)
        entry = result.gains
        parts = (entry.both, entry.duplicate, entry.background)
        assert max(parts) <= entry.false_positive + 1e-9
        assert entry.missed <= entry.false_negative + 1e-9
        assert result.box.ap50 + entry.false_positive <= 1 + 1e-9


def test_the_report_shows_them_and_older_results_do_without(make):
    result = one(make, TWO, [(A, 0.9, PERSON), (B_SHIFTED, 0.8, PERSON)])
    text = evaluation_markdown(result)
    assert "AP50 that repairing one kind of error alone would gain" in text
    assert "| person | 0.000 | 0.495 | 0.000 |" in text
    stored = result.to_dict()
    del stored["gains"]
    for entry in stored["per_class"].values():
        del entry["gains"]
    older = EvalResult.from_dict(stored)
    assert older.gains is None
    assert "repairing" not in evaluation_markdown(older)
