"""Which frames a label source has looked at. A frame without labels is empty only if somebody looked."""

from __future__ import annotations

from collections.abc import Iterable

from curate.store import Artifact
from curate.workflows.project import Project

__all__ = ["covered_frames", "looked_at", "mark_covered", "unmark_covered"]


def _stage(source: str) -> str:
    return f"covered/{source}"


def mark_covered(project: Project, source: str, frame_ids: Iterable[str]) -> None:
    """Note that a source has looked at these frames, whether it found anything or not."""
    wanted = set(frame_ids)
    with project.store.begin():
        fresh = sorted(wanted - project.store.artifact_keys(_stage(source), wanted))
        if fresh:
            project.store.put_artifacts(Artifact(_stage(source), frame_id, "", "") for frame_id in fresh)
            project.store.log("frames.looked_at", source, {"frames": len(fresh)})


def unmark_covered(project: Project, source: str, frame_ids: Iterable[str]) -> None:
    """Take the note back. A frame with a label of the source counts as looked at all the same."""
    with project.store.begin():
        if gone := project.store.delete_artifacts(_stage(source), frame_ids):
            project.store.log("frames.not_looked_at", source, {"frames": gone})


def covered_frames(project: Project, source: str) -> set[str]:
    """Ids of the frames that a source has looked at: those noted, and those with a label of it now."""
    return project.store.artifact_keys(_stage(source)) | project.store.labelled_frame_ids(source)


def looked_at(project: Project, source: str, frame_ids: Iterable[str]) -> set[str]:
    """Those of a few frames that are noted as looked at, whatever they hold now."""
    stage = _stage(source)
    return {frame_id for frame_id in frame_ids if project.store.artifact(stage, frame_id) is not None}
