"""check finds whatever is broken; backups come back whole, also from one kind of database into the other."""

import importlib.util
import sqlite3
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from curate.annotations import Decision, DecisionKind, Issue, IssueType, Proposal, ProposalKind
from curate.errors import ConflictError, FormatError, StoreError
from curate.review import decide, undo_last
from curate.store import Store
from curate.versions import get_version
from curate.workflows.backup import backup, restore
from curate.workflows.database import check, upgrade
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot

_FILE = Path(__file__).parents[1] / "store" / "backends.py"
_spec = importlib.util.spec_from_file_location("crossguard_test_backends", _FILE)
backends = sys.modules.get(_spec.name) or importlib.util.module_from_spec(_spec)
if _spec.name not in sys.modules:
    sys.modules[_spec.name] = backends
    _spec.loader.exec_module(backends)


def _labels(project):
    return project.store.annotations(source="cheap", label="person")


@pytest.fixture
def used(project):
    """Decided, undone, versioned."""
    store = project.store
    label = _labels(project)[0]
    store.upsert_issues(
        Issue(
            f"issue-{number}",
            IssueType.SPURIOUS,
            entry.frame_id,
            entry.id,
            entry.bbox_xyxy,
            entry.label,
            0.5,
            0.25,
            "looks empty",
            {},
            Proposal(ProposalKind.DELETE_LABEL),
        )
        for number, entry in enumerate(_labels(project)[:5])
    )
    snapshot(project, note="first", created_by="ann")
    decide(store, Decision("d1", DecisionKind.APPLY, "ann", issue_id="issue-1"))
    decide(store, Decision("d2", DecisionKind.RELABEL, "ann", annotation_id=label.id, label="car"))
    undo_last(store, "ann")
    snapshot(project, note="second", created_by="ann")
    return project


def _everything(store):
    with store.begin() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        return {
            table.name: sorted(map(str, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
            if table.name not in ("backups", "audit", "alembic_version")
        }


def test_a_project_in_use_is_clean(used):
    report = check(used)
    assert (report.findings, report.frames, report.versions) == ((), 24, 2)


BREAKS = {
    "UPDATE decisions SET issue_id = 'nowhere' WHERE id = 'd1'": "its issue_id points to no row of issues",
    "UPDATE issues SET frame_id = 'nowhere' WHERE id = 'issue-2'": "its frame_id points to no row of frames",
    "DELETE FROM annotation_revisions WHERE revision = 0 AND annotation_id = :label": "its history has a gap",
    "UPDATE annotations SET label = 'car' WHERE id = :label": "its head and its newest revision differ",
    "UPDATE annotation_revisions SET x1 = 0.5 WHERE revision = 0 AND annotation_id = :label": "not what they were",
    "UPDATE annotation_revisions SET decision_id = NULL WHERE decision_id = 'd1'": "effects and the label revisions",
    "UPDATE issues SET decision_id = NULL WHERE id = 'issue-1'": "decided, but by no decision",
    "UPDATE issues SET clip = 'evening' WHERE id = 'issue-3'": "its recording is not its frame's",
    "DELETE FROM decisions WHERE id = 'd2'": "points to no row of decisions",
    "UPDATE issue_tallies SET count = count + 1": "the kept counts differ from the issues",
    "DELETE FROM source_tallies WHERE source = 'cheap'": "the kept counts differ from the labels",
    "UPDATE audit SET actor = 'eve' WHERE sequence = 3": "audit entry 3",
    "DELETE FROM audit WHERE sequence = 2": "audit entry 3",
    "DELETE FROM version_parts": "no such version",
    "UPDATE versions SET content_hash = 'x' || content_hash": "manifest was changed",
    "UPDATE frames SET sha256 = 'ff' WHERE position = 3": "its picture was changed",
    "UPDATE gold_sets SET manifest = replace(manifest, 'gold:', 'old:')": "gold set gold-",
}


@pytest.mark.parametrize("statement", BREAKS)
def test_check_names_what_is_broken(used, statement):
    label = _labels(used)[0].id
    used.store.close()
    with closing(sqlite3.connect(used.state_dir / "crossguard.db")) as connection:
        values = {"label": label} if ":label" in statement else {}
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()
    report = check(used)
    assert not report.clean
    told = [f"{finding.item}: {finding.message}" for finding in report.findings]
    assert any(BREAKS[statement] in line for line in told), told


def test_check_names_files_that_are_gone_or_changed(used):
    first, second = used.store.frames()[:2]
    used.frame_path(first).unlink()
    used.frame_path(second).write_bytes(b"other")
    found = {finding.code: finding.item for finding in check(used).findings}
    assert found == {"file_missing": f"frame {first.name}", "file_hash": f"frame {second.name}"}
    assert "file_hash" not in {finding.code for finding in check(used, hashes=False).findings}


def test_what_can_be_made_again_is_repaired(used):
    file = next(used.versions_dir.iterdir())
    text = file.read_bytes()
    file.unlink()
    assert [finding.harmless for finding in check(used).findings] == [True]
    assert check(used).clean
    with used.store.begin() as connection:
        connection.execute(sa.text("DELETE FROM issue_tallies"))
    report = check(used, repair=True)
    assert (report.findings, len(report.repaired)) == ((), 2)
    assert file.read_bytes() == text


def test_a_damaged_database_file_is_told(used):
    used.store.close()
    file = used.state_dir / "crossguard.db"
    data = bytearray(file.read_bytes())
    for page in range(20, len(data) // 4096, 3):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(bytes(data))
    try:
        told = " ".join(finding.code for finding in check(used).findings)
    except StoreError as error:
        told = str(error)
    assert "damaged" in told


@pytest.mark.parametrize("kind", backends.PARAMS)
def test_a_backup_comes_back_whole_in_either_database(used, kind, request, tmp_path, monkeypatch):
    written = backup(used, tmp_path / "all.zip", frames=True)
    before = _everything(used.store)
    root = tmp_path / "other"
    root.mkdir()
    (root / "site.yaml").write_text((used.root / "site.yaml").read_text())
    monkeypatch.setenv("CROSSGUARD_DB", backends.database_url(kind, request, tmp_path))
    other = Project.open(root)
    report = restore(other, written.path)
    assert (report.rows, report.frames) == (written.rows, 24)
    assert _everything(other.store) == before
    found = check(other)
    assert [finding.message for finding in found.findings if not finding.harmless] == []
    assert check(other, repair=True).repaired
    # It goes on: the next numbers are free, undo works.
    undo_last(other.store, "ann")
    assert check(other).clean
    with pytest.raises(ConflictError, match="not empty"):
        restore(other, written.path)
    restore(other, written.path, replace=True)
    assert _everything(other.store) == before
    assert len(list(other.backups_dir.glob("before-restore-*.zip"))) == 1
    other.store.close()


def test_a_broken_backup_changes_nothing(used, tmp_path):
    written = backup(used, tmp_path / "all.zip")
    before = _everything(used.store)
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(written.path) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(
                name, data.replace(b'"person"', b'"car"') if name.endswith("revisions.jsonl") else data
            )
    with pytest.raises(FormatError, match=r"annotation_revisions.*SHA-256 differs"):
        restore(used, broken, replace=True)
    assert _everything(used.store) == before
    (tmp_path / "text.zip").write_bytes(b"no zip")
    with pytest.raises(FormatError, match="not a backup"):
        restore(used, tmp_path / "text.zip", replace=True)
    with pytest.raises(ConflictError, match="file already"):
        backup(used, broken)


def _rewritten(path, target, change):
    """The backup with each entry as `change(name, data)` gives it."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_a_damaged_picture_is_found_before_anything_is_replaced(used, tmp_path):
    written = backup(used, tmp_path / "all.zip", frames=True)
    *others, last = used.store.frames()
    broken = _rewritten(
        written.path, tmp_path / "broken.zip", lambda name, data: data[:-9] if last.path in name else data
    )
    decide(used.store, Decision("d3", DecisionKind.SKIP, "ann", issue_id="issue-4"))
    before, pictures = _everything(used.store), sorted(used.frame_files.folder.rglob("*.*"))
    assert restore(used, broken, replace=True).frames == 0, "a picture that is here whole is not read"
    restore(used, next(used.backups_dir.glob("before-restore-*.zip")), replace=True)
    for frame in (others[0], last):
        used.frame_path(frame).unlink()
    with pytest.raises(FormatError, match=rf"picture in the backup is damaged|{last.name}"):
        restore(used, broken, replace=True)
    assert _everything(used.store) == before
    assert sorted(used.frame_files.folder.rglob("*.*")) == sorted(
        set(pictures) - {used.frame_path(others[0]), used.frame_path(last)}
    )
    assert restore(used, written.path, replace=True).frames == 2
    assert check(used).clean


def test_a_database_that_refuses_leaves_no_picture_behind(used, tmp_path, monkeypatch):
    written = backup(used, tmp_path / "all.zip", frames=True)
    frame = used.store.frames()[0]
    used.frame_path(frame).unlink()

    def full(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr(Store, "read_tables", full)
    with pytest.raises(StoreError, match="full"):
        restore(used, written.path, replace=True)
    assert not used.frame_path(frame).exists()


def test_upgrade_copies_first(used):
    said = []
    used.store.close()
    before, after = upgrade(used, say=said.append)
    assert before == after
    copies = list(used.state_dir.glob("crossguard-before-*.db"))
    assert len(copies) == len(said) == 1
    with Store.open(copies[0]) as store:
        assert get_version(store, used.store.versions()[0].id)
