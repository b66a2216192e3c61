"""What an import does about bad items: stop at the first, leave them out and tell, or put them aside by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from curate.errors import FormatError

__all__ = ["BadItem", "ImportReport", "OnError", "Problem"]

OnError = Literal["fail", "skip", "quarantine"]
"""The one policy of all importers."""
_KEPT = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong.

    Attributes:
        kind: Machine-readable kind ("box_outside", "unknown_category", ...).
        item: Which item of the file ("annotation 17").
        message: What was expected and what came.
        skipped: Whether the item was left out; else it was put right (clipped, repaired) and kept.
    """

    kind: str
    item: str
    message: str
    skipped: bool


class BadItem(Exception):
    """Raised and caught inside the readers: this item cannot be used."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint


@dataclass
class ImportReport:
    """Collects what was wrong with the items of a file, and decides what becomes of bad ones.

    Attributes:
        on_error: "fail" raises a `FormatError` at the first bad item; "skip" leaves bad items out;
            "quarantine" also keeps each of them in `aside`, to be noted in the project.
        file: The file, for messages. The readers set it.
        skipped: Items left out.
        repaired: Items put right and kept (reported under both policies).
        by_kind: Kind of problem -> how many.
        problems: The first 20.
        aside: Every bad item, under "quarantine".
    """

    on_error: OnError = "fail"
    file: str = ""
    skipped: int = 0
    repaired: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    aside: list[Problem] = field(default_factory=list)

    def reject(self, item: str, bad: BadItem) -> None:
        """Leave an item out, or stop.

        Raises:
            FormatError: Under the policy "fail".
        """
        if self.on_error == "fail":
            hint = bad.hint or "put it right, or leave such items out with --on-error skip"
            raise FormatError(bad.message, file=self.file or None, item=item, hint=hint) from bad
        if self.on_error == "quarantine":
            self.aside.append(Problem(bad.kind, item, bad.message, skipped=True))
        self.leave_out(item, bad.kind, bad.message)

    def leave_out(self, item: str, kind: str, message: str) -> None:
        """Tell of an item that is not wrong but has no place here; under both policies it is left out."""
        self.skipped += 1
        self._add(Problem(kind, item, message, skipped=True))

    def note(self, item: str, kind: str, message: str) -> None:
        """Tell of an item that was put right and kept."""
        self.repaired += 1
        self._add(Problem(kind, item, message, skipped=False))

    def lines(self) -> list[str]:
        """The report for a person; empty when nothing was wrong."""
        if not self.by_kind:
            return []
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.by_kind.items()))
        head = f"{self.skipped} items left out, {self.repaired} put right ({kinds})"
        rest = sum(self.by_kind.values()) - len(self.problems)
        body = [
            f"{problem.item}: {problem.message} [{'left out' if problem.skipped else 'put right'}]"
            for problem in self.problems
        ]
        return [head, *body, *([f"and {rest} more"] if rest else [])]

    def _add(self, problem: Problem) -> None:
        self.by_kind[problem.kind] += 1
        if len(self.problems) < _KEPT:
            self.problems.append(problem)
