"""A dataset version of the labels as they are now."""

from __future__ import annotations

import hashlib

from curate.errors import DataError
from curate.store import Role
from curate.versions import Version, create_version
from curate.workflows.dataset import working_frames
from curate.workflows.project import Project

__all__ = ["snapshot"]


def snapshot(
    project: Project, *, note: str = "", created_by: str | None = None, source: str | None = None
) -> Version:
    """Fix the current labels on all frames that may train. The same content gives the same version.

    Args:
        project: The project.
        note: Kept with the version.
        created_by: Who; whoever acts when None.
        source: Label source; the working source when None.

    Raises:
        DataError: There are no frames or no labels.
        AccessError: The project has users, and who asks is none of them or only a viewer.
    """
    project.expect_role(Role.REVIEWER)
    source = source or project.config.labels.working
    frames = working_frames(project, source=source)
    labelled = project.store.labelled_frame_ids(source)
    if not any(frame.id in labelled for frame in frames):
        raise DataError(
            f"there are no labels of source {source!r}",
            hint=f"`curate prelabel` or `curate import coco --source {source}`",
        )
    versions = project.store.versions()
    policy = hashlib.sha256(project.config.policy.model_dump_json().encode()).hexdigest()
    return create_version(
        project.store,
        source=source,
        splits={frame.id: "train" for frame in frames},
        classes=project.config.classes,
        policy_hash=policy,
        parent=versions[-1].id if versions else None,
        created_by=created_by or project.store.actor,
        note=note,
        folder=project.versions_dir,
    )
