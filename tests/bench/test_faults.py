"""A short run of the fault suite; `curate bench faults` is the long one (docs/reliability.md)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curate.annotations import Decision, DecisionKind
from curate.bench.faults_import import halves_of, import_arguments, labels_of, source_of
from curate.review import decide
from curate.synth import SceneConfig, render_scene
from curate.workflows.ingest import ingest
from curate.workflows.labels import import_labels
from curate.workflows.project import Project

_ZEROS = ("lost", "doubled", "halves", "broken", "unclear", "stuck", "unnoticed")


def _run(folder, faults, *more):
    command = [sys.executable, "-m", "curate.cli.main", "bench", "faults", "--folder", str(folder)]
    report = folder.parent / "faults.json"
    options = ["--faults", str(faults), "--seed", "11", "--json", str(report), *more]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + (folder / "ledger.jsonl").read_text()
    return json.loads(report.read_text())


@pytest.mark.fault
@pytest.mark.slow
def test_nothing_is_lost_whatever_strikes(tmp_path):
    folder = tmp_path / "faults"
    first = _run(folder, 3)
    assert first["faults"] == 3
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    if (folder / "kept").exists():
        # As if the suite itself had been killed in the round after: its disk is gone, and the round with it.
        with (folder / "ledger.jsonl").open("a") as file:
            file.write(lines[-1] + "\n")
        (folder / "reviewers" / "3.told").write_text("3-1\n")
    result = _run(folder, 8)
    assert (folder / "ledger.jsonl").read_text().splitlines()[:3] == lines, "it goes on where it was"
    assert result["faults"] == 8
    assert result["struck"] > 0
    assert result["acknowledged"] > 0
    assert [result[name] for name in _ZEROS] == [0] * len(_ZEROS)


def test_an_import_that_is_not_whole_is_told(tmp_path):
    root, sources = tmp_path / "site", tmp_path / "sources"
    root.mkdir()
    (root / "site.yaml").write_text("classes: [person, car]\n")
    project = Project.open(root)
    scene = render_scene(SceneConfig(seed=3, frames=3, fps=1.0, persons=1, cars=0, standers=0))
    ingest(project, [scene.write_video(tmp_path / "synth.avi")])
    path = Path(import_arguments(root, sources, 7)[2])
    wanted, name = labels_of(sources), source_of(7)
    assert halves_of(project.store, wanted, set()) == [], "nobody was told that it is there"
    assert halves_of(project.store, wanted, {name}) == [f"source {name}: 0 labels of {wanted[name]}"]
    import_labels(project, path, format="coco", source=name)
    assert wanted[name] > 0
    assert halves_of(project.store, wanted, {name}) == []
    label = project.store.annotations(source=name)[0]
    decide(project.store, Decision("d1", DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id))
    assert halves_of(project.store, wanted, set()) == [
        f"source {name}: {wanted[name] - 1} labels of {wanted[name]}"
    ]
