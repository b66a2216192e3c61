"""From evidence to P(error), per type: prior first, then injected errors, then real decisions.

Each type has a classifier whose weights start at the documented prior of `curate.issues.spec` (see
`curate.issues.model`). Injected errors move it: rows are cross-fitted by time block, and the line that turns
log-odds into probabilities is fitted on blocks that the weights did not see. Errors that nobody injected come in
other numbers than injected ones: their share among the site's own rows is estimated without knowing which they are
(expectation maximisation; Saerens, Latinne and Decaestecker 2002) and the log-odds are shifted by it. Real decisions
then move weights and bias again. A type without rows keeps its prior and says so.

What practice finds unlikely the prior may still hold to be an error, and among errors that nobody injected it is often
right. So half of the prior's opinion, one in ten at most, stays behind the practised one: such items come late in the
queue instead of not at all. Decisions on them say how much of that promise holds.

Calibrators are plain numbers: `to_dict` / `from_dict` go through JSON, nothing is pickled. The rows can be kept
too (`TrainingRows.to_arrays`), so that a batch of decisions refits everything in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from curate.annotations import IssueType
from curate.errors import DataError
from curate.issues.forecast import Reliability, reliability
from curate.issues.model import fit_line, fit_weights, sigmoid
from curate.issues.rows import TrainingRows
from curate.issues.spec import SPECS, TypeSpec
from curate.types import FloatArray, IntArray

__all__ = ["Calibrators", "TypeModel", "fit_calibrators", "learn_decisions", "prior_calibrators"]

_FORMAT = 1
_DECISION_WORTH = 1.0
_UNDECIDED_WORTH = 15.0
_MOST_UNDECIDED = 2000
_ENOUGH = 8
_PARTS = 4
_SHIFT = (0.0, 2.5)
# Two opinions with an equal say, of which the practised one knows the site.
_SECOND_OPINION = 0.5
_AT_MOST = 0.1
_PROMISE_WORTH = 2.0


@dataclass(frozen=True)
class TypeModel:
    """The classifier of one type.

    Attributes:
        bias: Log-odds without any evidence.
        weights: (K,) in the order of the type's spec.
        slope: Of the line that calibrates the log-odds.
        offset: Of that line.
        injected: Rows of injected errors (and their innocent neighbours) that it learned from.
        decisions: Rows of real decisions that it learned from.
        reason: How the probabilities came about, for a person to read.
        brier: Mean squared error on blocks of time that neither weights nor line saw; None when not measured.
        calibration_error: Likewise, mean distance of predicted and observed rate over ten bins.
        behind: How much of what the prior promises behind practice holds; 0 where nothing was practised.
    """

    bias: float
    weights: FloatArray
    slope: float = 1.0
    offset: float = 0.0
    injected: int = 0
    decisions: int = 0
    reason: str = "documented prior: nothing learned yet"
    brier: float | None = None
    calibration_error: float | None = None
    behind: float = 0.0

    def probabilities(self, values: FloatArray, spec: TypeSpec) -> FloatArray:
        """(N,) P(error): the learned opinion, with the prior's behind it."""
        learned = sigmoid(self.logits(values, spec.usual))
        return np.maximum(learned, self.promised(values, spec)) if self.behind > 0 else learned

    def promised(self, values: FloatArray, spec: TypeSpec) -> FloatArray:
        """(N,) the least P(error) that the documented prior leaves of evidence (N, K)."""
        prior = sigmoid(TypeModel(spec.bias, spec.weights).raw(values, spec.usual))
        return np.asarray(np.minimum(self.behind * np.minimum(_SECOND_OPINION * prior, _AT_MOST), 1.0))

    def logits(self, values: FloatArray, usual: FloatArray) -> FloatArray:
        """(N,) calibrated log-odds of evidence (N, K); NaN takes the usual value of its column."""
        return self.slope * self.raw(values, usual) + self.offset

    def raw(self, values: FloatArray, usual: FloatArray) -> FloatArray:
        """(N,) log-odds before the calibrating line."""
        total = np.full(len(values), float(self.bias))
        for column, stand_in, weight in zip(values.T, usual, self.weights, strict=True):
            total += weight * np.where(np.isfinite(column), column, stand_in)
        return total


@dataclass(frozen=True)
class Calibrators:
    """One classifier per type.

    Attributes:
        models: The classifiers.
    """

    models: Mapping[IssueType, TypeModel] = field(default_factory=dict)

    def probabilities(self, kind: IssueType, values: FloatArray) -> FloatArray:
        """(N,) P(error of this type) of evidence (N, K)."""
        return self.model(kind).probabilities(values, SPECS[kind])

    def model(self, kind: IssueType) -> TypeModel:
        """The classifier of a type; the prior where none was learned."""
        spec = SPECS[kind]
        return self.models.get(kind) or TypeModel(spec.bias, spec.weights)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {
            "format": _FORMAT,
            "types": {
                kind.value: {
                    "bias": model.bias,
                    "weights": dict(zip(SPECS[kind].names, model.weights.tolist(), strict=True)),
                    "slope": model.slope,
                    "offset": model.offset,
                    "injected": model.injected,
                    "decisions": model.decisions,
                    "reason": model.reason,
                    "brier": model.brier,
                    "calibration_error": model.calibration_error,
                    "behind": model.behind,
                }
                for kind, model in self.models.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibrators:
        """The other way.

        Evidence that a newer program has added starts at its prior weight; evidence that it no longer knows
        is dropped.

        Raises:
            DataError: This is not what `to_dict` wrote.
        """
        try:
            if data["format"] != _FORMAT:
                raise DataError(f"calibration format {_FORMAT} expected, got {data['format']!r}")
            models = {IssueType(name): _read(IssueType(name), entry) for name, entry in data["types"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"a stored calibration cannot be read: {error!r}", hint="scan again to make a new one"
            ) from error
        return cls(models)


def _read(kind: IssueType, entry: Mapping[str, Any]) -> TypeModel:
    weights = np.array([float(entry["weights"].get(item.name, item.weight)) for item in SPECS[kind].evidence])
    bias, slope, offset = (float(entry[name]) for name in ("bias", "slope", "offset"))
    behind = float(entry.get("behind", 0.0))
    if not np.isfinite([bias, slope, offset, behind, *weights]).all():
        raise ValueError("numbers must be finite")
    measured = (entry.get(name) for name in ("brier", "calibration_error"))
    brier, error = (None if value is None else float(value) for value in measured)
    return TypeModel(
        bias, weights, slope, offset, int(entry["injected"]), int(entry["decisions"]), str(entry["reason"]),
        brier, error, behind,
    )  # fmt: skip


def prior_calibrators() -> Calibrators:
    """The documented priors, for a site on which nothing was learned yet."""
    return Calibrators({kind: TypeModel(spec.bias, spec.weights) for kind, spec in SPECS.items()})


def fit_calibrators(
    injected: Mapping[IssueType, TrainingRows] | None = None,
    decisions: Mapping[IssueType, TrainingRows] | None = None,
    population: Mapping[IssueType, FloatArray] | None = None,
) -> Calibrators:
    """Learn every type from injected errors and real decisions.

    Args:
        injected: Rows per type from `curate.issues.rows.injected_rows`.
        decisions: Rows per type from `curate.issues.rows.decision_rows`.
        population: Evidence (N, K) per type of the site's own rows to which the type applies: how common
            errors are is read off it. None: as common as injected.

    Returns:
        A classifier for every type; one without usable rows is the prior, with the reason.
    """
    rows, found = injected or {}, population or {}
    practised = {kind: _practised(kind, rows.get(kind), found.get(kind)) for kind in SPECS}
    return learn_decisions(Calibrators(practised), decisions or {}, found)


def learn_decisions(
    practised: Calibrators,
    decisions: Mapping[IssueType, TrainingRows],
    population: Mapping[IssueType, FloatArray] | None = None,
) -> Calibrators:
    """Move classifiers by real decisions: milliseconds, so that every batch of decisions can re-rank the queue.

    Args:
        practised: Learned without decisions.
        decisions: All rows decided so far, per type; a type without any stays as it is.
        population: Evidence (N, K) per type of undecided rows.
    """
    undecided = population or {}
    return Calibrators(
        {
            kind: _decided(kind, practised.model(kind), decisions[kind], undecided.get(kind))
            if kind in decisions and len(decisions[kind])
            else practised.model(kind)
            for kind in SPECS
        }
    )


def _practised(kind: IssueType, rows: TrainingRows | None, population: FloatArray | None) -> TypeModel:
    """The classifier before any decision: the documented prior, moved by injected errors where there are enough."""
    spec = SPECS[kind]
    if rows is None or not len(rows):
        why = "no injected errors and no decisions yet"
        return TypeModel(spec.bias, spec.weights, reason=f"documented prior: {why}")
    hits = int((rows.truth > 0).sum())
    # Rows of one kind only would teach the rate of injection and nothing else.
    if hits < _ENOUGH or len(rows) - hits < _ENOUGH:
        why = f"only {hits} injected errors among {len(rows)} rows: too few to learn from"
        return TypeModel(spec.bias, spec.weights, reason=f"documented prior: {why}")
    values = np.where(np.isfinite(rows.values), rows.values, spec.usual)
    truth = rows.truth.astype(float)
    weight = np.asarray(rows.weight, float)
    bias, weights = fit_weights(values, truth, weight, spec.bias, spec.weights)
    logits = _out_of_block(values, truth, weight, rows.blocks, spec.bias, spec.weights)
    slope, offset = fit_line(logits, truth, weight)
    if population is not None and len(population):
        filled = np.where(np.isfinite(population), population, spec.usual)
        offset += prevalence_shift(slope * (bias + filled @ weights) + offset, float(truth.mean()))
    measured = _measure(logits, truth, weight, rows.blocks)
    how = "cross-fitted by time block"
    if measured is None:
        how = "only one time block, so the calibrating line saw its own rows"
    return TypeModel(
        bias, weights, slope, offset, injected=len(rows),
        reason=f"learned from {len(rows)} injected rows, {how}",
        brier=None if measured is None else measured.brier,
        calibration_error=None if measured is None else measured.error,
        behind=1.0,
    )  # fmt: skip


def _decided(
    kind: IssueType, model: TypeModel, rows: TrainingRows, population: FloatArray | None
) -> TypeModel:
    """The classifier moved by decisions.

    Maximum a posteriori again, pulled to the weights so far. Only the top of the queue is ever decided; that what is
    down there is right, too, is said by the undecided rows: each keeps what the classifier has said about it as a
    soft truth, together worth at most `_UNDECIDED_WORTH` errors. Without them ten hits at the top would raise
    everything.
    """
    spec = SPECS[kind]
    bias, weights = model.slope * model.bias + model.offset, model.slope * model.weights
    values = np.where(np.isfinite(rows.values), rows.values, spec.usual)
    truth, weight = rows.truth.astype(float), _worth(rows)
    if population is not None and len(population):
        some = population[
            np.linspace(0, len(population) - 1, min(len(population), _MOST_UNDECIDED)).astype(int)
        ]
        some = np.where(np.isfinite(some), some, spec.usual)
        soft = sigmoid(bias + some @ weights)
        each = min(len(population) / 2, _UNDECIDED_WORTH / max(float(soft.mean()), 1e-6)) / len(some)
        values, truth = np.concatenate([values, some]), np.concatenate([truth, soft])
        weight = np.concatenate([weight, np.full(len(some), each)])
    new_bias, new_weights = fit_weights(values, truth, weight, bias, weights)
    said = [f"{model.injected} injected rows"] if model.injected else []
    moved = replace(model, bias=new_bias, weights=new_weights, slope=1.0, offset=0.0)
    return replace(
        moved, behind=_kept_promise(moved, rows, spec), decisions=len(rows),
        reason=f"learned from {' and '.join([*said, f'{len(rows)} decided rows'])}",
    )  # fmt: skip


def _kept_promise(model: TypeModel, rows: TrainingRows, spec: TypeSpec) -> float:
    """How much of the prior's promise holds, by the decided rows on which it is more than what was learned.

    Errors held to errors promised, drawn to 1 as if two more had been promised and held (a Poisson rate with a
    gamma prior).
    """
    if model.behind <= 0:
        return 0.0
    promised, weight = model.promised(rows.values, spec), _worth(rows)
    alone = promised > sigmoid(model.logits(rows.values, spec.usual))
    held = float((weight * rows.truth)[alone].sum())
    return model.behind * (_PROMISE_WORTH + held) / (_PROMISE_WORTH + float((weight * promised)[alone].sum()))


def prevalence_shift(logits: FloatArray, share: float) -> float:
    """By how much log-odds must be shifted so that they fit the share of errors among these rows.

    Expectation maximisation of the class prior (Saerens, Latinne and Decaestecker 2002), at most 50 rounds. Only
    upwards, to at most twelve times the odds: real errors are subtler than injected ones, so that few plain ones do not
    mean that there are few, and a classifier that fits the rows badly must not run away.

    Args:
        logits: (N,) log-odds, calibrated at `share`, of rows of which nobody knows the truth.
        share: Share of errors among the rows that the log-odds were calibrated on, in (0, 1).
    """
    share = float(np.clip(share, 1e-4, 1 - 1e-4))
    base = float(np.log(share / (1 - share)))
    shift = 0.0
    for _ in range(50):
        found = float(np.clip(sigmoid(logits + shift).mean(), 1e-6, 1 - 1e-6))
        new = float(np.clip(np.log(found / (1 - found)) - base, *_SHIFT))
        if abs(new - shift) < 1e-4:
            break
        shift = new
    return shift


def _measure(
    logits: FloatArray, truth: FloatArray, weight: FloatArray, blocks: IntArray
) -> Reliability | None:
    """Reliability on blocks that neither the weights nor the line saw; None with a single block."""
    part = _parts(blocks)
    if int(part.max(initial=0)) == 0:
        return None
    probability = np.zeros(len(logits))
    for number in np.unique(part):
        inside = part == number
        slope, offset = fit_line(logits[~inside], truth[~inside], weight[~inside])
        probability[inside] = sigmoid(slope * logits[inside] + offset)
    return reliability(probability, truth.astype(np.int64))


def _worth(table: TrainingRows) -> FloatArray:
    """(N,) how many independent rows each decided row is worth.

    The rows of one group (one look) together count the square root of their number: they are the same picture again.
    """
    _, group, size = np.unique(table.groups, return_inverse=True, return_counts=True)
    share = 1 / np.sqrt(size[group.ravel()])
    return np.asarray(table.weight * np.where(table.groups >= 0, share, 1.0) * _DECISION_WORTH)


def _out_of_block(
    values: FloatArray,
    truth: FloatArray,
    weight: FloatArray,
    blocks: IntArray,
    bias: float,
    weights: FloatArray,
) -> FloatArray:
    """(N,) log-odds of each row from a classifier that saw no row of its time block."""
    part = _parts(blocks)
    logits = np.zeros(len(values))
    for number in np.unique(part):
        inside = part == number
        fit_on = ~inside if (~inside).any() else inside
        found = fit_weights(values[fit_on], truth[fit_on], weight[fit_on], bias, weights)
        logits[inside] = found[0] + values[inside] @ found[1]
    return logits


def _parts(blocks: IntArray) -> IntArray:
    """(N,) part of each row; the rows of a block of time are never torn apart."""
    _, block = np.unique(blocks, return_inverse=True)
    return np.asarray(block.ravel() % min(_PARTS, int(block.max(initial=0)) + 1))
