"""A benchmark project scanned as the product scans it."""

from __future__ import annotations

from curate.bench.label_errors.corrupt import WORKING
from curate.workflows.dataset import labelled_frames, working_frames
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project
from curate.workflows.scan_gather import Gathered, gather_scan

__all__ = ["gather_case"]


def gather_case(project: Project, reporter: SubReporter) -> Gathered:
    """What a scan of the working labels gathers; judges, predictions and evidence come from the cache."""
    frames = working_frames(project, source=WORKING)
    labelled = labelled_frames(project, frames, project.store.annotations(source=WORKING))
    return gather_scan(project, labelled, force=False, reporter=reporter)
