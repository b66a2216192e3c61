"""Whether runs may be compared: the same frames, gold labels and classes, or an error that says why."""

from __future__ import annotations

from collections.abc import Sequence

from curate.annotations import Annotation
from curate.errors import CompareError
from curate.evaluation.comparison import EvalInput
from curate.evaluation.gold import gold_hash

__all__ = ["check_alike"]


def check_alike(before: Sequence[EvalInput], after: Sequence[EvalInput]) -> str:
    """Content hash of the gold set that all runs share.

    What decides is the content of the labels; names of gold sets only appear in the message.

    Raises:
        CompareError: A side is empty, or frames, gold labels or classes of two runs differ.
    """
    for side, name in ((before, "before"), (after, "after")):
        if not side:
            raise CompareError(f"the side {name!r} has no run", hint="train at least one run a side")
    first = before[0]
    content = gold_hash(first.frames, first.gold)
    for run in [*before, *after]:
        item = f"run {run.label or run.seed}"
        if tuple(run.classes) != tuple(first.classes):
            raise CompareError(f"the classes are {list(run.classes)}, not {list(first.classes)}", item=item)
        mine, theirs = {frame.id for frame in first.frames}, {frame.id for frame in run.frames}
        if mine != theirs:
            example = sorted(mine ^ theirs)[0]
            raise CompareError(
                f"the gold frames differ: {len(mine - theirs)} are missing, {len(theirs - mine)} are extra, "
                f"such as {example}",
                item=item,
                hint="evaluate both runs on the same gold set",
            )
        if gold_hash(run.frames, run.gold) != content:
            raise CompareError(
                f"the gold labels differ: {_label_difference(first, run)}",
                item=item,
                hint="evaluate both runs on the same revision of the gold set",
            )
        if run.gold_hash and run.gold_hash != content:
            raise CompareError(
                f"it was scored on the gold set {run.gold_id!r} {run.gold_hash[:12]}, not on {content[:12]}",
                item=item,
                hint="evaluate both runs on the same revision of the gold set",
            )
    return content


def _label_difference(first: EvalInput, run: EvalInput) -> str:
    def rows(side: EvalInput) -> dict[str, str]:
        frames: dict[str, list[Annotation]] = {frame.id: [] for frame in side.frames}
        for entry in side.gold:
            frames.setdefault(entry.frame_id, []).append(entry)
        return {key: gold_hash([], entries) for key, entries in frames.items()}

    mine, theirs = rows(first), rows(run)
    unlike = sorted(key for key in mine if mine[key] != theirs.get(key))
    names = {frame.id: frame.name for frame in first.frames}
    where = (
        f"{len(unlike)} frames are labelled otherwise, such as {names[unlike[0]]}"
        if unlike
        else "frame sizes"
    )
    return f"{len(run.gold)} labels against {len(first.gold)}; {where}"
