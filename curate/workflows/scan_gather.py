"""Everything that a scan computes before it ranks: judges, plates, evidence, neighbours, in the finders' tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curate.annotations import DecisionKind, Issue
from curate.issues import (
    Calibrators,
    Evidenced,
    FinderInputs,
    FinderSettings,
    decision_rows,
    fit_calibrators,
    gather,
    injected_rows,
    learn_decisions,
)
from curate.scene.plate import Plate
from curate.store import Artifact
from curate.workflows.crops import crop_neighbours
from curate.workflows.dataset import LabelledFrame
from curate.workflows.decided import decided_issues, decided_labels
from curate.workflows.frame_evidence import (
    FrameEvidence,
    evidence_key,
    judge_frame,
    load_evidence,
    save_evidence,
)
from curate.workflows.frame_hints import FrameHints, frame_hints
from curate.workflows.judges import Folds, Judge, make_folds, train_judges
from curate.workflows.picked import is_picked
from curate.workflows.pictures import picture_health
from curate.workflows.practice import practise
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.rerank import keep_practised
from curate.workflows.scan_tables import finder_inputs, frame_table, label_table
from curate.workflows.scene import background_plates, plates_digest
from curate.workflows.whole_frames import embed_frames

__all__ = ["Gathered", "gather_scan", "scan_calibrators", "scan_settings"]

_STAGE = "evidence"
_BATCH = 20


@dataclass(frozen=True)
class Gathered:
    """What the ranking needs, and what it was made with.

    Attributes:
        labelled: F frames with their labels.
        folds: How they are split.
        judges: The detectors, one per fold.
        plates: The empty scene by light.
        plates_digest: Changes when they are made anew.
        evidence: One per frame.
        inputs: Tables and evidence for the finders.
        decided: Issues that people have decided, with the verdict.
        done: What was computed now, in sentences.
    """

    labelled: Sequence[LabelledFrame]
    folds: Folds
    judges: Sequence[Judge]
    plates: Sequence[Plate]
    plates_digest: str
    evidence: Sequence[FrameEvidence]
    inputs: FinderInputs
    decided: Sequence[tuple[Issue, DecisionKind]]
    done: tuple[str, ...]


def gather_scan(
    project: Project, labelled: Sequence[LabelledFrame], *, force: bool, reporter: SubReporter
) -> Gathered:
    """Train judges and gather the evidence of all frames; only what changed is done again.

    Args:
        project: The project.
        labelled: The working frames with their labels, at least one label in all.
        force: Compute everything again.
        reporter: Told how far it is.

    Raises:
        DataError: Too few blocks of time for the folds.
        TrainingError: The judges cannot be trained.
        Cancelled: The reporter asked to stop; what was finished is kept.
    """
    done: list[str] = []
    frames = [entry.frame for entry in labelled]
    folds = make_folds(project, labelled)
    plates = background_plates(project, reporter=SubReporter(reporter, 0.0, 0.03))
    digest = plates_digest(project)
    health = picture_health(project, frames, plates, digest, SubReporter(reporter, 0.03, 0.06))
    judges = train_judges(
        project, labelled, folds, plates[0], force=force, reporter=SubReporter(reporter, 0.06, 0.72)
    )
    done += [_judge_sentence(judge) for judge in judges]
    hints = frame_hints(frame_table(labelled, folds), label_table(labelled, project.config.classes))
    evidence, redone = _gather(
        project, labelled, folds, judges, plates, digest, hints, force, SubReporter(reporter, 0.72, 0.87)
    )
    done.append(f"evidence gathered on {redone} of {len(labelled)} frames")
    neighbours, embedded = crop_neighbours(project, labelled, folds, SubReporter(reporter, 0.87, 0.97))
    frames_embedded = embed_frames(project, frames, SubReporter(reporter, 0.97, 1.0))
    done.append(f"{embedded} crops and {frames_embedded} frames embedded")
    inputs = finder_inputs(
        labelled, folds, evidence, project.config.classes, health, decided_labels(project), neighbours
    )
    # What a person picked by hand has no evidence to learn from.
    decided = [entry for entry in decided_issues(project) if not is_picked(entry[0])]
    return Gathered(labelled, folds, judges, plates, digest, evidence, inputs, decided, tuple(done))


def scan_settings(project: Project) -> FinderSettings:
    """What site.yaml says about the queue."""
    config = project.config.scan
    return FinderSettings(min_probability=config.min_probability, max_per_type=config.max_issues_per_type)


def scan_calibrators(
    project: Project,
    gathered: Gathered,
    evidence: Evidenced | None = None,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    less: Callable[[FinderInputs], FinderInputs] | None = None,
) -> Calibrators:
    """What is learned on this site: from errors put into copies of its labels, and from what people decided.

    Args:
        project: The project.
        gathered: From `gather_scan`.
        evidence: From `curate.issues.gather` on the gathered inputs; made here when None.
        force: Practise anew even if nothing has changed.
        reporter: Told how far it is.
        less: Takes evidence away from what is practised on, as it was taken away from the gathered inputs (for an
            ablation); such calibrators are not kept for `rerank`.
    """
    pairs = zip(gathered.labelled, gathered.folds.blocks, strict=True)
    block_of = {entry.frame.id: int(block) for entry, block in pairs}
    if evidence is None:
        evidence = gather(gathered.inputs, project.config.classes, scan_settings(project))
    population = {kind: table.values[table.applies] for kind, table in evidence.features.items()}
    part = SubReporter(reporter or Quiet(), 0.0, 1.0)
    practice = practise(project, gathered, force=force, reporter=part)
    rows = None
    if practice is not None:
        known = practice.inputs if less is None else less(practice.inputs)
        rows = injected_rows(
            known, practice.errors, project.config.classes, scan_settings(project), frames=practice.frames
        )
    practised = fit_calibrators(rows, None, population)
    if less is None:
        keep_practised(project, practised)
    return learn_decisions(practised, decision_rows(gathered.decided, block_of), population)


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
    hints: Sequence[FrameHints],
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
        key = evidence_key(entry, judges[fold], plates_digest, hints[number])
        path = folder / entry.frame.id[:2] / f"{entry.frame.id}.npz"
        stored = known.get(entry.frame.id)
        evidence = load_evidence(path) if stored and stored.input_hash == key and not force else None
        if evidence is None:
            reporter.update(number / len(labelled), f"judging frame {number + 1} of {len(labelled)}")
            evidence = judge_frame(
                entry, project.frame_image(entry.frame), judges[fold], plates, hints[number]
            )
            save_evidence(path, evidence)
            rows.append(Artifact(_STAGE, entry.frame.id, key, str(path.relative_to(project.root))))
            redone += 1
        result.append(evidence)
        if len(rows) >= _BATCH:
            project.store.put_artifacts(rows)
            rows.clear()
    project.store.put_artifacts(rows)
    return result, redone
