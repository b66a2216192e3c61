"""Which earlier run a training may start from, so that a small fix costs a fraction of the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from curate.store import RunRecord
from curate.versions import Version, diff_versions, get_version
from curate.workflows.project import Project

if TYPE_CHECKING:
    from curate.detectors import TrainConfig

__all__ = ["WarmStart", "find_warm_start", "warm_config", "warm_run_of", "why_cold"]

MOST_CHANGED = 0.12
"""Share of labels that may have changed since the last training from the start."""
_RATE = 0.5
_WARM_UP = 5
# What may differ between a run and the run that it starts from.
_FREE = (
    *("steps", "learning_rate", "roi_learning_rate", "warmup_steps", "checkpoint_every", "compile"),
    *("start", "changed_share"),
)


@dataclass(frozen=True)
class WarmStart:
    """A run to start from, and the share of labels that changed since the last training from the start."""

    run: RunRecord
    changed_share: float


def warm_config(config: TrainConfig, share: float) -> TrainConfig:
    """The settings of a warm training: so small a share of the steps, at half the learning rates."""
    return replace(
        config,
        steps=max(1, round(config.steps * share)),
        learning_rate=config.learning_rate * _RATE,
        roi_learning_rate=config.roi_learning_rate * _RATE,
        warmup_steps=min(config.warmup_steps, _WARM_UP),
    )


def find_warm_start(project: Project, version: Version, settings: Mapping[str, Any]) -> WarmStart | None:
    """The newest finished run that differs from what is wanted by a few labels only; None where there is none.

    The changes of a chain of warm trainings add up: sooner or later one begins from the start again.

    Args:
        project: The project.
        version: What is to be trained on.
        settings: Of the training from the start, seed included.
    """
    wanted = _fixed(settings)
    for run in _runs_before(project, version):
        if _fixed(run.config) == wanted:
            share = _share_since_the_start(project, run, version)
            if share <= MOST_CHANGED:
                return WarmStart(run, share)
    return None


def why_cold(project: Project, version: Version, settings: Mapping[str, Any]) -> str:
    """Why `find_warm_start` finds nothing, by the newest run that could have been the start."""
    run = next(_runs_before(project, version), None)
    if run is None:
        return "there is no run before it"
    wanted, known = _fixed(settings), _fixed(run.config)
    unlike = [name for name in sorted(wanted | known) if wanted.get(name) != known.get(name)]
    if unlike:
        changes = ", ".join(f"{name} {known.get(name)} -> {wanted.get(name)}" for name in unlike)
        return f"the run before had other settings ({changes})"
    share = _share_since_the_start(project, run, version)
    return f"{share:.0%} of the labels changed since the last training from the start, more than {MOST_CHANGED:.0%}"


def _runs_before(project: Project, version: Version) -> Iterator[RunRecord]:
    """Finished trainings on other versions, the newest first."""
    for run in reversed(project.store.runs(kind="train")):
        whole = (project.root / run.path / "detector.json").is_file()
        if run.state == "done" and run.version_id not in (None, version.id) and whole:
            yield run


def _share_since_the_start(project: Project, run: RunRecord, version: Version) -> float:
    return float(run.config.get("changed_share", 0.0)) + _changed_share(project, run, version)


def warm_run_of(project: Project, version: Version, settings: Mapping[str, Any]) -> WarmStart | None:
    """The start of the warm training that this very version has already had; None where it had none."""
    wanted = _fixed(settings)
    for run in project.store.runs(version.id, "train"):
        if run.state == "done" and run.config.get("start") and _fixed(run.config) == wanted:
            start = project.store.run(str(run.config["start"]))
            return WarmStart(start, float(run.config["changed_share"]))
    return None


def _fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    from curate.detectors import TrainConfig

    # A run of before a setting existed did what the setting's default does.
    every = asdict(TrainConfig()) | dict(settings)
    return {name: value for name, value in every.items() if name not in _FREE}


def _changed_share(project: Project, run: RunRecord, version: Version) -> float:
    """Share of labels added, removed or edited; 1 where classes, policy or source are others."""
    before = get_version(project.store, str(run.version_id))
    if before.manifest.source != version.manifest.source:
        return 1.0
    change = diff_versions(project.store, before, version)
    if change.classes_changed or change.policy_changed:
        return 1.0
    labels = max(1, len(version.manifest.annotations))
    frames = (len(change.frames_added) + len(change.frames_removed)) / max(1, len(version.manifest.splits))
    return max(frames, (len(change.added) + len(change.removed) + len(change.changed)) / labels)
