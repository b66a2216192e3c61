"""A short run of the fault suite; `curate bench faults` is the long one (docs/reliability.md)."""

import json
import subprocess
import sys

import pytest


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
    assert [result[name] for name in ("lost", "doubled", "broken", "unclear", "stuck", "unnoticed")] == [
        0
    ] * 6
