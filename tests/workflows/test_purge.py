"""Nothing of a purged frame is left: not in the database's file, its log, backups, caches, or reports."""

import shutil
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from curate.annotations import Decision, DecisionKind, Issue, IssueType, Proposal, ProposalKind
from curate.cli.main import app
from curate.errors import AccessError, ConfigError, DataError, ProjectError
from curate.review import decide, undo_last
from curate.store import Role, RunRecord, Store
from curate.versions import diff_versions, get_version, load_version_annotations
from curate.workflows.backup import backup, restore
from curate.workflows.database import check, upgrade
from curate.workflows.dataset import working_frames
from curate.workflows.ingest import ingest
from curate.workflows.purge import finish_purge, plan_purge, purge
from curate.workflows.snapshot import snapshot

MARK = "GO-AWAY-4711"


@pytest.fixture
def asked(project, tmp_path):
    """Somebody is on two frames; labels, decisions, versions, backups, caches and reports know of it."""
    store = project.store
    first, second, third = working_frames(project, source="cheap")[:3]
    marked = [
        replace(
            label,
            id=f"cheap:visitor-{number}",
            frame_id=frame.id,
            track_id="visitor",
            attributes={"plate": MARK},
        )
        for number, (frame, label) in enumerate(
            zip((first, second), store.annotations(source="cheap")[:2], strict=True)
        )
    ]
    store.add_annotations(marked, "cheap")
    store.upsert_issues(
        Issue(
            f"issue-{number}",
            IssueType.SPURIOUS,
            frame.id,
            label_id,
            (1, 1, 9, 9),
            "person",
            0.5,
            0.25,
            f"{MARK} stands here" if label_id else "looks empty",
            {},
            Proposal(ProposalKind.ADD, "person", (1, 1, 9, 9)),
            group_id="place",
        )
        for number, (frame, label_id) in enumerate([(first, marked[0].id), (second, None), (third, None)])
    )
    before = snapshot(project, note="before", created_by="ann")
    decide(store, Decision("grouped", DecisionKind.APPLY, "ann", issue_id="issue-2", group=True))
    edit = Decision(
        "edit", DecisionKind.EDIT, "ann", annotation_id=marked[0].id, bbox_xyxy=(1, 2, 30, 40), note=MARK
    )
    decide(store, edit)
    decide(store, Decision("out", DecisionKind.EXCLUDE_FRAME, "ann", frame_id=second.id))
    other = next(
        label for label in store.annotations(source="cheap", frame_ids=[third.id]) if label.label == "person"
    )
    decide(store, Decision("other", DecisionKind.RELABEL, "ann", annotation_id=other.id, label="car"))
    after = snapshot(project, note="after", created_by="ann")
    saved = backup(project, tmp_path / "week.zip", frames=True)
    store.close()
    upgrade(project, say=lambda _: None)
    (project.cache_dir / "evidence").mkdir()
    (project.cache_dir / "evidence" / "x.npz").write_bytes(MARK.encode())
    (project.runs_dir / "r1").mkdir()
    (project.runs_dir / "r1" / "gold.json").write_text(f'{{"{first.id}": 1}}')
    (project.runs_dir / "r1" / "metrics.jsonl").write_text("{}")
    return project, (first, second, third), (before, after), saved.path


def _places(root: Path, needle: bytes) -> list[str]:
    found = []
    for path in root.rglob("*"):
        if path.is_file() and needle in path.read_bytes():
            found.append(path.name)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                found += [
                    f"{path.name}/{name}" for name in archive.namelist() if needle in archive.read(name)
                ]
    return found


def test_nothing_of_it_is_left(asked, tmp_path):
    project, (first, second, third), versions, saved = asked
    pictures = [project.frame_path(frame) for frame in (first, second)]
    bits = [path.read_bytes()[-400:-300] for path in pictures]
    assert len(_places(tmp_path, MARK.encode())) > 4
    plan = plan_purge(project, track="visitor")
    assert [frame.id for frame in plan.frames] == [first.id, second.id]
    assert plan.versions == tuple(sorted(version.id for version in versions))
    assert plan.backups == (str(saved),)
    report = purge(project, plan, reason="request 17")
    assert (report.frames, report.backups) == (2, 2)
    project.store.close()
    assert _places(tmp_path, MARK.encode()) == []
    for path, content in zip(pictures, bits, strict=True):
        assert not path.exists()
        assert _places(tmp_path, content) == []
    with zipfile.ZipFile(saved) as archive:
        names = archive.namelist()
    assert not any(first.id in name for name in names)
    assert any(third.id in name for name in names)
    assert [finding for finding in check(project).findings if not finding.harmless] == []


def test_what_is_left_still_works(asked):
    project, (first, second, _third), (before, after), _ = asked
    purge(project, plan_purge(project, names=[first.name, second.id]), reason="request 17")
    store = project.store
    # The second was excluded before the second version was made.
    both = tuple(sorted([first.id, second.id]))
    assert store.buried_versions() == {before.id: both, after.id: (first.id,)}
    old, new = get_version(store, before.id), get_version(store, after.id)
    assert first.id in old.manifest.splits, "the version is what it was"
    labels = load_version_annotations(store, old)
    assert labels
    assert {label.frame_id for label in labels}.isdisjoint({first.id, second.id})
    diff = diff_versions(store, old, new)
    assert any(change.label_after == "car" for change in (*diff.changed, *diff.added))
    kept = store.decision("edit").decision
    assert (kept.kind, kept.reviewer, kept.bbox_xyxy, kept.note) == (DecisionKind.EDIT, "ann", None, "")
    assert [effect.issue_id for effect in store.decision("grouped").effects.issues] == ["issue-2"]
    assert store.issue_statuses(["issue-0", "issue-1"]) == []
    undo_last(store, "ann")
    assert check(project).clean
    assert snapshot(project, note="later").id not in (before.id, after.id)


def test_it_does_not_come_back(asked, tmp_path):
    project, (first, *_), _, _ = asked
    folder = tmp_path / "again"
    folder.mkdir()
    copy = folder / "copy.png"
    copy.write_bytes(project.frame_path(first).read_bytes())
    purge(project, plan_purge(project, names=[first.name]), reason="request 17")
    try:
        report = ingest(project, [folder])
        reasons = [reason for _, _, reason in report.rejected]
    except DataError as error:
        reasons = [error.message]
    assert any("purged" in reason for reason in reasons)


def test_an_interrupted_purge_is_named_and_finished(asked):
    project, (first, second, _), _, _ = asked
    picture = project.frame_path(first)
    content = picture.read_bytes()
    purge(project, plan_purge(project, names=[first.name]), reason="request 17")
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(content)  # as if the program had been killed between database and files
    assert any(finding.code == "purged" for finding in check(project).findings)
    purge(project, plan_purge(project, names=[second.name]), reason="request 18")
    assert not picture.exists()
    assert check(project).clean


def test_a_purge_killed_before_the_backups_is_finished_by_the_next(asked, tmp_path):
    project, (first, second, third), _, _ = asked
    project.store.erase_frames([first.id, second.id], reason="request 17")  # all that a killed purge got done
    assert any("week.zip" in place for place in _places(tmp_path, first.id.encode()))
    purge(project, plan_purge(project, names=[third.name]), reason="request 18")
    project.store.close()
    assert not any("week.zip/frames" in place for place in _places(tmp_path, MARK.encode()))
    assert _places(tmp_path, MARK.encode()) == []


def test_a_damaged_backup_is_named_and_the_others_are_cleaned(asked, tmp_path):
    project, *_ = asked
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK nothing")
    project.store.note_backup(str(broken), "0" * 64)
    with pytest.raises(ProjectError, match=r"broken\.zip"):
        purge(project, plan_purge(project, track="visitor"), reason="request 17")
    project.store.close()
    broken.unlink()
    assert _places(tmp_path, MARK.encode()) == []
    assert not (project.state_dir / "purge.tmp").exists()


def test_a_restore_brings_nobody_back(asked, tmp_path):
    project, (first, second, third), _, saved = asked
    away = tmp_path / "drive" / "week.zip"
    away.parent.mkdir()
    shutil.copy(saved, away)
    saved.unlink()  # the drive was unplugged when the request came
    purge(project, plan_purge(project, track="visitor"), reason="request 17")
    restore(project, away, replace=True)
    assert not project.store.frames(ids=[first.id, second.id])
    assert project.store.frames(ids=[third.id])
    assert {first.id, second.id} <= project.store.tombstones("frame")
    assert not project.frame_path(first).exists()


def test_only_owners_and_only_with_a_reason(asked):
    project, (first, *_), _, _ = asked
    plan = plan_purge(project, names=[first.name])
    with pytest.raises(DataError, match="reason"):
        purge(project, plan, reason=" ")
    project.store.add_user("ann", Role.OWNER)
    project.store.add_user("bob", Role.REVIEWER)
    with project.store.acting("bob"), pytest.raises(AccessError, match="owner"):
        purge(project, plan, reason="request 17")
    with pytest.raises(DataError, match="no frame has this name"):
        plan_purge(project, names=["nowhere.jpg"])
    with pytest.raises(DataError, match=r"names no frame.*track nobody"):
        plan_purge(project, track="nobody")


def test_track_and_recording_narrow_and_names_stand_alone(asked):
    project, (first, second, third), _, _ = asked
    seconds = (second.captured_at, third.captured_at)
    plan = plan_purge(project, track="visitor", clip=first.clip, between=seconds)
    assert [frame.id for frame in plan.frames] == [second.id]
    assert plan.clips == {first.clip: 1}
    for words in ("track visitor", f"recording {first.clip}", f"{seconds[0]:g} to {seconds[1]:g}"):
        assert words in plan.request
    with pytest.raises(ConfigError, match="not both"):
        plan_purge(project, names=[third.name], track="visitor")
    with pytest.raises(ConfigError, match="belong to a recording"):
        plan_purge(project, track="visitor", between=seconds)
    with pytest.raises(DataError, match="no such recording"):
        plan_purge(project, track="visitor", clip="evening")


def test_what_a_purge_cannot_reach_is_always_told(asked, capsys):
    project, (first, second, _), (before, _), saved = asked
    project.store.put_run(RunRecord("run-7", before.id, "train", "done", 0, ".crossguard/runs/run-7"))
    saved.rename(saved.with_name("moved.zip"))
    arguments = ["purge", "--track", "visitor", "--reason", "r 17", "--project", str(project.root)]
    for more in ([], ["--yes"], ["--finish"]):
        given = ["purge", "--finish", *arguments[-2:]] if more == ["--finish"] else [*arguments, *more]
        app(given, standalone_mode=False)
        told = "".join(capsys.readouterr().out.split())
        for words in (str(saved), "run-7", "exports"):
            assert words in told, (more, words)
        if "--finish" not in more:
            assert first.source in told
            assert f"2framesofrecording{first.clip}" in told
    assert project.store.frames(ids=[first.id, second.id]) == []


def test_a_log_that_somebody_reads_is_told_and_emptied_later(asked, tmp_path, monkeypatch):
    project, *_ = asked
    vacuum = Store.vacuum
    monkeypatch.setattr(Store, "vacuum", lambda store: vacuum(store, wait=0.05))
    with closing(sqlite3.connect(project.state_dir / "crossguard.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT COUNT(*) FROM frames").fetchone() == (24,)
        report = purge(project, plan_purge(project, track="visitor"), reason="request 17")
        assert any("-wal" in text and "--finish" in text for text in report.by_hand)
        assert _places(tmp_path, MARK.encode())
        reader.execute("COMMIT")
    report = finish_purge(project)
    assert not any("-wal" in text for text in report.by_hand)
    assert _places(tmp_path, MARK.encode()) == []


def test_the_command_only_tells_until_it_is_told(asked, capsys):
    project, (first, *_), _, _ = asked
    arguments = [
        "purge",
        "--clip",
        first.clip,
        "--from",
        str(first.captured_at),
        "--to",
        str(first.captured_at),
    ]
    app([*arguments, "--project", str(project.root)], standalone_mode=False)
    assert "would erase 1 frames" in capsys.readouterr().out
    assert project.store.frame(first.id)
    app([*arguments, "--reason", "r 17", "--yes", "--project", str(project.root)], standalone_mode=False)
    assert "erased 1 frames" in capsys.readouterr().out
    assert project.store.frames(ids=[first.id]) == []
