"""What came of a run of the fault suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from curate.bench.faults_steps import STEPS
from curate.store import Store, schema
from curate.store.serialize import decision_to_dict

__all__ = ["FaultBench", "compare_decisions", "summary"]


@dataclass(frozen=True)
class FaultBench:
    """What came of it.

    Attributes:
        faults: Rounds in the ledger.
        counts: "step/fault" -> rounds.
        struck: Rounds in which the fault hit while the step was at work.
        acknowledged: Decisions that were said to be saved.
        lost: Of them not in the database as they were sent, or without all of their label revisions.
        doubled: Decisions there with more revisions than they have, or that nobody sent.
        halves: Imports that were there in part, more than once, or not at all although they had ended well.
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
    halves: int
    broken: int
    unclear: int
    stuck: int
    unnoticed: int
    markdown: str

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, halved, broken, unclear, stuck or unnoticed."""
        wrong = (self.lost, self.doubled, self.halves, self.broken, self.unclear, self.stuck, self.unnoticed)
        return not any(wrong)


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
        halves=sum(len(entry.get("halves", ())) for entry in ledger),
        broken=sum(bool(entry["findings"]) for entry in ledger),
        unclear=sum(not entry["clear"] for entry in ledger),
        stuck=sum(entry["again"] != 0 for entry in ledger),
        unnoticed=sum(entry.get("noticed") is False for entry in ledger),
        markdown="\n".join(lines),
    )


def compare_decisions(
    store: Store, told: Set[str], sent: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str] | int]:
    """What the database says about the decisions of the outboxes.

    Args:
        store: The store.
        told: Ids of the acknowledged ones.
        sent: Id -> decision as it was sent.

    Returns:
        "lost" and "doubled", see `FaultBench`; "stored", a number.
    """
    column = schema.annotation_revisions.c.decision_id
    query = sa.select(column, sa.func.count()).where(column.is_not(None)).group_by(column)
    with store.begin() as connection:
        written = {str(decision_id): int(number) for decision_id, number in connection.execute(query)}
        stored: set[str] = set()
        lost, doubled = [], []
        after: int | None = None
        while page := store.decisions(limit=1000, after=after, oldest_first=True):
            for record in page:
                name, number = record.decision.id, len(record.effects.labels)
                stored.add(name)
                # The store adds the time, and which decision an undo undoes.
                is_now = decision_to_dict(record.decision)
                same = all(is_now.get(key) == value for key, value in sent.get(name, {}).items())
                if name in told and (written.get(name, 0) < number or not same):
                    lost.append(name)
                if written.get(name, 0) > number or name not in sent:
                    doubled.append(name)
            after = page[-1].sequence
    return {"lost": sorted({*lost, *(told - stored)}), "doubled": sorted(doubled), "stored": len(stored)}
