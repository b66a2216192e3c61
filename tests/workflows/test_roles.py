"""Every command either looks only, or refuses who may not change anything, before it changes anything."""

import hashlib

import pytest
import sqlalchemy as sa
import typer.main

from curate.annotations import Issue, IssueType, Proposal, ProposalKind
from curate.cli.main import app
from curate.errors import AccessError
from curate.store import Role, RunRecord
from curate.workflows.jobs import cancel_job, start_job
from curate.workflows.snapshot import snapshot

REVIEWER = {
    ("ingest",): ["{video}"],
    ("import",): ["coco", "{coco}"],
    ("prelabel",): [],
    ("gold", "create"): [],
    ("gold", "freeze"): [],
    ("gold", "revise"): [],
    ("scan",): [],
    ("rerank",): [],
    ("label-next",): [],
    ("review", "decide"): ["issue-0", "keep"],
    ("review", "undo"): [],
    ("review", "apply"): ["{decisions}"],
    ("review", "second"): [],
    ("review", "opinion"): ["issue-0", "keep"],
    ("version", "create"): [],
    ("train",): ["{version}"],
    ("retrain",): [],
    ("evaluate",): ["generic"],
    ("compare",): ["--before", "run-1", "--after", "run-1"],
    ("tune",): ["--trials", "1"],
    ("db", "backup"): [],
    ("db", "check"): ["--repair"],
}
"""Commands that a viewer may not give, with arguments that would do something."""
OWNER = {
    ("db", "restore"): ["{decisions}"],
    ("purge",): ["--clip", "{clip}", "--reason", "r", "--yes"],
    ("users", "add"): ["eve", "--oidc"],
    ("users", "role"): ["vera", "owner"],
    ("users", "remove"): ["ann"],
    ("users", "password"): ["ann"],
}
LOOKING = {
    "init",  # makes another project
    "status",
    "export",
    "formats",
    "issues",
    "review list",
    "review export",
    "review stats",
    "review progress",
    "version list",
    "version show",
    "version diff",
    "predict",
    "export-model",
    "app",  # asks who it is for, page by page
    "demo",
    "db upgrade",  # as any other command does by itself
    "db log",
    "users list",
    "work",  # a job of somebody who was allowed to start it, in their name
}
CHANGING = {**REVIEWER, **OWNER}


def _commands(command, path=()):
    if hasattr(command, "commands"):
        for name, sub in command.commands.items():
            yield from _commands(sub, (*path, name))
    else:
        yield " ".join(path)


def test_every_command_is_known_to_look_or_to_need_a_role():
    known = {" ".join(path) for path in CHANGING} | LOOKING
    found = {name for name in _commands(typer.main.get_command(app)) if not name.startswith("bench ")}
    assert found == known, (
        "a new command belongs into LOOKING, or, with a test that it refuses, into REVIEWER or OWNER"
    )


def _everything(project):
    with project.store.reading(), project.store._read() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        rows = {
            table.name: sorted(map(str, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
        }
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in project.root.rglob("*")
        if path.is_file() and not path.name.startswith("crossguard.db")
    }
    return rows, files


@pytest.fixture(scope="module")
def words(tmp_path_factory, video):
    folder = tmp_path_factory.mktemp("given")
    (folder / "labels.json").write_text('{"images": [], "annotations": [], "categories": []}')
    line = '{"id":"d1","kind":"keep","reviewer":"vera","issue_id":"issue-0"}'
    (folder / "decisions.jsonl").write_text(line)
    return {
        "video": str(video),
        "coco": str(folder / "labels.json"),
        "decisions": str(folder / "decisions.jsonl"),
    }


@pytest.fixture
def shared(project, words):
    """A project of several people, with something to do for each command."""
    store = project.store
    label = store.annotations(source="cheap")[0]
    explanation = "looks empty"
    store.upsert_issues(
        [
            Issue(
                "issue-0",
                IssueType.SPURIOUS,
                label.frame_id,
                label.id,
                label.bbox_xyxy,
                label.label,
                0.5,
                0.25,
                explanation,
                {},
                Proposal(ProposalKind.DELETE_LABEL),
            )
        ]
    )
    words |= {"version": snapshot(project).id, "clip": store.clips()[0]}
    store.put_run(RunRecord("run-1", words["version"], "train", "failed", 0, ".crossguard/runs/run-1"))
    for name, role in (("ann", Role.OWNER), ("bob", Role.REVIEWER), ("vera", Role.VIEWER)):
        store.add_user(name, role)
    return project


def test_nobody_changes_what_their_role_does_not_allow(shared, words, monkeypatch):
    before, last = _everything(shared), shared.store.audit_log(1)[0]
    monkeypatch.setenv("CROSSGUARD_PASSWORD", "correct horse battery")
    for who, refused in (("vera", CHANGING), ("a stranger", CHANGING), ("bob", OWNER)):
        monkeypatch.setenv("CROSSGUARD_REVIEWER", who)
        for path, arguments in refused.items():
            given = [argument.format_map(words) for argument in arguments]
            with pytest.raises(AccessError, match=r"needs the role|not a user"):
                app([*path, *given, "--project", str(shared.root)], standalone_mode=False)
            assert shared.store.audit_log(1)[0] == last, (who, path)
        with shared.store.acting(who):
            if who != "bob":
                for change in (lambda: start_job(shared, "scan"), lambda: cancel_job(shared, "job-1")):
                    with pytest.raises(AccessError):
                        change()
        assert _everything(shared) == before, who


def test_who_looks_may_look(shared, words, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("CROSSGUARD_REVIEWER", "vera")
    before = _everything(shared)
    for given in (
        ["status"],
        ["issues"],
        ["review", "list"],
        ["review", "stats"],
        ["version", "show", words["version"]],
        ["db", "check", "--quick"],
        ["db", "log"],
        ["users", "list"],
        ["purge", "--clip", words["clip"]],
        ["export", "coco", str(tmp_path / "out.json")],
        ["import", "coco", str(tmp_path / "out.json"), "--dry-run", "--source", "other"],
    ):
        app([*given, "--project", str(shared.root)], standalone_mode=False)
    assert capsys.readouterr().out
    assert _everything(shared) == before


def test_what_a_reviewer_does_from_the_command_line_is_in_the_log(shared, words, monkeypatch, tmp_path):
    """Each change under the name of the profile."""
    monkeypatch.setenv("CROSSGUARD_REVIEWER", "bob")
    for given in (
        ["export", "coco", str(tmp_path / "out.json")],
        ["import", "coco", str(tmp_path / "out.json"), "--source", "other"],
        ["gold", "revise"],
        ["review", "decide", "issue-0", "keep"],
        ["db", "backup", str(tmp_path / "b.zip")],
    ):
        app([*given, "--project", str(shared.root)], standalone_mode=False)
    found = [entry.action for entry in shared.store.audit_log(100, actor="bob", oldest_first=True)]
    assert found == [
        "labels.add",
        "frames.looked_at",
        "gold.draft",
        "decision.keep",
        "backup.write",
    ]
    assert shared.store.broken_audit() is None
