"""The places for pictures: what they take, and that nothing leads out of them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from curate.annotations import Frame
from curate.config import parse_site
from curate.errors import ConfigError, ImageError, ProjectError
from curate.framefiles import LocalFrames, RemoteFrames, checked_path, open_frame_files
from curate.framefiles.cache import PictureCache

pytest.importorskip("fsspec")


def picture(content: bytes) -> Frame:
    digest = hashlib.sha256(content).hexdigest()
    frame_id = digest[:32]
    return Frame(
        id=frame_id, name=f"{frame_id}.jpg", camera="c", clip="c", index=0, captured_at=0.0, wall_time=False,
        width=4, height=4,
        sha256=digest, path=f"{frame_id[:2]}/{frame_id}.jpg", source="s",
    )  # fmt: skip


@pytest.fixture(params=["folder", "memory", "server"])
def files(request, tmp_path: Path):
    """A folder, a store whose objects appear whole, and one in which a file can be seen growing."""
    if request.param == "folder":
        return LocalFrames(tmp_path / "frames")
    cache = PictureCache(tmp_path / "cache", 1 << 20)
    if request.param == "memory":
        return RemoteFrames(f"memory://{tmp_path.name}/frames", {}, cache)
    (tmp_path / "far").mkdir()
    return RemoteFrames(f"file://{tmp_path}/far", {}, cache)


def test_a_picture_goes_in_and_comes_out(files) -> None:
    frame, data = picture(b"one"), b"one"
    assert not files.exists(frame.path)
    assert files.digest(frame) is None
    with pytest.raises(ImageError):
        files.read(frame)
    files.write(frame.path, data)
    files.write(frame.path, data)
    assert files.exists(frame.path)
    assert files.digest(frame) == frame.sha256
    assert files.read(frame) == data
    assert files.path(frame).read_bytes() == data
    assert files.path(frame).is_relative_to(files.folder)
    assert files.leftovers() == []
    files.expect_reachable()


def test_erasing_takes_pictures_and_copies_of_those_frames_only(files) -> None:
    gone, stays = picture(b"one"), picture(b"two")
    for frame, data in ((gone, b"one"), (stays, b"two")):
        files.write(frame.path, data)
        files.path(frame)
    found = list(files.copies([gone.id, "f" * 32]))
    assert {frame_id for frame_id, _ in found} == {gone.id}
    assert files.erase([gone.id, "f" * 32]) == len(found)
    assert not files.exists(gone.path)
    assert list(files.copies([gone.id])) == []
    assert files.path(stays).read_bytes() == b"two"


@pytest.mark.parametrize("frame_id", ["*", "{}*", "{}/../..", "../{}", "../../site", "{}?", ""])
def test_an_id_of_somebody_else_erases_nothing(files, tmp_path: Path, frame_id: str) -> None:
    frame = picture(b"one")
    files.write(frame.path, b"one")
    (tmp_path / "site.yaml").write_text("classes: [person]")
    hostile = frame_id.format(frame.id[:3])
    assert list(files.copies([hostile])) == []
    assert files.erase([hostile]) == 0
    assert files.exists(frame.path)
    assert (tmp_path / "site.yaml").exists()


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../out.jpg", "ab/../../out.jpg", "ab//x.jpg", "./x.jpg", "ab\\..\\x", "ab/x\n.jpg",
     "s3://other/x.jpg", "ab/x?versionId=1", "ab/x#1", "ab/*.jpg", "ab/x::zip", "x" * 300],
)  # fmt: skip
def test_no_path_leads_out(files, path: str) -> None:
    with pytest.raises(ImageError, match="leads out"):
        checked_path(path)
    frame = replace(picture(b"one"), path=path)
    for use in (
        files.path,
        files.read,
        lambda frame: files.exists(frame.path),
        files.digest,
        lambda _: files.write(path, b"x"),
    ):
        if use == files.digest and files.remote:
            continue  # It says that there is none.
        with pytest.raises(ImageError):
            use(frame)


def test_a_link_leads_no_picture_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "ab").symlink_to(tmp_path / "out")
    with pytest.raises(ImageError, match="link"):
        LocalFrames(tmp_path / "frames").write("ab/x.jpg", b"x")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_was_changed_elsewhere_is_not_taken(tmp_path: Path) -> None:
    files = RemoteFrames(f"memory://{tmp_path.name}", {}, PictureCache(tmp_path / "cache", 1 << 20))
    frame = picture(b"one")
    files.write(frame.path, b"other")
    with pytest.raises(ImageError, match="not the one that was stored"):
        files.path(frame)
    assert not list((tmp_path / "cache").rglob("*.jpg"))


def test_the_cache_stays_below_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, 100_000)
    for number in range(40):
        path = cache.put(f"ab/{number}.jpg", bytes(10_000))
        long_ago = time.time() - 1000 + number
        os.utime(path, (long_ago, long_ago))
        if cache.get("ab/0.jpg"):
            os.utime(tmp_path / "ab/0.jpg", (long_ago + 0.5, long_ago + 0.5))
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.jpg")]
    assert sum(sizes) <= 100_000
    assert len(sizes) >= 7
    assert cache.get("ab/0.jpg")
    assert cache.get("ab/1.jpg") is None
    assert cache.get("ab/39.jpg")


def test_what_was_just_handed_out_is_still_there_to_be_opened(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, 1000)
    paths = [cache.put(f"ab/{number}.jpg", bytes(500)) for number in range(10)]
    assert all(path.exists() for path in paths)


def opened(tmp_path: Path, url: str | None, access: str | None = None):
    return open_frame_files(
        url, folder=tmp_path / "own", cache=tmp_path / "cache", cache_mb=16, access=lambda: access
    )


def test_the_setting_chooses_the_place(tmp_path: Path) -> None:
    assert opened(tmp_path, None) == LocalFrames(tmp_path / "own")
    assert opened(tmp_path, f"file://{tmp_path}/nas") == LocalFrames(tmp_path / "nas")
    far = opened(tmp_path, "s3://bucket/prefix/", '{"key": "k", "secret": "very-secret"}')
    assert (far.remote, far.shown) == (True, "s3://bucket/prefix")


@pytest.mark.parametrize("protocol", ["http", "memory", "zip", "simplecache", "reference", "nothing"])
def test_places_that_keep_nothing_are_refused(tmp_path: Path, protocol: str) -> None:
    with pytest.raises(ConfigError, match="cannot be kept"):
        opened(tmp_path, f"{protocol}://bucket")


@pytest.mark.parametrize("text", ["", "[1]", "key=very-secret", "[" * 5000])
def test_access_options_that_are_none_are_refused_unquoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="JSON object") as caught:
        opened(tmp_path, "s3://bucket", text)
    assert "secret" not in str(caught.value).replace('"secret": "..."', "")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("bucket/prefix", "expected a URL"),
        ("s3://bucket/../other", "expected a URL"),
        ("s3://bucket/x?versionId=1", "expected a URL"),
        ("s3://bucket/a b", "expected a URL"),
        ("simplecache::s3://bucket", "expected a URL"),
        ("s3://bucket::zip", "chained"),
        ("sftp://ann:s3cret@host/x", "password"),
        ("file://relative/x", "whole"),
    ],
)
def test_a_url_that_is_none_is_an_error_of_its_line(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_site(f"classes: [person]\nframes:\n  url: {json.dumps(url)}\n")
    assert "line 3" in str(caught.value)


def test_s3_says_in_one_error_what_is_wrong(s3_server, tmp_path: Path) -> None:
    frame = picture(b"one")
    cache = PictureCache(tmp_path / "cache", 1 << 20)
    nowhere = RemoteFrames("s3://no-such-bucket/x", s3_server.options, cache)
    for use in (
        lambda f: nowhere.exists(f.path),
        nowhere.read,
        nowhere.digest,
        lambda _: nowhere.expect_reachable(),
    ):
        with pytest.raises(ProjectError, match="no such bucket"):
            use(frame)
    unreached = RemoteFrames(
        "s3://bucket", {**s3_server.options, "endpoint_url": "http://127.0.0.1:9"}, cache
    )
    for use in (
        lambda f: unreached.exists(f.path),
        unreached.read,
        lambda f: unreached.write(f.path, b"one"),
        unreached.path,
    ):
        with pytest.raises(ProjectError, match=r"cannot be used: EndpointConnectionError") as caught:
            use(frame)
        assert "s3cret" not in str(caught.value)


def test_a_picture_that_was_cut_off_in_the_store_is_written_again(s3_server, tmp_path: Path) -> None:
    url = s3_server.bucket()
    files = RemoteFrames(url, s3_server.options, PictureCache(tmp_path / "cache", 1 << 20))
    frame = picture(b"one whole picture")
    s3_server.files().pipe_file(f"{url}/{frame.path}", b"one wh")
    files.write(frame.path, b"one whole picture")
    assert files.path(frame).read_bytes() == b"one whole picture"


def test_a_forked_process_reaches_the_store_too(s3_server, tmp_path: Path) -> None:
    files = RemoteFrames(s3_server.bucket(), s3_server.options, PictureCache(tmp_path / "cache", 1 << 20))
    frame = picture(b"one")
    files.write(frame.path, b"one")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if files.read(frame) == b"one" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
