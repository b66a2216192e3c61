"""What came of a run of the fault suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.bench.faults_steps import STEPS

__all__ = ["FaultBench", "summary"]


@dataclass(frozen=True)
class FaultBench:
    """What came of it.

    Attributes:
        faults: Rounds in the ledger.
        counts: "step/fault" -> rounds.
        struck: Rounds in which the fault hit while the step was at work.
        acknowledged: Decisions that were said to be saved.
        lost: Of them not in the database.
        doubled: Of them there more than once.
        broken: Rounds after which `curate db check` was not clean.
        unclear: Rounds in which a command ended with a traceback.
        stuck: Rounds after which the same command did not go on.
        unnoticed: Damaged files that the check did not name.
        markdown: The table for docs/reliability.md.
    """

    faults: int
    counts: dict[str, int]
    struck: int
    acknowledged: int
    lost: int
    doubled: int
    broken: int
    unclear: int
    stuck: int
    unnoticed: int
    markdown: str

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, broken, unclear, stuck or unnoticed."""
        return not (self.lost or self.doubled or self.broken or self.unclear or self.stuck or self.unnoticed)


def summary(ledger: Sequence[Mapping[str, Any]]) -> FaultBench:
    """What a ledger of rounds amounts to."""
    counts = Counter(f"{entry['step']}/{entry['fault']}" for entry in ledger)
    last = ledger[-1] if ledger else {"acknowledged": 0}
    kinds = sorted({entry["fault"] for entry in ledger})
    lines = [
        "| step | " + " | ".join(kinds) + " | all |",
        "|---|" + "---:|" * (len(kinds) + 1),
    ]
    for step in STEPS:
        cells = [str(counts.get(f"{step}/{kind}", 0)) for kind in kinds]
        total = sum(entry["step"] == step for entry in ledger)
        lines.append(f"| {step} | " + " | ".join(cells) + f" | {total} |")
    return FaultBench(
        faults=len(ledger),
        counts=dict(counts),
        struck=sum(bool(entry.get("struck")) for entry in ledger),
        acknowledged=last["acknowledged"],
        lost=sum(len(entry["lost"]) for entry in ledger),
        doubled=sum(len(entry["doubled"]) for entry in ledger),
        broken=sum(bool(entry["findings"]) for entry in ledger),
        unclear=sum(not entry["clear"] for entry in ledger),
        stuck=sum(entry["again"] != 0 for entry in ledger),
        unnoticed=sum(entry.get("noticed") is False for entry in ledger),
        markdown="\n".join(lines),
    )
