"""Intervals and p-values for a difference of two sides: the same gold set, different training seeds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import stats

from curate.types import FloatArray, IntArray

__all__ = ["Draws", "Interval", "difference_interval", "draw", "run_weights", "sign_flip_p"]

_MOST_UNDEFINED = 0.05
_EXACT_BLOCKS = 13


@dataclass(frozen=True)
class Draws:
    """R resamples.

    Attributes:
        blocks: (R, B) how often each time block was drawn; the same for both sides, which pairs them.
        before: (R, S) share of each run of the first side; rows sum to 1.
        after: (R, S') the same for the second side, drawn on its own.
    """

    blocks: FloatArray
    before: FloatArray
    after: FloatArray


@dataclass(frozen=True)
class Interval:
    """95 % interval of a difference; None with the reason when there is none."""

    low: float | None
    high: float | None
    reason: str = ""


def draw(blocks: int, before: IntArray, after: IntArray, resamples: int, seed: int) -> Draws:
    """Draw blocks and training seeds with replacement.

    Args:
        blocks: B.
        before: (S,) group of each run of the first side; runs of one training seed share a group and are
            drawn together, since they are not independent.
        after: (S',) the same for the second side.
        resamples: R.
        seed: Makes the draws repeatable.
    """
    random = np.random.default_rng(seed)
    counts = random.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples).astype(float)

    def shares(groups: IntArray) -> FloatArray:
        number = int(groups.max()) + 1
        drawn = random.multinomial(number, np.full(number, 1 / number), size=resamples)
        return np.asarray(drawn[:, groups] * run_weights(groups))

    return Draws(counts, shares(before), shares(after))


def run_weights(groups: IntArray) -> FloatArray:
    """(S,) share of each run when all groups weigh the same; sums to 1."""
    sizes = np.bincount(groups)
    return np.asarray(1.0 / (sizes[groups] * len(sizes)))


def _mean(values: FloatArray, shares: FloatArray) -> FloatArray:
    """(R,) mean over runs; a run that was not drawn may be undefined."""
    return np.asarray(np.where(shares > 0, values * shares, 0.0).sum(axis=1))


def difference_interval(
    before: FloatArray,
    after: FloatArray,
    full_before: FloatArray,
    full_after: FloatArray,
    draws: Draws,
    groups: tuple[IntArray, IntArray],
    level: float = 0.95,
) -> Interval:
    """Interval of mean(after) - mean(before): bootstrap percentiles, widened for few blocks and few seeds.

    Plain percentiles are too narrow for small samples: the resamples' variance lacks a factor n / (n - 1),
    and a normal quantile stands where Student's t belongs (Hesterberg, "What Teachers Should Know About
    the Bootstrap", 2015, expanded percentiles). With three sources (seeds of each side, blocks) the degrees
    of freedom follow Welch-Satterthwaite.

    Args:
        before: (R, S) the figure of each run under the drawn blocks, NaN where undefined.
        after: (R, S').
        full_before: (S,) the figure of each run on all blocks.
        full_after: (S',).
        draws: The resamples.
        groups: Group of each run, per side, as for `draw`.
        level: Coverage.
    """
    blocks = draws.blocks.shape[1]
    if blocks < 2:
        return Interval(None, None, "one block of time: how blocks differ cannot be known")
    deltas = _mean(after, draws.after) - _mean(before, draws.before)
    known = np.isfinite(deltas)
    if (~known).mean() > _MOST_UNDEFINED:
        return Interval(None, None, f"undefined in {(~known).mean():.0%} of the resamples")
    deltas = deltas[known]
    between = after @ run_weights(groups[1]) - before @ run_weights(groups[0])
    between = between[np.isfinite(between)]
    block_variance = float(between.var()) * blocks / (blocks - 1) if len(between) else 0.0
    parts = [(block_variance, blocks - 1)]
    for values, group in ((full_before, groups[0]), (full_after, groups[1])):
        number = int(group.max()) + 1
        if number > 1:
            means = np.bincount(group, values) / np.bincount(group)
            parts.append((float(means.var(ddof=1)) / number, number - 1))
    total = sum(variance for variance, _ in parts)
    spread = float(deltas.std())
    if total <= 0 or spread <= 0:
        return Interval(float(deltas.min()), float(deltas.max()))
    freedom = total**2 / sum(variance**2 / n for variance, n in parts)
    # Never narrower than the plain percentiles.
    factor = max(1.0, float(np.sqrt(total)) / spread)
    tail = float(stats.norm.cdf(stats.t.ppf((1 - level) / 2, freedom) * factor))
    low, high = np.quantile(deltas, [tail, 1 - tail])
    return Interval(float(low), float(high))


def sign_flip_p(deltas: FloatArray, weights: FloatArray, seed: int, flips: int = 10_000) -> float | None:
    """Two-sided permutation p-value of a weighted mean of per-block differences being 0.

    The runs are taken as they are: a small p says that they differ beyond the choice of footage, not that
    retraining with other seeds would show the same. If neither side is better, each block's difference may
    as well have the other sign. All sign patterns are tried up to 13 blocks, else `flips` random ones (the
    observed one counted in). It cannot fall below 2 / 2^blocks: six blocks are the fewest that reach .05.

    Args:
        deltas: (B,) difference of each block; NaN where a block says nothing.
        weights: (B,) weight of each block, >= 0.
        seed: For the random patterns.
        flips: Number of random patterns.

    Returns:
        None with fewer than two blocks that say something.
    """
    keep = np.isfinite(deltas) & (weights > 0)
    values = (deltas * weights)[keep]
    if len(values) < 2:
        return None
    observed = abs(values.sum()) - 1e-12
    if len(values) <= _EXACT_BLOCKS:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
        return float((np.abs(signs @ values) >= observed).mean())
    random = np.random.default_rng(seed)
    signs = random.choice(np.array([-1.0, 1.0]), size=(flips, len(values)))
    return float((1 + (np.abs(signs @ values) >= observed).sum()) / (flips + 1))
