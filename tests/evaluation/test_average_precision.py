"""Our own AP and faster-coco-eval agree, and both follow the rule about what counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.evaluation.coco import coco_figures
from curate.evaluation.curves import average_precision, block_curve, false_per_frame
from curate.evaluation.operating import false_at_recalls
from curate.evaluation.scorer import prepare
from curate.evaluation.settings import EvalSettings

REGION = ((0.0, 0.0), (70.0, 0.0), (70.0, 70.0), (0.0, 70.0))


def _own(scorer, label, subset=None, masks=False, blocks=None, weights=None):
    found, gold = scorer.detections, scorer.gold
    matches = scorer.matches(subset=subset, masks=masks)
    mine = found.label == label
    blocks = np.zeros(gold.frames, int) if blocks is None else blocks
    weights = np.ones((1, blocks.max() + 1)) if weights is None else weights
    own = gold.frame[matches.positives & (gold.label == label)]
    positives = np.bincount(blocks[own], minlength=weights.shape[1]).astype(float)
    where = blocks[found.frame[mine]]
    curves = [
        block_curve(found.scores[mine], matches.true[t][mine], matches.false[t][mine], where, positives)
        for t in range(10)
    ]
    return np.array([average_precision(curve, weights) for curve in curves])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), ties=st.booleans(), region=st.booleans(), part=st.booleans())
def test_equals_faster_coco_eval_with_crowds_ignored_regions_and_slices(make, seed, ties, region, part):
    scene = make.scene(seed, ties=ties)
    rules = EvalSettings(ignore_regions=(REGION,) if region else (), min_height=8.0)
    scorer = prepare(scene.frames, scene.gold, scene.found, scene.classes, rules)
    subset = np.random.default_rng(seed).random(len(scene.gold)) < 0.5 if part else None
    theirs = coco_figures(scorer.gold, scorer.detections, scorer.absorb, 2, rules, subset=subset)
    for label in range(2):
        own = _own(scorer, label, subset)[:, 0]
        np.testing.assert_allclose(own, theirs.ap[:, label, 0], atol=1e-6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_masks_equal_faster_coco_eval(make, seed):
    scene = make.scene(seed, masks=True, frames=6)
    rules = EvalSettings()
    scorer = prepare(scene.frames, scene.gold, scene.found, scene.classes, rules)
    if scorer.mask_pairs is None:
        return
    theirs = coco_figures(scorer.gold, scorer.detections, scorer.mask_absorb, 2, rules, masks=True)
    for label in range(2):
        np.testing.assert_allclose(_own(scorer, label, masks=True)[:, 0], theirs.ap[:, label, 0], atol=1e-6)


@pytest.mark.parametrize("limit", [1, 3])
def test_equals_faster_coco_eval_when_detections_are_cut(make, limit):
    scene = make.scene(3)
    rules = EvalSettings(max_detections=limit)
    scorer = prepare(scene.frames, scene.gold, scene.found, scene.classes, rules)
    theirs = coco_figures(scorer.gold, scorer.detections, scorer.absorb, 2, rules)
    np.testing.assert_allclose(_own(scorer, 0)[:, 0], theirs.ap[:, 0, 0], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_weighted_block_is_the_block_so_many_times(make, seed):
    # Scores without ties: the copies of a block could else stand in another order than the weighted one.
    scene = make.scene(seed, ties=False)
    rules = EvalSettings()
    times = np.array([2, 0, 1, 3])
    blocks = np.arange(12) // 3
    weighted = _own(
        prepare(scene.frames, scene.gold, scene.found, scene.classes, rules),
        0,
        blocks=blocks,
        weights=times[None].astype(float),
    )[:, 0]
    rows = [i for i in range(12) for _ in range(times[blocks[i]])]
    frames = make.frames(len(rows))
    gold = [
        make.label(
            frame,
            entry.bbox_xyxy,
            entry.label,
            iscrowd=entry.iscrowd,
            ignore=entry.ignore,
            difficult=entry.difficult,
        )
        for frame, row in zip(frames, rows, strict=True)
        for entry in scene.gold
        if entry.frame_id == scene.frames[row].id
    ]
    repeated = prepare(frames, gold, [scene.found[row] for row in rows], scene.classes, rules)
    theirs = coco_figures(repeated.gold, repeated.detections, repeated.absorb, 2, rules)
    np.testing.assert_allclose(weighted, theirs.ap[:, 0, 0], atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_false_positives_per_frame_agree_between_point_and_bootstrap(make, seed):
    scene = make.scene(seed)
    scorer = prepare(scene.frames, scene.gold, scene.found, scene.classes, EvalSettings())
    found, gold, matches = scorer.detections, scorer.gold, scorer.matches()
    true, false = matches.true[0], matches.false[0]
    positives = int(matches.positives.sum())
    blocks = np.arange(12) // 4
    per_block = np.bincount(blocks[gold.frame[matches.positives]], minlength=3).astype(float)
    curve = block_curve(found.scores, true, false, blocks[found.frame], per_block, whole_ties=True)
    recalls = (0.2, 0.5, 0.8, 0.99)
    many = false_per_frame(curve, np.ones((1, 3)), recalls, np.full(3, 4.0))[0]
    single = false_at_recalls(found.scores, true, false, positives, 12, recalls)
    np.testing.assert_allclose(many, [np.nan if row.per_frame is None else row.per_frame for row in single])
