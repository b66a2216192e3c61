"""From evidence to P(error), per type: prior first, then injected errors, then real decisions.

Each type has a classifier whose weights start at the documented prior of `curate.issues.spec` (see
`curate.issues.model`). Injected errors move it: rows are cross-fitted by time block, and the line that turns
log-odds into probabilities is fitted on blocks that the weights did not see. Real decisions count several
times as much as injected rows, and the line is fitted on them again, because errors that nobody injected come
in other numbers than injected ones. A type without rows keeps its prior and says so.

Calibrators are plain numbers: `to_dict` / `from_dict` go through JSON, nothing is pickled. The rows can be kept
too (`TrainingRows.to_arrays`), so that a batch of decisions refits everything in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curate.annotations import IssueType
from curate.errors import DataError
from curate.issues.model import fit_line, fit_weights, sigmoid
from curate.issues.rows import TrainingRows
from curate.issues.spec import SPECS
from curate.types import FloatArray, IntArray

__all__ = ["Calibrators", "TypeModel", "fit_calibrators", "prior_calibrators"]

_FORMAT = 1
# Injected rows together are worth at most so many real ones: they are plenty, but not the real thing.
_INJECTED_WORTH = 150.0
_DECISION_WORTH = 3.0
_ENOUGH = 8
_PARTS = 4


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
    """

    bias: float
    weights: FloatArray
    slope: float = 1.0
    offset: float = 0.0
    injected: int = 0
    decisions: int = 0
    reason: str = "documented prior: nothing learned yet"

    def logits(self, values: FloatArray, usual: FloatArray) -> FloatArray:
        """(N,) calibrated log-odds of evidence (N, K); NaN takes the usual value of its column."""
        return self.slope * self.raw(values, usual) + self.offset

    def raw(self, values: FloatArray, usual: FloatArray) -> FloatArray:
        """(N,) log-odds before the calibrating line."""
        filled = np.where(np.isfinite(values), values, usual)
        return np.asarray(self.bias + filled @ self.weights)


@dataclass(frozen=True)
class Calibrators:
    """One classifier per type.

    Attributes:
        models: The classifiers.
    """

    models: Mapping[IssueType, TypeModel] = field(default_factory=dict)

    def probabilities(self, kind: IssueType, values: FloatArray) -> FloatArray:
        """(N,) P(error of this type) of evidence (N, K)."""
        return sigmoid(self.model(kind).logits(values, SPECS[kind].usual))

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
    numbers = (float(entry[name]) for name in ("bias", "slope", "offset"))
    bias, slope, offset = numbers
    if not np.isfinite([bias, slope, offset, *weights]).all():
        raise ValueError("numbers must be finite")
    return TypeModel(
        bias, weights, slope, offset, int(entry["injected"]), int(entry["decisions"]), str(entry["reason"])
    )


def prior_calibrators() -> Calibrators:
    """The documented priors, for a site on which nothing was learned yet."""
    return Calibrators({kind: TypeModel(spec.bias, spec.weights) for kind, spec in SPECS.items()})


def fit_calibrators(
    injected: Mapping[IssueType, TrainingRows] | None = None,
    decisions: Mapping[IssueType, TrainingRows] | None = None,
) -> Calibrators:
    """Learn every type from injected errors and real decisions.

    Args:
        injected: Rows per type from `curate.issues.rows.injected_rows`.
        decisions: Rows per type from `curate.issues.rows.decision_rows`.

    Returns:
        A classifier for every type; one without usable rows is the prior, with the reason.
    """
    nothing: Mapping[IssueType, TrainingRows] = {}
    return Calibrators(
        {
            kind: _fit(kind, (injected or nothing).get(kind), (decisions or nothing).get(kind))
            for kind in SPECS
        }
    )


def _fit(kind: IssueType, injected: TrainingRows | None, decisions: TrainingRows | None) -> TypeModel:
    spec = SPECS[kind]
    rows, reasons = [], []
    for name, table, enough in (("injected", injected, _ENOUGH), ("decided", decisions, 1)):
        if table is None or not len(table):
            continue
        hits = int((table.truth > 0).sum())
        # Injected rows of one kind only would teach the rate of injection and nothing else. Decisions of one
        # kind do teach: ten "keep" in a row mean that the queue cries wolf.
        if name == "injected" and (hits < enough or len(table) - hits < enough):
            reasons.append(f"only {hits} injected errors among {len(table)} rows: too few to learn from")
            continue
        rows.append((name, table))
    if not rows:
        why = reasons[0] if reasons else "no injected errors and no decisions yet"
        return TypeModel(spec.bias, spec.weights, reason=f"documented prior: {why}")
    values = np.concatenate([table.values for _, table in rows])
    values = np.where(np.isfinite(values), values, spec.usual)
    truth = np.concatenate([table.truth for _, table in rows]).astype(float)
    weight = np.concatenate([_worth(name, table) for name, table in rows])
    blocks = np.concatenate([table.blocks for _, table in rows])
    real = np.concatenate([np.full(len(table), name == "decided") for name, table in rows])
    bias, weights = fit_weights(values, truth, weight, spec.bias, spec.weights)
    logits = _out_of_block(values, truth, weight, blocks, spec.bias, spec.weights)
    slope, offset = 1.0, 0.0
    if (~real).any():
        slope, offset = fit_line(logits[~real], truth[~real], weight[~real])
    if real.any():
        second = fit_line(slope * logits[real] + offset, truth[real], weight[real] / _DECISION_WORTH)
        slope, offset = second[0] * slope, second[0] * offset + second[1]
    counts = {name: len(table) for name, table in rows}
    said = " and ".join(f"{count} {name} rows" for name, count in counts.items())
    reason = f"learned from {said}, cross-fitted by time block"
    if len(np.unique(blocks)) < 2:
        reason = f"learned from {said}; only one time block, so the calibrating line saw its own rows"
    return TypeModel(
        bias, weights, slope, offset, counts.get("injected", 0), counts.get("decided", 0), reason
    )


def _worth(name: str, table: TrainingRows) -> FloatArray:
    """(N,) how many real, independent rows each row is worth.

    Injected: all of them together at most `_INJECTED_WORTH`. Decided: three each, but the rows of one group
    (one look) together only the square root of their number: they are the same picture again.
    """
    if name == "injected":
        return np.asarray(table.weight * min(1.0, _INJECTED_WORTH / len(table)))
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
    _, block = np.unique(blocks, return_inverse=True)
    part = block.ravel() % min(_PARTS, int(block.max()) + 1)
    logits = np.zeros(len(values))
    for number in np.unique(part):
        inside = part == number
        fit_on = ~inside if (~inside).any() else inside
        found = fit_weights(values[fit_on], truth[fit_on], weight[fit_on], bias, weights)
        logits[inside] = found[0] + values[inside] @ found[1]
    return logits
