"""The app's pictures when frames lie in an S3 bucket."""

from __future__ import annotations

import io
import shutil

import pytest
from PIL import Image

from crossguard_app.resources import image_url
from curate.annotations import replace
from curate.workflows.project import Project


@pytest.fixture
def far(sample, s3_of_its_own):
    root, url = sample.project.root, s3_of_its_own.bucket()
    folder = root / ".crossguard" / "frames"
    s3_of_its_own.files().put(f"{folder}/", f"{url}/", recursive=True)
    shutil.rmtree(folder)
    s3_of_its_own.declare(root, url)
    project = Project.open(root)
    yield project, s3_of_its_own, url
    project.store.close()


def test_the_queues_pictures_come_from_the_bucket(far, get) -> None:
    project, server, url = far
    frame, other, *_ = project.store.frames()
    stored = server.files().cat_file(f"{url}/{frame.path}")
    status, headers, body = get(image_url(project, frame))
    assert (status, headers["content-type"], body == stored) == (200, "image/jpeg", True)
    _, _, body = get(image_url(project, other, width=160))
    assert Image.open(io.BytesIO(body)).size == (160, 120)
    server.stop()
    assert get(image_url(project, frame))[0] == 200  # Looked at before: its copy is here.
    status, headers, body = get(image_url(project, project.store.frames()[5]))
    assert (status, headers["content-type"].split(";")[0]) == (500, "text/plain")
    assert b"store of the frames" in body
    assert b"s3cret" not in body


def test_a_picture_that_the_bucket_does_not_have_and_a_path_out_of_it(far, get) -> None:
    project, server, url = far
    frame, *_ = project.store.frames()
    server.files().rm_file(f"{url}/{frame.path}")
    assert get(image_url(project, frame))[0] == 404
    (project.root / "private.jpg").write_bytes(b"private")
    for number, path in enumerate(("../../../private.jpg", str(project.root / "private.jpg"))):
        false = replace(frame, id=f"{number:032x}", name=f"false {number}", path=path)
        project.store.add_frames([false])
        status, _, body = get(image_url(project, false))
        assert (status, b"private" in body) == (404, False)
