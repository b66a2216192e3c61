"""A project whose frames lie in an S3 bucket: all works as with a folder, and a lost line loses nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
import zipfile
from pathlib import Path

import pytest

from curate.cli.main import app
from curate.errors import CurateError, ProjectError
from curate.framefiles import RemoteFrames
from curate.framefiles.cache import PictureCache
from curate.workflows.backup import backup, restore
from curate.workflows.database import check
from curate.workflows.ingest import ingest
from curate.workflows.label_export import export_labels
from curate.workflows.progress import Quiet
from curate.workflows.project import Project
from curate.workflows.purge import plan_purge, purge
from curate.workflows.scan import scan


@pytest.fixture
def far(labelled_template: Path, tmp_path: Path, s3_server):
    """The labelled project, its frames moved into a bucket as a user would; and a view of the bucket."""
    root, url = tmp_path / "site", s3_server.bucket()
    shutil.copytree(labelled_template, root)
    there = s3_server.files()
    there.put(f"{root}/.crossguard/frames/", f"{url}/", recursive=True)
    shutil.rmtree(root / ".crossguard" / "frames")
    s3_server.declare(root, url)
    project = Project.open(root)
    yield project, there, url
    project.store.close()


def test_ingest_writes_into_the_bucket_and_only_there(empty_project: Project, video: Path, s3_server) -> None:
    url = s3_server.bucket()
    s3_server.declare(empty_project.root, url)
    project = Project.open(empty_project.root)
    assert ingest(project, [video]).added == 24
    assert ingest(project, [video]).known == 24
    frames = project.store.frames()
    stored = {path.removeprefix(url.removeprefix("s3://") + "/") for path in s3_server.files().find(url)}
    assert stored == {frame.path for frame in frames}
    assert not list(project.state_dir.rglob("*.jpg"))
    assert project.frame_image(frames[0]).shape == (240, 320, 3)
    assert check(project).findings == ()
    project.store.close()


@pytest.mark.slow
def test_scan_reads_each_picture_once_over_the_network(far, monkeypatch) -> None:
    root = far[0].root
    site = (root / "site.yaml").read_text()
    # Judges that hardly trained see hundreds of objects: their masks would take longer than all else.
    (root / "site.yaml").write_text(site.replace("model: {", "model: {mask_head: false, "))
    project, fetched = Project.open(root), []
    read = RemoteFrames.read
    monkeypatch.setattr(
        RemoteFrames, "read", lambda files, frame: fetched.append(frame.id) or read(files, frame)
    )
    scan(project)
    project.store.close()
    assert len(fetched) >= 12
    assert sorted(fetched) == sorted(set(fetched))


def test_check_looks_past_the_cache(far) -> None:
    project, there, url = far
    gone, changed, *_ = frames = project.store.frames()
    for frame in frames:
        project.frame_image(frame)
    there.rm_file(f"{url}/{gone.path}")
    there.pipe_file(f"{url}/{changed.path}", b"other")
    found = {(finding.code, finding.item) for finding in check(project).findings}
    assert found == {("file_missing", f"frame {gone.name}"), ("file_hash", f"frame {changed.name}")}
    assert {finding.code for finding in check(project, hashes=False).findings} == {"file_missing"}


def test_purge_erases_in_the_bucket_and_in_the_cache(far) -> None:
    project, there, url = far
    victim, other, *_ = project.store.frames()
    copy = project.frame_path(victim)
    project.frame_path(other)
    report = purge(project, plan_purge(project, names=[victim.name]), reason="request 9")
    assert report.frames == 1
    assert not copy.exists()
    assert not there.exists(f"{url}/{victim.path}")
    assert there.exists(f"{url}/{other.path}")
    assert [finding for finding in check(project).findings if not finding.harmless] == []
    there.pipe_file(f"{url}/{victim.path}", b"brought back by a sync")
    assert {finding.code for finding in check(project).findings} == {"purged"}
    purge(project, plan_purge(project, names=[other.name]), reason="request 10")
    assert not there.exists(f"{url}/{victim.path}")


def test_a_backup_says_what_it_copies_and_brings_it_back(far, tmp_path: Path, capsys) -> None:
    project, there, url = far
    with pytest.raises(SystemExit) as ended:
        app(["db", "backup", str(tmp_path / "labels.zip"), "--project", str(project.root)])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "0 pictures" in said
    assert f"they lie in {url}" in said
    assert backup(project, tmp_path / "all.zip", frames=True).frames == 24
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert not any("access" in name for name in archive.namelist())
        assert b"s3cret-key" not in b"".join(map(archive.read, archive.namelist()))
    there.rm(url, recursive=True)
    assert restore(project, tmp_path / "all.zip", replace=True).frames == 24
    assert check(project).clean


def test_export_copies_pictures_out_of_the_bucket(far, tmp_path: Path) -> None:
    project, there, url = far
    frames, _ = export_labels(project, tmp_path / "yolo", format="yolo", images=True)
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "yolo" / "images").rglob("*.jpg")}
    assert len(pictures) == frames
    frame = project.store.frame_by_name(min(pictures))
    assert pictures[frame.name] == there.cat_file(f"{url}/{frame.path}")


def test_who_else_can_read_the_access_options_is_refused(far) -> None:
    project, _, _ = far
    file = project.state_dir / "frames-access.json"
    file.chmod(0o644)
    with pytest.raises(CurateError, match="others can read") as caught:
        Project.open(project.root).frame_image(project.store.frames()[0])
    assert "s3cret" not in str(caught.value)


class At(Quiet):
    """Does something at the n-th report."""

    def __init__(self, number: int, what) -> None:
        self._left, self._what = number, what

    def update(self, share: float, message: str) -> None:
        self._left -= 1
        if self._left == 0:
            self._what()


@pytest.mark.fault
def test_a_store_that_stops_in_the_middle_of_an_ingest(
    empty_project: Project, video: Path, s3_of_its_own
) -> None:
    server = s3_of_its_own
    server.declare(empty_project.root, server.bucket())
    project = Project.open(empty_project.root)
    with pytest.raises(ProjectError, match="store of the frames cannot be used"):
        ingest(project, [video], reporter=At(10, server.stop))
    assert project.store.frames() == []  # No row without its picture: the batch was not finished.
    with pytest.raises(ProjectError, match="cannot be used"):
        ingest(project, [video])
    server.start()  # It comes back empty: the worst case.
    with pytest.raises(ProjectError, match="bucket does not exist"):
        ingest(project, [video])
    server.files().mkdir("junction-1")
    assert ingest(project, [video]).added == 24
    assert check(project).findings == ()
    server.stop()
    frame = project.store.frames()[0]
    for what in (
        lambda: check(project),
        lambda: purge(project, plan_purge(project, names=[frame.name]), reason="request 1"),
        lambda: project.frame_image(frame),
    ):
        with pytest.raises(ProjectError, match="cannot be used"):
            what()
    assert project.store.frame(frame.id) == frame  # The purge had changed nothing.
    assert not list(project.state_dir.rglob("*.tmp"))
    project.store.close()


class CutLine:
    """A line to a server that breaks for good after so many bytes in one direction."""

    def __init__(self, port: int, *, up: int = 1 << 40, down: int = 1 << 40) -> None:
        self._target, self._left = port, {"up": up, "down": down}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, sink, way in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pass, args=(source, sink, way), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while self._left[way] > 0 and (data := source.recv(min(4096, self._left[way]))):
                self._left[way] -= len(data)
                sink.sendall(data)
        if self._left[way] <= 0:
            self.close()
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


@pytest.mark.fault
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_line_that_breaks_inside_a_picture(far, way: str, s3_server, tmp_path: Path) -> None:
    project, there, url = far
    frame = project.store.frames()[0]
    data = there.cat_file(f"{url}/{frame.path}")
    line = CutLine(s3_server.port, **{way: 5000 if way == "up" else 3000})
    broken = s3_server.options | {"endpoint_url": f"http://127.0.0.1:{line.port}"}
    files = RemoteFrames(url, broken, PictureCache(tmp_path / "cache", 1 << 20))
    assert len(data) > 6000
    if way == "down":
        with pytest.raises(ProjectError, match="cannot be used"):
            files.path(frame)
    else:
        there.rm_file(f"{url}/{frame.path}")
        with pytest.raises(ProjectError, match="cannot be used"):
            files.write(frame.path, data)
        assert there.find(url).count(f"{url.removeprefix('s3://')}/{frame.path}") == 0
        project.frame_files.write(frame.path, data)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert project.frame_path(frame).read_bytes() == data
    line.close()


def test_the_access_options_may_lie_elsewhere(far, monkeypatch, tmp_path: Path) -> None:
    project, _, _ = far
    named = tmp_path / "elsewhere.json"
    (project.state_dir / "frames-access.json").rename(named)
    monkeypatch.setenv("CROSSGUARD_FRAMES_ACCESS", str(named))
    fresh = Project.open(project.root)
    assert fresh.frame_image(project.store.frames()[0]).shape == (240, 320, 3)
    assert json.loads(named.read_text())["key"] == "reader"
