"""Compare detectors on one gold set: differences with intervals, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curate.annotations import Frame
from curate.errors import DataError
from curate.evaluation.alike import check_alike
from curate.evaluation.blockwise import BlockFigures, block_figures
from curate.evaluation.comparison import (
    FEW_BLOCKS,
    LOWER_IS_BETTER,
    Comparison,
    Difference,
    EvalInput,
    FrameChange,
    Side,
)
from curate.evaluation.gold import GoldArrays, gold_arrays
from curate.evaluation.interval import Draws, difference_interval, draw, run_weights, sign_flip_p
from curate.evaluation.scopes import ALL, Scope, Scopes
from curate.evaluation.scorer import Scorer, check_subsets, motion_flags, prepare
from curate.evaluation.settings import EvalSettings
from curate.evaluation.traffic import looks_per_hour
from curate.types import BoolArray, FloatArray, IntArray, Ring

__all__ = ["compare"]


def compare(
    before: Sequence[EvalInput],
    after: Sequence[EvalInput],
    blocks: IntArray,
    settings: EvalSettings | None = None,
    *,
    slices: Mapping[str, BoolArray] | None = None,
    places: Mapping[str, BoolArray] | None = None,
    lights: Mapping[str, BoolArray] | None = None,
    approaches: Mapping[str, Ring] | None = None,
    moving: IntArray | BoolArray | None = None,
    label: str | None = None,
    metric: str = "box_ap50",
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Difference of two sides, each one or several runs (training seeds), on the same gold.

    Args:
        before: Runs of the first side.
        after: Runs of the second side.
        blocks: (F,) time block of each frame of `before[0].frames`.
        settings: As for `evaluate`.
        slices: Name -> (G,) bool over `before[0].gold`.
        places: The same for places of the picture.
        lights: Name -> (F,) bool over `before[0].frames`, such as those that are dark.
        approaches: Name -> polygon in which things are counted.
        moving: (G,) over `before[0].gold`, as for `evaluate`.
        label: Class that the verdict speaks of; None: "person" if the gold set has one, else all classes.
        metric: Figure that the verdict speaks of.
        resamples: Bootstrap resamples.
        seed: Of the resampling; the same seed gives the same result.

    Raises:
        CompareError: A side is empty, or gold set, frames or classes of two runs differ.
        DataError: As `evaluate`.
    """
    settings = settings or EvalSettings()
    runs = [*before, *after]
    content = check_alike(before, after)
    first = runs[0]
    blocks = _dense_blocks(blocks, len(first.frames))
    if resamples < 100:
        raise DataError(f"a bootstrap needs at least 100 resamples, got {resamples}")
    truth = gold_arrays(first.frames, first.gold, first.classes, settings)
    scorers = [_scorer(run, first.frames, truth, settings) for run in runs]
    scopes = _scopes(first, {"slice": slices, "place": places}, moving, lights, approaches)
    masks = all(scorer.mask_pairs is not None for scorer in scorers)
    per_hour = looks_per_hour(first.frames)
    figures = [block_figures(scorer, scopes, blocks, masks=masks, per_hour=per_hour) for scorer in scorers]
    groups = (_seed_groups(before), _seed_groups(after))
    draws = draw(int(blocks.max()) + 1, *groups, resamples, seed)
    differences = _differences(figures, draws, groups, scorers[0], blocks, scopes, seed)
    wins, losses = _changes(first.frames, scorers, len(before))
    sides = (_side(before, groups[0]), _side(after, groups[1]))
    headline = _headline_scope(label, first.classes, differences)
    chosen = [
        entry for entry in differences if (entry.kind, entry.name) == headline and entry.metric == metric
    ]
    if not chosen:
        known = sorted({entry.metric for entry in differences})
        raise DataError(f"no figure {metric!r} for {headline[1] or 'all classes'}; there are {known}")
    return Comparison(
        gold_id=first.gold_id,
        gold_hash=content,
        classes=tuple(first.classes),
        settings=settings,
        before=sides[0],
        after=sides[1],
        frames=len(first.frames),
        blocks=int(blocks.max()) + 1,
        tracks=truth.count_tracks(scopes.members(scorers[0], ALL)),
        resamples=resamples,
        seed=seed,
        headline=chosen[0],
        verdict=chosen[0].verdict,
        differences=tuple(differences),
        wins=wins,
        losses=losses,
        notes=_notes(scorers, masks),
    )


def _dense_blocks(blocks: IntArray, frames: int) -> IntArray:
    blocks = np.asarray(blocks)
    if blocks.shape != (frames,) or not np.issubdtype(blocks.dtype, np.integer):
        raise DataError(
            f"{frames} frames need one whole block number each, got {blocks.dtype} {blocks.shape}"
        )
    return np.asarray(np.unique(blocks, return_inverse=True)[1], np.int64)


def _scorer(run: EvalInput, frames: Sequence[Frame], truth: GoldArrays, settings: EvalSettings) -> Scorer:
    if len(run.detections) != len(run.frames):
        raise DataError(
            f"{len(run.frames)} frames need as many detections, got {len(run.detections)}",
            item=f"run {run.label or run.seed}",
        )
    by_frame = {frame.id: item for frame, item in zip(run.frames, run.detections, strict=True)}
    return prepare(frames, truth, [by_frame[frame.id] for frame in frames], run.classes, settings)


def _scopes(
    first: EvalInput,
    objects: Mapping[str, Mapping[str, BoolArray] | None],
    moving: IntArray | BoolArray | None,
    lights: Mapping[str, BoolArray] | None,
    approaches: Mapping[str, Ring] | None,
) -> Scopes:
    motion = motion_flags(first.frames, first.gold, moving)
    chosen = {
        Scope(kind, name): keep
        for kind, subsets in objects.items()
        for name, keep in check_subsets(subsets, len(first.gold)).items()
    }
    for name, flag in (("moving", 1), ("parked", 0)):
        chosen[Scope("motion", name)] = np.asarray(motion == flag)
    frames = check_subsets(lights, len(first.frames), "frame")
    return Scopes(
        tuple(first.classes),
        chosen,
        {Scope("light", name): keep for name, keep in frames.items()},
        approaches or {},
    )


def _seed_groups(side: Sequence[EvalInput]) -> IntArray:
    """Runs of one training seed are one group; a run without a seed is its own."""
    keys: dict[tuple[str, int], int] = {}
    names = [("run", at) if run.seed is None else ("seed", run.seed) for at, run in enumerate(side)]
    return np.array([keys.setdefault(name, len(keys)) for name in names], np.int64)


def _differences(
    figures: Sequence[BlockFigures],
    draws: Draws,
    groups: tuple[IntArray, IntArray],
    scorer: Scorer,
    blocks: IntArray,
    scopes: Scopes,
    seed: int,
) -> list[Difference]:
    """Every scope and metric; `figures` are the runs of the first side, then of the second."""
    count, split = draws.blocks.shape[1], len(groups[0])
    # One pass for all weightings: the full set, each block alone (permutation), the resamples. With few
    # blocks most resamples are equal and computed once.
    weights = np.concatenate([np.ones((1, count)), np.eye(count), draws.blocks])
    unlike, back = np.unique(weights, axis=0, return_inverse=True)
    tables = [entry.under(unlike) for entry in figures]
    seeds = min(int(group.max()) + 1 for group in groups)
    result = []
    for scope in tables[0]:
        members = scopes.members(scorer, scope)
        where = scorer.gold.frame[members]
        objects = np.bincount(blocks[where], minlength=count).astype(float)
        for metric in tables[0][scope]:
            values = np.stack([table[scope][metric][back] for table in tables], axis=1)
            figure = _figure(values[:, :split], values[:, split:], draws, groups, objects, seed)
            if figure["value"] is None:
                figure["reason"] = _why_unknown(metric, figure, float(objects.sum()))
            result.append(
                Difference(
                    kind=scope.kind,
                    name=scope.name,
                    metric=metric,
                    **figure,
                    higher_is_better=not metric.startswith(LOWER_IS_BETTER),
                    few=seeds < 2 or int((objects > 0).sum()) < FEW_BLOCKS,
                    objects=int(objects.sum()),
                    tracks=scorer.gold.count_tracks(members),
                    frames=len(np.unique(where)),
                    blocks=int((objects > 0).sum()),
                )
            )
    return result


def _figure(
    before: FloatArray,
    after: FloatArray,
    draws: Draws,
    groups: tuple[IntArray, IntArray],
    objects: FloatArray,
    seed: int,
) -> dict[str, Any]:
    """Both means, their difference, its interval and p-value.

    Args:
        before: (1 + B + R, S): all blocks, each block alone, the resamples; one column per run.
        after: (1 + B + R, S').
        draws: The resamples.
        groups: Training-seed group of each run, per side.
        objects: (B,) objects of each block.
        seed: For random sign flips.
    """
    count = len(objects)
    old, new = before[: count + 1] @ run_weights(groups[0]), after[: count + 1] @ run_weights(groups[1])
    known = [float(value) if np.isfinite(value) else None for value in (old[0], new[0])]
    result: dict[str, Any] = {"before": known[0], "after": known[1]}
    if known[0] is None or known[1] is None:
        return {**result, "value": None, "low": None, "high": None, "p_value": None}
    interval = difference_interval(
        before[count + 1 :], after[count + 1 :], before[0], after[0], draws, groups
    )
    return {
        **result,
        "value": known[1] - known[0],
        "low": interval.low,
        "high": interval.high,
        "reason": interval.reason,
        "p_value": sign_flip_p((new - old)[1:], objects, seed),
    }


def _why_unknown(metric: str, figure: Mapping[str, Any], objects: float) -> str:
    if not objects:
        return "no gold object counts here"
    sides = " and ".join(f"`{side}`" for side in ("before", "after") if figure[side] is None)
    if metric.startswith("fppi"):
        return f"a run of {sides} does not reach the recall"
    return f"a run of {sides} has no detection at the score"


def _changes(
    frames: Sequence[Frame], scorers: Sequence[Scorer], split: int
) -> tuple[tuple[FrameChange, ...], tuple[FrameChange, ...]]:
    """Frames that got better and frames that got worse at the operating point, the largest change first."""
    errors = np.array([_frame_errors(scorer) for scorer in scorers])
    old, new = errors[:split].mean(axis=0), errors[split:].mean(axis=0)
    order = np.argsort(-np.abs(new - old), kind="stable").tolist()
    changes = [FrameChange(frames[at].id, frames[at].name, float(old[at]), float(new[at])) for at in order]
    wins = tuple(entry for entry in changes if entry.after < entry.before)
    return wins, tuple(entry for entry in changes if entry.after > entry.before)


def _frame_errors(scorer: Scorer) -> FloatArray:
    """(F,) false positives plus missed objects."""
    matches = scorer.matches(thresholds=np.array([0.5]))
    shown = scorer.detections.scores >= scorer.settings.score
    count, owner = scorer.gold.frames, scorer.detections.frame
    true = np.bincount(owner[matches.true[0] & shown], minlength=count)
    false = np.bincount(owner[matches.false[0] & shown], minlength=count)
    return np.asarray(false + np.bincount(scorer.gold.frame[matches.positives], minlength=count) - true)


def _side(side: Sequence[EvalInput], groups: IntArray) -> Side:
    times = [run.ms_per_frame for run in side if run.ms_per_frame is not None]
    memory = [run.memory_mb for run in side if run.memory_mb is not None]
    return Side(
        label=side[0].label,
        runs=len(side),
        seeds=int(groups.max()) + 1,
        ms_per_frame=float(np.mean(times)) if times else None,
        memory_mb=float(np.mean(memory)) if memory else None,
    )


def _headline_scope(
    label: str | None, classes: Sequence[str], differences: Sequence[Difference]
) -> tuple[str, str]:
    if label is not None:
        if label not in classes:
            raise DataError(f"the class {label!r} is not among {list(classes)}")
        return ("class", label)
    people = any(entry.kind == "class" and entry.name == "person" and entry.objects for entry in differences)
    return ("class", "person") if people else ("all", "")


def _notes(scorers: Sequence[Scorer], masks: bool) -> tuple[str, ...]:
    if masks:
        return ()
    reasons = sorted({scorer.mask_reason for scorer in scorers if scorer.mask_reason})
    return (f"Masks were not compared: {'; '.join(reasons)}.",)
