"""Decisions as JSON lines: one decision a line, oldest first, masks included."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from curate.annotations import Decision
from curate.errors import CurateError, DataError, FormatError, ProjectError
from curate.review.decide import decide
from curate.store import Store
from curate.store.serialize import decision_from_dict, decision_to_dict

__all__ = ["ApplyReport", "FailedLine", "apply_decisions", "export_decisions"]

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class FailedLine:
    """A decision that could not be carried out."""

    line: int
    decision_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What applying a file did: decisions carried out, known before, and failed."""

    applied: int
    repeated: int
    failed: tuple[FailedLine, ...] = ()


def export_decisions(store: Store, file: Path) -> int:
    """Write all decisions, undos included, in the order they came.

    Args:
        store: The store.
        file: Replaced at once when everything is written.

    Returns:
        Number of decisions.

    Raises:
        ProjectError: The file cannot be written.
    """
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    count, after = 0, None
    try:
        with partial.open("w", encoding="utf-8") as stream:
            while page := store.decisions(limit=_PAGE, after=after, oldest_first=True):
                for record in page:
                    stream.write(json.dumps(decision_to_dict(record.decision), ensure_ascii=False) + "\n")
                count, after = count + len(page), page[-1].sequence
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except OSError as error:
        raise ProjectError(f"the decisions cannot be written: {error.strerror}", file=file) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def apply_decisions(
    store: Store,
    file: Path,
    *,
    keep_going: bool = False,
    classes: Sequence[str] | None = None,
    source: str | None = None,
) -> ApplyReport:
    """Carry out a file of decisions; those that the store knows are passed over.

    Args:
        store: The store.
        file: JSON lines, as `export_decisions` writes them; empty lines do not count.
        keep_going: Carry out what can be and report the rest, instead of all or nothing.
        classes: See `decide`.
        source: See `decide`.

    Raises:
        DataError: The file cannot be read.
        FormatError: A line is broken; nothing is applied.
        ConflictError: A decision cannot be carried out; nothing is applied. The message names the line. So do
            NotFoundError and DataError; none of them comes with `keep_going`.
    """
    lines = _parse(file)
    applied = repeated = 0
    failed: list[FailedLine] = []
    with nullcontext() if keep_going else store.begin():
        for number, decision in lines:
            try:
                outcome = decide(store, decision, classes=classes, source=source)
            except CurateError as error:
                if not keep_going:
                    _raise_with_line(error, file, number)
                failed.append(FailedLine(number, decision.id, str(error)))
            else:
                applied += not outcome.repeated
                repeated += outcome.repeated
    return ApplyReport(applied, repeated, tuple(failed))


def _raise_with_line(error: CurateError, file: Path, number: int) -> NoReturn:
    error.file = str(file)
    error.item = f"line {number}, {error.item}" if error.item else f"line {number}"
    raise error


def _parse(file: Path) -> list[tuple[int, Decision]]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"the decisions cannot be read: {error.strerror}", file=file) from error
    except UnicodeDecodeError as error:
        raise FormatError("expected UTF-8 text", file=file, item=f"byte {error.start}") from error
    result = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                result.append((number, decision_from_dict(json.loads(line, parse_constant=_no_constant))))
            except json.JSONDecodeError as error:
                raise FormatError(f"not JSON: {error.msg}", file=file, item=f"line {number}") from error
            except FormatError as error:
                _raise_with_line(error, file, number)
            except RecursionError as error:
                raise FormatError("nested too deeply", file=file, item=f"line {number}") from error
    return result


def _no_constant(name: str) -> Any:
    raise FormatError(f"{name} is not a JSON number")
