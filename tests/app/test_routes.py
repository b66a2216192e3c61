"""The picture route: only addresses that the app signed, only files of the project, to be kept for good."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from crossguard_app.resources import image_url, project_secret
from crossguard_app.routes import asset_url, modules_of
from crossguard_app.signing import read_secret, sign
from curate.annotations import replace
from curate.errors import ProjectError


def test_a_frame_comes_as_stored_and_may_be_kept(sample, get) -> None:
    frame = sample.project.store.frames()[0]
    status, headers, body = get(image_url(sample.project, frame))
    assert status == 200
    assert body == sample.project.frame_path(frame).read_bytes()
    assert "immutable" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "image/jpeg"


def test_thumbnails_and_crops(sample, get) -> None:
    frame = sample.project.store.frames()[0]
    _, _, body = get(image_url(sample.project, frame, width=160))
    assert Image.open(io.BytesIO(body)).size == (160, 120)
    _, _, body = get(image_url(sample.project, frame, width=240, box=(10, 20, 70, 140)))
    assert Image.open(io.BytesIO(body)).size == (240, 480)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.split("?")[0],
        lambda url: url.replace("s=", "s=0"),
        lambda url: url + "&w=160",
        lambda url: url + "&b=0,0,10,10",
        lambda url: url.replace("/image/", "/image/..%2f"),
        lambda url: url.replace("/image/", "/image/f"),
    ],
    ids=["unsigned", "wrong", "another size", "another crop", "path", "another frame"],
)
def test_an_address_that_the_app_did_not_write_is_refused(sample, get, change) -> None:
    status, _, _ = get(change(image_url(sample.project, sample.project.store.frames()[0])))
    assert status in (403, 404)


def test_a_file_outside_the_frame_folder_is_never_served(sample, get) -> None:
    project = sample.project
    secret = project.root / "private.jpg"
    secret.write_bytes(b"private")
    frame = project.store.frames()[0]
    for number, path in enumerate(("../../private.jpg", str(secret), "link.jpg")):
        (project.frame_files.folder / "link.jpg").unlink(missing_ok=True)
        (project.frame_files.folder / "link.jpg").symlink_to(secret)
        false = replace(frame, id=f"{number:032x}", name=f"false {number}", path=path)
        project.store.add_frames([false])
        status, _, body = get(image_url(project, false))
        assert (status, b"private" in body) == (404, False)


def test_an_unknown_frame_and_a_file_that_is_no_picture(sample, get) -> None:
    project = sample.project
    frame = project.store.frames()[0]
    assert get(image_url(project, replace(frame, id="0" * 32)))[0] == 404
    project.frame_path(frame).write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    for width in (0, 160):
        status, headers, body = get(image_url(project, frame, width=width))
        assert (status, headers["content-type"].split(";")[0]) == (422, "text/plain")
        assert headers["x-content-type-options"] == "nosniff"
        assert b"svg" not in body


def test_a_file_is_served_as_what_it_is(sample, get) -> None:
    project = sample.project
    frame = project.store.frames()[0]
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240)).save(buffer, "PNG")
    project.frame_path(frame).write_bytes(buffer.getvalue())  # its name still ends in .jpg
    status, headers, _ = get(image_url(project, frame))
    assert (status, headers["content-type"]) == (200, "image/png")


def test_a_picture_that_no_browser_should_be_handed(sample, get) -> None:
    project = sample.project
    frame = project.store.frames()[0]
    Image.new("L", (10_000, 10_000)).save(project.frame_path(frame), "JPEG", quality=1)
    for width in (0, 160):
        status, _, body = get(image_url(project, frame, width=width))
        assert status == 422
        assert b"pixels" in body


def test_modules_are_served_by_name_only(get) -> None:
    status, headers, body = get(asset_url("main.js"))
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/javascript")
    assert b"export default" in body
    assert get(asset_url("editor.py"))[0] == 404
    assert get(asset_url("..%2fsigning.py"))[0] == 404


def test_a_module_is_known_with_all_that_it_imports(get) -> None:
    modules = modules_of("main.js")
    assert {"main.js", "workbench.js", "queue_parts.js", "queue_strip.js", "geometry.js"} <= set(modules)
    assert "gallery.js" not in modules
    assert {get(asset_url(name))[0] for name in modules} == {200}


def test_the_secret_belongs_to_its_owner_and_stays(sample) -> None:
    path = sample.project.state_dir / "app-secret"
    first = project_secret(sample.project)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(path) == first
    assert sign(first, "a", "b") != sign(first, "ab", "")
    path.write_bytes(b"short")
    with pytest.raises(ProjectError, match="delete it"):
        read_secret(path)
