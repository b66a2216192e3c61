"""`curate train` as torchrun starts it: two processes, one run, written down once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot


@pytest.mark.slow
def test_two_processes_train_one_run(project: Project) -> None:
    version = snapshot(project).id
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += ["-m", "curate.cli.main", "train", version, "--project", str(project.root)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = project.store.runs(kind="train")
    assert run.state == "done"
    assert done.stdout.count(run.id) == 1
    folder = project.root / run.path
    assert (folder / "detector.json").is_file()
    steps = (folder / "metrics.jsonl").read_text().count('"step"')
    assert steps == project.config.train.steps
