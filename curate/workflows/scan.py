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
from curate.issues import FinderSettings, decision_rows, find_issues, fit_calibrators
from curate.scene.plate import Plate
from curate.store import Artifact, IssueSync
from curate.workflows.crops import crop_neighbours
from curate.workflows.dataset import LabelledFrame, labelled_frames, working_frames
from curate.workflows.decided import decided_issues, decided_labels
from curate.workflows.frame_evidence import (
    FrameEvidence,
    evidence_key,
    judge_frame,
    load_evidence,
    save_evidence,
)
from curate.workflows.judges import Folds, Judge, make_folds, train_judges
from curate.workflows.pictures import picture_health
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scan_tables import finder_inputs
from curate.workflows.scene import background_plates, plates_digest
from curate.workflows.whole_frames import embed_frames

__all__ = ["ScanReport", "scan"]

_STAGE = "evidence"
_SCAN_FORMAT = "3"
_BATCH = 20


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
        DataError: There are no frames or no labels.
        TrainingError: The judges cannot be trained.
        Cancelled: The reporter asked to stop.
    """
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
    done: list[str] = []
    folds = make_folds(project, labelled)
    plates = background_plates(project, reporter=SubReporter(progress, 0.0, 0.03))
    digest = plates_digest(project)
    health = picture_health(project, frames, plates, digest, SubReporter(progress, 0.03, 0.06))
    judges = train_judges(
        project, labelled, folds, plates[0], force=force, reporter=SubReporter(progress, 0.06, 0.70)
    )
    done += [_judge_sentence(judge) for judge in judges]
    evidence, redone = _gather(
        project, labelled, folds, judges, plates, digest, force, SubReporter(progress, 0.70, 0.85)
    )
    done.append(f"evidence gathered on {redone} of {len(labelled)} frames")
    neighbours, embedded = crop_neighbours(project, labelled, folds, SubReporter(progress, 0.85, 0.94))
    frames_embedded = embed_frames(project, frames, SubReporter(progress, 0.94, 0.97))
    done.append(f"{embedded} crops and {frames_embedded} frames embedded")
    progress.update(0.97, "ranking the queue")
    inputs = finder_inputs(
        labelled, folds, evidence, project.config.classes, health, decided_labels(project), neighbours
    )
    decided = decided_issues(project)
    block_of = {entry.frame.id: int(block) for entry, block in zip(labelled, folds.blocks, strict=True)}
    found = find_issues(
        inputs,
        project.config.classes,
        _settings(project),
        calibrators=fit_calibrators(decisions=decision_rows(decided, block_of)),
        known=[issue for issue, _ in decided],
    )
    seen = {annotation.id: annotation.revision for annotation in annotations}
    sync = _save(project, found, seen, state)
    done.append(f"{sync.new} new issues, {sync.obsolete} no longer found")
    progress.update(1.0, "done")
    return ScanReport(False, tuple(done), sync, _open_by_type(project))


def _settings(project: Project) -> FinderSettings:
    config = project.config.scan
    return FinderSettings(min_probability=config.min_probability, max_per_type=config.max_issues_per_type)


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


def _judge_sentence(judge: Judge) -> str:
    if judge.retrained:
        return f"detector of fold {judge.fold + 1} trained"
    return f"detector of fold {judge.fold + 1} kept ({judge.changed_share:.0%} of its labels have changed)"


def _gather(
    project: Project,
    labelled: Sequence[LabelledFrame],
    folds: Folds,
    judges: Sequence[Judge],
    plates: Sequence[Plate],
    plates_digest: str,
    force: bool,
    reporter: SubReporter,
) -> tuple[list[FrameEvidence], int]:
    """Evidence of every frame, from its file where nothing that it depends on has changed."""
    folder = project.cache_dir / "evidence"
    known = project.store.artifacts(_STAGE)
    result: list[FrameEvidence] = []
    rows: list[Artifact] = []
    redone = 0
    for number, (entry, fold) in enumerate(zip(labelled, folds.folds.tolist(), strict=True)):
        key = evidence_key(entry, judges[fold], plates_digest)
        path = folder / entry.frame.id[:2] / f"{entry.frame.id}.npz"
        stored = known.get(entry.frame.id)
        evidence = load_evidence(path) if stored and stored.input_hash == key and not force else None
        if evidence is None:
            reporter.update(number / len(labelled), f"judging frame {number + 1} of {len(labelled)}")
            evidence = judge_frame(entry, project.frame_image(entry.frame), judges[fold], plates)
            save_evidence(path, evidence)
            rows.append(Artifact(_STAGE, entry.frame.id, key, str(path.relative_to(project.root))))
            redone += 1
        result.append(evidence)
        if len(rows) >= _BATCH:
            project.store.put_artifacts(rows)
            rows.clear()
    project.store.put_artifacts(rows)
    return result, redone


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
