"""The button: a new dataset version, a detector trained on it, and an honest before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.errors import CompareError
from curate.store import Role, RunRecord
from curate.versions import get_version
from curate.workflows.compare import ComparisonRecord, compare_runs
from curate.workflows.dataset import held_out_frames
from curate.workflows.evaluate import TORCHVISION_RUN, baseline_run, needed_gold
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot
from curate.workflows.train_seeds import train_seeds

__all__ = ["RetrainResult", "retrain"]


@dataclass(frozen=True)
class RetrainResult:
    """What the button did.

    Attributes:
        version: The dataset version trained on.
        runs: Its runs, one per seed.
        starts: For each of them the run that it started from; None for a training from the start.
        against_before: The comparison with the version trained before; None the first time.
        against_generic: The comparison with the bundled detector.
        against_torchvision: The comparison with torchvision's COCO detector; None where its weights are not in the
            hub cache (`curate evaluate torchvision` fetches them once).
    """

    version: str
    runs: tuple[str, ...]
    starts: tuple[str | None, ...]
    against_before: ComparisonRecord | None
    against_generic: ComparisonRecord
    against_torchvision: ComparisonRecord | None

    def to_dict(self) -> dict[str, Any]:
        """The ids, JSON-ready."""
        return {
            "version": self.version,
            "runs": list(self.runs),
            "starts": list(self.starts),
            "against_before": self.against_before.id if self.against_before else None,
            "against_generic": self.against_generic.id,
            "against_torchvision": self.against_torchvision.id if self.against_torchvision else None,
        }


def retrain(
    project: Project,
    *,
    seeds: int = 1,
    warm: bool | None = None,
    note: str = "",
    reporter: Reporter | None = None,
) -> RetrainResult:
    """Make a version of the current labels, train on it, judge it on gold, compare with the version before.

    Everything that is done already is taken as it is, so after a crash, or when nothing has changed, asking again
    does only what is missing.

    Args:
        project: The project.
        seeds: Training seeds a side: one is quick and its verdict "indicative", five tell more.
        warm: Start from the run before where only a few labels changed (see `find_warm_start`); by default with
            one seed a side, never with several: then both sides take the same steps.
        note: Kept with the version.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        NotFoundError: No frozen gold set to judge on.
        DataError: No labels.
        TrainingError: Training cannot go on.
        Cancelled: The reporter asked to stop; what was finished is kept.
    """
    project.expect_role(Role.REVIEWER)
    if seeds < 1:
        raise CompareError(f"a side needs at least one seed, got {seeds}")
    needed_gold(project)
    progress = reporter or Quiet()
    version = snapshot(project, note=note)
    previous = _previous_version(project, version.id)
    first = project.config.train.seed
    # The version before comes first: its runs are where warm trainings start from.
    sides = [version.id] if previous is None else [previous, version.id]
    runs: list[list[RunRecord]] = []
    for at, version_id in enumerate(sides):
        low, high = (0.85 * (at + more) / len(sides) for more in (0, 1))
        part = SubReporter(progress, low, high, f"{version_id[:8]}: ")
        may_be_warm = seeds == 1 if warm is None else warm
        runs.append(
            train_seeds(project, version_id, range(first, first + seeds), warm=may_be_warm, reporter=part)
        )
    after = runs[-1]
    generic = compare_runs(
        project,
        [baseline_run(project)],
        after,
        title=f"generic detector against version {version.id[:8]}",
        reporter=SubReporter(progress, 0.85, 0.91),
    )
    torchvision = _against_torchvision(project, after, version.id, SubReporter(progress, 0.91, 0.94))
    against_before = None
    if previous is not None:
        against_before = compare_runs(
            project,
            runs[0],
            after,
            title=f"version {previous[:8]} against version {version.id[:8]}",
            notes=_notes(after),
            reporter=SubReporter(progress, 0.94, 1.0),
        )
    progress.update(1.0, "done")
    starts = tuple(run.config.get("start") for run in after)
    return RetrainResult(
        version.id, tuple(run.id for run in after), starts, against_before, generic, torchvision
    )


def _notes(after: Sequence[RunRecord]) -> tuple[str, ...]:
    warm = [run for run in after if run.config.get("start")]
    if not warm:
        return ()
    return (
        f"After started from the weights of run {warm[0].config['start']} and took {warm[0].config['steps']} steps "
        f"more; {warm[0].config['changed_share']:.1%} of the labels changed since the last training from the start. "
        "`curate retrain --cold` gives both sides the same steps.",
    )


def _previous_version(project: Project, version_id: str) -> str | None:
    """The version that was trained last, other than this one."""
    held_out = held_out_frames(project, project.store.frames())
    for run in reversed(project.store.runs(kind="train")):
        if run.state != "done" or run.version_id in (None, version_id):
            continue
        frames = set(get_version(project.store, str(run.version_id)).manifest.splits)
        if not frames & held_out:  # A version made before the gold set would have been trained on it.
            return run.version_id
    return None


def _against_torchvision(
    project: Project, after: Sequence[RunRecord], version: str, reporter: SubReporter
) -> ComparisonRecord | None:
    from curate.detectors import TorchvisionCoco

    if not TorchvisionCoco.cached():
        reporter.update(
            1.0, "torchvision's COCO weights are not here: compared with the bundled detector only"
        )
        return None
    title = f"torchvision's COCO detector against version {version[:8]}"
    run = baseline_run(project, TORCHVISION_RUN)
    return compare_runs(project, [run], after, title=title, reporter=reporter)
