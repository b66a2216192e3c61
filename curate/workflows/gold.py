"""The frozen test set: pick separated blocks of time, label them, freeze; revise when a label proves wrong."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, replace

import numpy as np

from curate.annotations import GOLD_SOURCE, Annotation, Frame
from curate.errors import ConflictError, DataError, NotFoundError
from curate.splits import near_in_time, pick_gold_blocks, time_blocks
from curate.store import GoldSet, GoldState, Role
from curate.workflows.coverage import covered_frames
from curate.workflows.project import Project

__all__ = [
    "GOLD_SOURCE",
    "GoldContent",
    "create_gold",
    "freeze_gold",
    "frozen_gold",
    "gold_content",
    "revise_gold",
]

_NAME = "gold"


@dataclass(frozen=True)
class GoldContent:
    """A gold set with what it holds.

    Attributes:
        gold: The stored set.
        frames: In order of clip and time.
        annotations: The frozen revisions, or the current labels of a draft.
    """

    gold: GoldSet
    frames: tuple[Frame, ...]
    annotations: tuple[Annotation, ...]


def create_gold(
    project: Project, *, share: float | None = None, frame_ids: list[str] | None = None
) -> GoldSet:
    """Set test frames aside as a draft: whole blocks of time, and a gap around them that nothing trains on.

    Args:
        project: The project.
        share: Share of the blocks; `split.gold_share` when None.
        frame_ids: Take exactly these frames instead.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        ConflictError: There is a gold set already.
        DataError: Too little footage.
    """
    project.expect_role(Role.REVIEWER)
    existing = project.store.gold_sets()
    if existing:
        raise ConflictError(
            f"there is a gold set already ({existing[-1].state.value})",
            item=existing[-1].id,
            hint="`curate gold revise` changes it; a new one would make old comparisons meaningless",
        )
    frames = project.store.frames(include_excluded=False)
    if not frames:
        raise DataError("there are no frames to choose from", hint="run `curate ingest` first")
    times = np.array([frame.captured_at for frame in frames])
    clips = [frame.clip for frame in frames]
    split = project.config.split
    if frame_ids is None:
        blocks = time_blocks(times, clips, split.block_seconds)
        members = pick_gold_blocks(blocks, split.gold_share if share is None else share)
    else:
        wanted = set(frame_ids)
        members = np.array([frame.id in wanted for frame in frames])
    gap = near_in_time(times, clips, members, split.gap_seconds) & ~members
    manifest = {
        "frames": [frame.id for frame, inside in zip(frames, members, strict=True) if inside],
        "gap_frames": [frame.id for frame, inside in zip(frames, gap, strict=True) if inside],
    }
    gold = GoldSet(id=f"gold-{uuid.uuid4().hex[:8]}", name=_NAME, manifest=manifest)
    return project.store.put_gold_set(gold)


def freeze_gold(project: Project, *, allow_empty: bool = False) -> GoldSet:
    """Freeze the newest draft: from now on its labels are these revisions, whatever happens to them later.

    Args:
        project: The project.
        allow_empty: Frames without a label are empty indeed. Else one that nobody has labelled is an error: every
            right detection on it would count as a false alarm.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        NotFoundError: There is no draft.
        DataError: No frame of it has a label, or some have none.
    """
    project.expect_role(Role.REVIEWER)
    drafts = [gold for gold in project.store.gold_sets() if gold.state is GoldState.DRAFT]
    if not drafts:
        raise NotFoundError("there is no draft gold set", hint="`curate gold create` or `curate gold revise`")
    content = gold_content(project, drafts[-1])
    if not content.annotations:
        raise DataError(
            f"none of the {len(content.frames)} gold frames has a label",
            item=drafts[-1].id,
            hint="label them in the app (Frames, filter: gold) or `curate import coco FILE --source gold`",
        )
    covered = covered_frames(project, GOLD_SOURCE)
    bare = [frame.name for frame in content.frames if frame.id not in covered]
    if bare and not allow_empty:
        raise DataError(
            f"{len(bare)} of {len(content.frames)} gold frames have no label, such as {bare[0]}",
            item=drafts[-1].id,
            hint="label them; if they are empty indeed, `curate gold freeze --allow-empty`",
        )
    labels = {annotation.id: annotation.revision for annotation in content.annotations}
    manifest = {**content.gold.manifest, "labels": labels}
    digest = hashlib.sha256(
        json.dumps(
            [manifest["frames"], sorted(labels.items()), list(project.config.classes)], separators=(",", ":")
        ).encode()
    ).hexdigest()
    frozen = replace(content.gold, state=GoldState.FROZEN, content_hash=digest, manifest=manifest)
    return project.store.put_gold_set(frozen)


def revise_gold(project: Project) -> GoldSet:
    """Open a new revision of the frozen set as a draft; freeze it again when its labels are right.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        NotFoundError: Nothing is frozen yet.
        ConflictError: A draft is open already.
    """
    project.expect_role(Role.REVIEWER)
    newest = project.store.gold_sets()[-1:]
    if not newest:
        raise NotFoundError("there is no gold set to revise", hint="`curate gold create`")
    gold = newest[0]
    if gold.state is GoldState.DRAFT:
        raise ConflictError(
            "a draft is open already", item=gold.id, hint="freeze it with `curate gold freeze`"
        )
    manifest = {key: value for key, value in gold.manifest.items() if key != "labels"}
    draft = GoldSet(
        id=f"gold-{uuid.uuid4().hex[:8]}", name=gold.name, revision=gold.revision + 1, manifest=manifest
    )
    return project.store.put_gold_set(draft)


def frozen_gold(project: Project) -> GoldContent | None:
    """The newest frozen set, or None."""
    frozen = [gold for gold in project.store.gold_sets() if gold.state is GoldState.FROZEN]
    return gold_content(project, frozen[-1]) if frozen else None


def gold_content(project: Project, gold: GoldSet) -> GoldContent:
    """Frames and labels of a set; of a frozen one exactly the revisions that were frozen."""
    frames = project.store.frames(ids=list(gold.manifest["frames"]))
    if gold.state is GoldState.FROZEN:
        gone = project.store.tombstones("label")
        wanted = {key: number for key, number in gold.manifest["labels"].items() if key not in gone}
        annotations = project.store.exact_revisions(wanted)
    else:
        annotations = project.store.annotations(source=GOLD_SOURCE, frame_ids=list(gold.manifest["frames"]))
    return GoldContent(gold, tuple(frames), tuple(annotations))
