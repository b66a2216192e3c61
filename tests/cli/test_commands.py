from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main
from typer.testing import CliRunner

from curate.cli.main import app

ROOT = typer.main.get_command(app)


def commands(
    group: click.Command = ROOT, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    children = getattr(group, "commands", {})
    if not children:
        yield path, group
    for name, child in children.items():
        yield from commands(child, (*path, name))


ALL = dict(commands())


@pytest.mark.parametrize("path", sorted(ALL), ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    assert command.epilog is not None
    assert f"curate {' '.join(path)}" in command.epilog
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0, result.output
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"


def test_the_commands_are_those_of_the_architecture() -> None:
    names = {path[0] for path, command in ALL.items() if not command.hidden}
    assert names == {
        "init",
        "status",
        "ingest",
        "import",
        "export",
        "formats",
        "prelabel",
        "gold",
        "scan",
        "issues",
        "label-next",
        "rerank",
        "review",
        "version",
        "train",
        "tune",
        "predict",
        "export-model",
        "evaluate",
        "compare",
        "retrain",
        "app",
        "demo",
        "bench",
        "db",
        "users",
        "purge",
    }


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "curate.cli.main", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_project_from_the_command_line(tmp_path: Path) -> None:
    made = run("init", "my junction", "--class", "person", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "my junction" / "site.yaml").exists()
    again = run("init", "my junction", cwd=tmp_path)
    assert again.returncode == 1
    assert "a project here already" in again.stderr
    status = run("status", "--json", cwd=tmp_path / "my junction")
    assert json.loads(status.stdout)["frames"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status"], 1, "curate init"),
        (["nonsense"], 2, "nonsense"),
        (["issues", "--type", "ugly"], 2, "ugly"),
        (["ingest"], 2, "sources"),
    ],
)
def test_exit_codes_and_clear_errors(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_key_names_its_line_and_exits_with_two(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("classes: [person]\ntrian: {}\n")
    done = run("status", cwd=tmp_path)
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert "train" in done.stderr


def test_a_broken_label_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("classes: [person]\n")
    bad = tmp_path / "bad.json"
    bad.write_text('{"images": [')
    done = run("import", "coco", str(bad), cwd=tmp_path)
    assert done.returncode == 1
    assert "bad.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(run("status", "--json", cwd=tmp_path).stdout)["labels"] == {}


def test_a_demo_never_replaces_a_project(tmp_path: Path) -> None:
    assert run("init", "mine", cwd=tmp_path).returncode == 0
    done = run("demo", "--folder", "mine", "--no-app", cwd=tmp_path)
    assert done.returncode == 1
    assert "not an earlier demo" in done.stderr
    assert (tmp_path / "mine" / "site.yaml").exists()


def test_a_relative_database_belongs_to_the_project_and_nonsense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("classes: [person]\ndatabase: sqlite:///labels.db\n")
    (tmp_path / "sub").mkdir()
    assert run("status", cwd=tmp_path / "sub").returncode == 0
    assert (tmp_path / "labels.db").exists()
    assert not (tmp_path / "sub" / "labels.db").exists()
    (tmp_path / "site.yaml").write_text("classes: [person]\ndatabase: nonsense\n")
    refused = run("status", cwd=tmp_path)
    assert refused.returncode == 2
    assert "nonsense" in refused.stderr
