"""Look for label errors: train judges, gather evidence, rank the queue. Only what changed is done again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curate.annotations import Issue, IssueState
from curate.errors import DataError
from curate.issues import gather, rank_issues, score_evidence
from curate.store import Artifact, IssueSync, Role
from curate.workflows.dataset import LabelledFrame, labelled_frames, working_frames
from curate.workflows.files import write_json
from curate.workflows.maps import lay_out_maps
from curate.workflows.picked import picked_issues
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scan_gather import gather_scan, scan_calibrators, scan_settings

__all__ = ["ScanReport", "scan"]

_SCAN_FORMAT = "5"


@dataclass(frozen=True)
class ScanReport:
    """What a scan did.

    Attributes:
        unchanged: Nothing had changed since the last scan, so nothing was done.
        done: What was done, in sentences.
        issues: How the queue changed; None when unchanged.
        open_by_type: Issue type -> open issues now.
    """

    unchanged: bool
    done: tuple[str, ...]
    issues: IssueSync | None
    open_by_type: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def scan(project: Project, *, reporter: Reporter | None = None, force: bool = False) -> ScanReport:
    """Find label errors and write them into the queue.

    Decided issues never come back unless their label or frame changed. After a crash, the same command goes on:
    finished detectors, frames and crops are kept.

    Args:
        project: The project.
        reporter: Told how far it is.
        force: Compute everything again.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        DataError: There are no frames or no labels.
        TrainingError: The judges cannot be trained.
        Cancelled: The reporter asked to stop.
    """
    project.expect_role(Role.REVIEWER)
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    source = project.config.labels.working
    frames = working_frames(project, source=source)
    annotations = project.store.annotations(source=source)
    if not frames or not annotations:
        raise DataError(
            f"there is nothing to scan: {len(frames)} frames, {len(annotations)} labels of source {source!r}",
            hint="`curate ingest`, then `curate prelabel` or `curate import`",
        )
    labelled = labelled_frames(project, frames, annotations)
    state = _state_digest(project, labelled)
    last = project.store.artifact("scan", "state")
    if last and last.input_hash == state and not force:
        return ScanReport(True, (), None, _open_by_type(project))
    gathered = gather_scan(project, labelled, force=force, reporter=SubReporter(progress, 0.0, 0.85))
    done = list(gathered.done)
    progress.update(0.85, "comparing labels and evidence")
    evidence = gather(gathered.inputs, project.config.classes, scan_settings(project))
    calibrators = scan_calibrators(
        project, gathered, evidence, force=force, reporter=SubReporter(progress, 0.86, 0.97)
    )
    write_json(project.cache_dir / "calibration.json", calibrators.to_dict())
    progress.update(0.97, "ranking the queue")
    found = rank_issues(score_evidence(evidence, calibrators), known=[issue for issue, _ in gathered.decided])
    seen = {annotation.id: annotation.revision for annotation in annotations}
    sync = _save(project, [*found, *picked_issues(project, found)], seen, state)
    done.append(f"{sync.new} new issues, {sync.obsolete} no longer found")
    progress.update(0.99, "laying the maps out")
    lay_out_maps(project)
    progress.update(1.0, "done")
    return ScanReport(False, tuple(done), sync, _open_by_type(project))


def _state_digest(project: Project, labelled: Sequence[LabelledFrame]) -> str:
    """Digest of everything that a scan reads."""
    config = project.config
    labels = [
        (entry.frame.id, sorted((a.id, a.revision, a.counts) for a in entry.annotations))
        for entry in labelled
    ]
    newest = project.store.decisions(limit=1)
    settings = [
        config.classes,
        config.policy.model_dump_json(),
        config.split.model_dump_json(),
        config.model.model_dump_json(),
        config.train.model_dump_json(),
        config.scan.model_dump_json(),
    ]
    text = json.dumps([_SCAN_FORMAT, labels, settings, newest[0].sequence if newest else 0])
    return hashlib.sha256(text.encode()).hexdigest()


def _save(project: Project, found: Sequence[Issue], seen: Mapping[str, int], state: str) -> IssueSync:
    with project.store.begin():
        # The revisions that were judged: a label edited while the scan ran is not taken as seen.
        sync = project.store.upsert_issues(found, seen)
        project.store.put_artifacts([Artifact("scan", "state", state, "")])
    return sync


def _open_by_type(project: Project) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for entry in project.store.issue_counts():
        if entry.state is IssueState.OPEN:
            counts[entry.type.value] += entry.count
    return dict(counts)
