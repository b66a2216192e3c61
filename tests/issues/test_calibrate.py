"""Probabilities: from priors, from injected errors, from decisions; honest on rows that nobody learned from."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from curate.annotations import DecisionKind, IssueType
from curate.errors import DataError
from curate.geometry.boxes import box_iou
from curate.issues import (
    SPECS,
    Calibrators,
    FinderInputs,
    LabelEvidence,
    TrainingRows,
    decision_rows,
    expected_errors,
    find_issues,
    fit_calibrators,
    inject,
    injected_rows,
    prior_calibrators,
    reliability,
    score_evidence,
    verdict,
)
from curate.issues.inject import InjectedError
from curate.issues.scoring import gather

KIND = IssueType.SPURIOUS


def _rows(count, seed, *, bias=-3.0, strength=6.0, blocks=6):
    """Rows whose true log-odds are known: one column speaks, the others are noise."""
    rng = np.random.default_rng(seed)
    values = rng.random((count, len(SPECS[KIND].evidence)))
    chance = 1 / (1 + np.exp(-(bias + strength * (values[:, 0] - 0.3))))
    truth = (rng.random(count) < chance).astype(int)
    return TrainingRows(values, truth, rng.integers(blocks, size=count), np.full(count, -1), np.ones(count))


def test_reliable_on_held_out_rows():
    """Learned on decisions of one part, judged on another: the curve lies on the diagonal."""
    learned = fit_calibrators(None, {KIND: _rows(1500, 0)})
    held_out = _rows(4000, 1)
    after = reliability(learned.probabilities(KIND, held_out.values), held_out.truth)
    before = reliability(prior_calibrators().probabilities(KIND, held_out.values), held_out.truth)
    assert after.error < 0.04
    assert after.error < before.error
    assert after.brier < before.brier
    assert "1500 decided rows" in learned.model(KIND).reason


def test_injected_rate_gives_way_to_the_decided_one():
    """Injected errors are a third of the rows; decisions say that hardly anything is wrong here."""
    injected = _rows(600, 2, bias=-1.0)
    rare = _rows(200, 3, bias=-6.0)
    both = fit_calibrators({KIND: injected}, {KIND: rare})
    only = fit_calibrators({KIND: injected})
    test = _rows(4000, 4, bias=-6.0)
    assert only.probabilities(KIND, test.values).mean() > 0.15
    assert both.probabilities(KIND, test.values).mean() == pytest.approx(test.truth.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, "no injected errors and no decisions yet"),
        (_rows(0, 0), "no injected errors and no decisions yet"),
        (_rows(40, 0, bias=-40.0), "only 0 injected errors among 40 rows"),
    ],
)
def test_too_little_to_learn_is_the_prior_with_a_reason(rows, words):
    model = fit_calibrators({} if rows is None else {KIND: rows}).model(KIND)
    assert words in model.reason
    assert model.bias == SPECS[KIND].bias
    assert np.array_equal(model.weights, SPECS[KIND].weights)


def test_one_time_block_is_said():
    model = fit_calibrators({KIND: _rows(200, 0, blocks=1)}).model(KIND)
    assert "only one time block" in model.reason


def test_more_evidence_never_makes_an_error_less_likely():
    """Even rows that say the opposite cannot turn a weight negative."""
    rows = _rows(500, 0)
    upside_down = replace(rows, values=1 - rows.values)
    learned = fit_calibrators({KIND: upside_down}, {KIND: upside_down})
    assert (learned.model(KIND).weights >= 0).all()
    assert learned.model(KIND).slope > 0


def test_absent_evidence_takes_its_usual_value():
    hollow = np.full((1, len(SPECS[KIND].evidence)), np.nan)
    usual = SPECS[KIND].usual[None]
    for calibrators in (prior_calibrators(), fit_calibrators({KIND: _rows(300, 0)})):
        assert calibrators.probabilities(KIND, hollow) == pytest.approx(
            calibrators.probabilities(KIND, usual)
        )
    assert prior_calibrators().probabilities(KIND, hollow)[0] < 0.05


def test_a_clean_item_is_improbable_for_every_type_but_missing():
    for kind, spec in SPECS.items():
        if kind is not IssueType.MISSING:
            assert prior_calibrators().probabilities(kind, spec.usual[None])[0] < 0.05, kind


def test_json_and_back():
    learned = fit_calibrators({KIND: _rows(300, 0)}, {KIND: _rows(30, 1)})
    copy = Calibrators.from_dict(json.loads(json.dumps(learned.to_dict())))
    values = _rows(50, 2).values
    for kind in SPECS:
        assert copy.model(kind).reason == learned.model(kind).reason
    assert copy.probabilities(KIND, values) == pytest.approx(learned.probabilities(KIND, values))


@pytest.mark.parametrize(
    "data",
    [{}, {"format": 9, "types": {}}, {"format": 1, "types": {"nonsense": {}}}, {"format": 1, "types": 3}],
)
def test_broken_calibration_is_one_clear_error(data):
    with pytest.raises(DataError, match="calibration"):
        Calibrators.from_dict(data)


def _prior_is_wrong_about(column, count=600):
    """Injected rows whose prior evidence in one column never means an error, and rows that have only that."""
    rng = np.random.default_rng(5)
    rows = _rows(count, 5)
    values = rows.values * 0.3
    truth = (values[:, 0] > 0.2).astype(int)
    values[truth == 0, column] = rng.uniform(0.6, 1.0, int((truth == 0).sum()))
    doubted = np.tile(values[truth == 0].mean(0), (20, 1))
    doubted[:, [0, column]] = [0.0, 1.0]
    return replace(rows, values=values, truth=truth), doubted


def test_what_only_the_prior_doubts_comes_last_in_the_queue_but_comes():
    rows, doubted = _prior_is_wrong_about(SPECS[KIND].names.index("source_doubt"))
    learned = fit_calibrators({KIND: rows})
    model = replace(learned.model(KIND), behind=0.0)
    assert model.probabilities(doubted, SPECS[KIND]).max() < 0.05
    prior = prior_calibrators().probabilities(KIND, doubted)
    expected = np.minimum(prior / 2, 0.1)
    assert np.allclose(learned.probabilities(KIND, doubted), expected)
    assert expected.min() > 0.05
    # What practice itself finds likely stays as it is, and so does everything where nothing was practised.
    likely = model.probabilities(rows.values, SPECS[KIND])
    found = learned.probabilities(KIND, rows.values)
    assert np.array_equal(found[likely > 0.1], likely[likely > 0.1])
    assert fit_calibrators().model(KIND).behind == 0


@pytest.mark.parametrize(("truth", "least", "most"), [(0, 0.0, 0.06), (1, 0.15, 1.0)])
def test_decisions_say_what_the_second_opinion_is_worth(truth, least, most):
    rows, doubted = _prior_is_wrong_about(SPECS[KIND].names.index("source_doubt"))
    decided = TrainingRows(doubted, np.full(20, truth), np.zeros(20, int), np.full(20, -1), np.ones(20))
    learned = fit_calibrators({KIND: rows}, {KIND: decided}, {KIND: rows.values})
    assert least <= learned.probabilities(KIND, doubted).max() <= most
    again = Calibrators.from_dict(json.loads(json.dumps(learned.to_dict())))
    assert np.allclose(again.probabilities(KIND, doubted), learned.probabilities(KIND, doubted))


def test_what_is_common_on_the_site_is_read_off_its_own_rows():
    """Injected into a tenth, but a third of the site's rows are errors: nobody has said so, and yet it shows."""
    injected, many = _rows(1200, 2, bias=-3.5), _rows(6000, 3, bias=-3.5)
    kept = np.flatnonzero((many.truth > 0) | (np.arange(6000) % 8 == 0))
    site = replace(many, values=many.values[kept], truth=many.truth[kept])
    alone = fit_calibrators({KIND: injected}).probabilities(KIND, site.values)
    told = fit_calibrators({KIND: injected}, None, {KIND: site.values}).probabilities(KIND, site.values)
    off = [reliability(values, site.truth).error for values in (alone, told)]
    assert off[1] < off[0]
    assert told.mean() == pytest.approx(site.truth.mean(), abs=0.08)


def test_reliability_is_measured_on_blocks_that_nothing_learned_from():
    model = fit_calibrators({KIND: _rows(1200, 0)}).model(KIND)
    assert model.brier is not None
    assert model.calibration_error is not None
    assert 0 < model.brier < 0.2
    assert model.calibration_error < 0.08
    assert fit_calibrators({KIND: _rows(200, 0, blocks=1)}).model(KIND).brier is None


def test_hits_at_the_top_do_not_raise_the_bottom():
    """Only the top is ever decided: that it was right there says little about the rows below."""
    rows = _rows(3000, 5, bias=-4.0)
    prior = prior_calibrators().probabilities(KIND, rows.values)
    top = np.argsort(-prior)[:25]
    hits = TrainingRows(rows.values[top], np.ones(25, int), rows.blocks[top], np.full(25, -1), np.ones(25))
    learned = fit_calibrators(None, {KIND: hits}, {KIND: rows.values}).probabilities(KIND, rows.values)
    assert learned[top].mean() > prior[top].mean()
    bottom = np.argsort(-prior)[1500:]
    assert learned[bottom].mean() < 1.5 * prior[bottom].mean() + 0.01


def test_verdicts():
    assert verdict(KIND, DecisionKind.APPLY) is True
    assert verdict(KIND, DecisionKind.DELETE_LABEL) is True
    assert verdict(KIND, DecisionKind.KEEP) is False
    assert verdict(KIND, DecisionKind.EDIT) is False
    assert verdict(KIND, DecisionKind.SKIP) is None
    assert verdict(KIND, DecisionKind.EXCLUDE_FRAME) is None
    assert verdict(IssueType.BAD_FRAME, DecisionKind.EXCLUDE_FRAME) is True


def test_forecast():
    sure = expected_errors(np.ones(10))
    assert (sure.errors, sure.low, sure.high) == (10, 10, 10)
    rng = np.random.default_rng(0)
    chances = rng.random(200)
    inside = 0
    for _ in range(200):
        forecast = expected_errors(chances, 50)
        inside += forecast.low <= (rng.random(50) < chances[:50]).sum() <= forecast.high
    assert inside > 170
    assert expected_errors(np.array([0.5]), 50).items == 1
    # Promises of one camera err together: by half a unit of log-odds up or down the interval still holds.
    logits = np.log(chances[:50] / (1 - chances[:50]))
    for shift in (-0.5, 0.5):
        off = 1 / (1 + np.exp(-logits - shift))
        held = [(rng.random(50) < off).sum() for _ in range(200)]
        assert np.mean([forecast.low <= number <= forecast.high for number in held]) > 0.9
    assert expected_errors(np.zeros(0)).errors == 0
    assert str(expected_errors(np.full(50, 0.62))).startswith("the next 50 hold about 31 errors")


def _observed(kit, frames, labels, seed):
    """Evidence of given labels as a detector that knows the true world would give it."""
    rng = np.random.default_rng(seed)
    rows, seen = kit.world()
    truth = kit.build(rows, seen)
    true_boxes = np.asarray(truth.labels.boxes)
    count = len(labels)
    probs, refined, fore = np.zeros((count, 3)), np.array(labels.boxes), np.zeros(count)
    for row in range(count):
        here = np.flatnonzero(np.asarray(truth.labels.frames) == labels.frames[row])
        overlap = box_iou(labels.boxes[row], true_boxes[here])[0]
        best = here[int(overlap.argmax())]
        share = float(np.clip(overlap.max() * 1.3, 0, 1))
        probs[row, int(truth.labels.classes[best])] = 0.95 * share
        probs[row] += rng.random(3) * 0.05
        probs[row, 2] += 1 - 0.95 * share
        if overlap.max() > 0.2:
            refined[row] = true_boxes[best] + rng.normal(0, 1.5, 4)
        moving = truth.labels.classes[best] == 0
        fore[row] = (0.6 * share if moving else 0.0) + 0.05 * rng.random()
    evidence = LabelEvidence(
        class_probs=probs / probs.sum(1, keepdims=True), refined_boxes=refined, foreground=fore
    )
    return FinderInputs(frames, labels, truth.detections, evidence, truth.detection_evidence)


def test_learning_from_injected_errors_finds_other_injected_errors(kit):
    """Trained on one seed and rate, judged on another: errors stand first and probabilities hold."""
    clean = kit.build(*kit.world())
    many = dict.fromkeys((IssueType.MISSING, KIND, IssueType.BAD_LOCATION, IssueType.WRONG_CLASS), 0.06)
    lesson = inject(clean.frames, clean.labels, kit.classes, rates=many, seed=1)
    learned = fit_calibrators(
        injected_rows(_observed(kit, clean.frames, lesson.labels, 1), lesson.truth, kit.classes)
    )
    assert "injected rows" in learned.model(IssueType.BAD_LOCATION).reason
    rates = dict.fromkeys(many, 0.03)
    exam = inject(clean.frames, clean.labels, kit.classes, rates=rates, seed=99)
    inputs = _observed(kit, clean.frames, exam.labels, 99)
    issues = find_issues(inputs, kit.classes, calibrators=learned)
    wrong = {(error.annotation_id, error.type) for error in exam.truth if error.type is not IssueType.MISSING}
    lost = {error.frame_id for error in exam.truth if error.type is IssueType.MISSING}
    right = [
        (issue.annotation_id, issue.type) in wrong
        or (issue.type is IssueType.MISSING and issue.frame_id in lost)
        for issue in issues[: len(exam.truth)]
    ]
    assert np.mean(right) > 0.85
    rows = injected_rows(inputs, exam.truth, kit.classes)
    for kind in rates:
        table = rows[kind]
        assert reliability(learned.probabilities(kind, table.values), table.truth).error < 0.1, kind


def test_decisions_move_the_queue_and_nothing_else_has_to_be_computed(kit):
    rows, seen = kit.world()
    for frame in range(5, 45):
        rows.append(
            kit.row(frame, (40.0 * (frame % 9), 10, 40.0 * (frame % 9) + 20, 60), person=0.75, foreground=0.2)
        )
    evidence = gather(kit.build(rows, seen), kit.classes)
    block_of = {
        name: int(block)
        for name, block in zip(evidence.inputs.frames.ids, evidence.inputs.frames.blocks, strict=True)
    }
    before = score_evidence(evidence)
    issues = [issue for issue in find_issues(evidence.inputs, kit.classes) if issue.type is KIND][:15]
    assert issues
    kept = decision_rows([(issue, DecisionKind.KEEP) for issue in issues], block_of)
    deleted = decision_rows([(issue, DecisionKind.APPLY) for issue in issues], block_of)
    names = [evidence.inputs.labels.ids.index(issue.annotation_id) for issue in issues]

    def mean(calibrators):
        return score_evidence(evidence, calibrators).probabilities[KIND][names].mean()

    start = before.probabilities[KIND][names].mean()
    assert mean(fit_calibrators(None, kept)) < 0.6 * start
    assert mean(fit_calibrators(None, deleted)) > start


def test_sixty_rows_of_one_look_do_not_count_like_sixty_looks(kit):
    alone, grouped = _rows(60, 0), _rows(60, 0)
    none = np.zeros(60, int)
    alone = replace(alone, truth=none)
    grouped = replace(grouped, truth=none, groups=none)
    values = _rows(200, 1).values
    prior = prior_calibrators().probabilities(KIND, values).mean()
    many = fit_calibrators(None, {KIND: alone}).probabilities(KIND, values).mean()
    one = fit_calibrators(None, {KIND: grouped}).probabilities(KIND, values).mean()
    assert many < one < prior


def test_lessons_do_not_teach_trust_in_a_detector_that_confirms_fixtures(kit):
    """The judge of injected boxes never learned them; the queue must still doubt a tripod that a judge learned."""
    clean = kit.build(*kit.world())
    lesson = inject(clean.frames, clean.labels, kit.classes, rates={KIND: 0.3}, seed=1)
    rows = injected_rows(_observed(kit, clean.frames, lesson.labels, 1), lesson.truth, kit.classes)
    names = SPECS[KIND].names
    hits = rows[KIND].values[rows[KIND].truth == 1]
    confirmed = hits[:, names.index("background")] < 0.2
    assert confirmed.any()
    assert (hits[confirmed, names.index("low_foreground")] > 0.5).all()
    learned = fit_calibrators(rows)
    world, seen = kit.world()
    for frame in range(2, 58):
        world.append(kit.row(frame, (300, 30, 322, 70), person=0.9, foreground=0.01, size_z=3.0))
        seen.append(kit.seen(frame, (300, 30, 322, 70), score=0.9, foreground=0.01))
    issues = find_issues(kit.build(world, seen), kit.classes, calibrators=learned)
    assert issues[0].type is KIND
    assert issues[0].group_id is not None


def test_masks_that_looked_wrong_before_anything_was_injected_weigh_less_and_are_not_left_out(kit):
    """Boxes that looked wrong are left out: most of them are. Of such masks many are right, behind something."""
    rows, seen = kit.world()
    rows, seen = rows[:100], [item for item in seen if item.frame < 20]
    true = [kit.ellipse(row.box) for row in rows]
    drawn = list(true)
    wrong = np.isin(np.arange(len(rows)), (10, 30, 50))
    for at in np.flatnonzero(wrong):
        x1, y1, x2, y2 = rows[at].box
        drawn[at] = kit.ellipse((x1, y1, x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2))
    inputs = kit.build(rows, seen, 20)
    inputs = replace(
        inputs,
        labels=replace(inputs.labels, masks=tuple(drawn)),
        label_evidence=replace(
            inputs.label_evidence,
            predicted_masks=tuple(true),
            redrawn_masks=tuple(true),
            edge_gain=np.where(wrong, -0.3, 0.1),
            mask_left=np.where(wrong, 0.6, 0.0),
        ),
    )
    name, frame = inputs.labels.ids[10], inputs.frames.ids[rows[10].frame]
    one = InjectedError(IssueType.INACCURATE_MASK, "mask_clip", name, frame, rows[10].box, 0, true[10], 10)
    found = injected_rows(inputs, [one], kit.classes)[IssueType.INACCURATE_MASK]
    assert len(found) == len(rows)
    assert found.truth.sum() == 1
    assert found.weight[found.truth == 1].tolist() == [1]
    assert sorted(found.weight[found.weight < 1].tolist()) == [0.3, 0.3]
