"""`curate predict` and `curate export-model` on a rendered junction."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import curate
from curate.errors import ConfigError, DataError, NotFoundError, ProjectError
from curate.files import read_json
from curate.geometry import box_iou
from curate.geometry.rle import rle_to_mask
from curate.workflows.evaluate import load_detector
from curate.workflows.export_model import export_model
from curate.workflows.footage import open_footage, without_password
from curate.workflows.predict import images_file, predict
from curate.workflows.progress import Quiet
from curate.workflows.project import Project
from curate.workflows.runs import newest_run
from curate.workflows.snapshot import snapshot
from curate.workflows.train import train_version

pytestmark = pytest.mark.usefixtures("one_thread")


EXAMPLE = Path(curate.__file__).parents[1] / "docs" / "examples" / "run_model.py"


@pytest.fixture(scope="module")
def trained(labelled_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("trained") / "site"
    shutil.copytree(labelled_template, root)
    project = Project.open(root)
    train_version(project, snapshot(project).id)
    yield project
    project.store.close()


@pytest.fixture(scope="module")
def pictures(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index, frame in enumerate(trained.store.frames()[:3]):
        shutil.copyfile(trained.frame_path(frame), folder / f"frame_{index + 8}.jpg")
    (folder / "notes.txt").write_text("not an image")
    return folder


def size_and_frames(path: Path) -> tuple[tuple[int, int], int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return (stream.width, stream.height), sum(1 for _ in container.decode(stream))


def test_a_video_gives_a_video_and_coco_results(trained: Project, video: Path, tmp_path: Path) -> None:
    report = predict(
        trained, str(video), video=tmp_path / "found.mp4", coco=tmp_path / "found.json", score=0.05, every_n=4
    )
    assert report.pictures == 6
    assert report.run == newest_run(trained).id
    with av.open(str(video)) as container:
        size = (container.streams.video[0].width, container.streams.video[0].height)
    assert size_and_frames(tmp_path / "found.mp4") == (size, 6)
    results = read_json(tmp_path / "found.json")
    images = read_json(images_file(tmp_path / "found.json"))
    assert [entry["frame"] for entry in images["images"]] == [0, 4, 8, 12, 16, 20]
    assert [entry["seconds"] for entry in images["images"]] == [0, 4, 8, 12, 16, 20]
    assert len(results) == report.detections > 0
    assert {row["image_id"] for row in results} <= {entry["id"] for entry in images["images"]}
    assert min(row["score"] for row in results) >= 0.05
    assert all(min(row["bbox"]) >= 0 and row["bbox"][2] > 0 for row in results)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "found.images.json",
        "found.json",
        "found.mp4",
    ]


def test_a_folder_is_read_in_natural_order_with_masks(
    trained: Project, pictures: Path, tmp_path: Path
) -> None:
    report = predict(trained, str(pictures), coco=tmp_path / "found.json", score=0.05, masks=True)
    names = [entry["file_name"] for entry in read_json(tmp_path / "found.images.json")["images"]]
    assert names == ["frame_8.jpg", "frame_9.jpg", "frame_10.jpg"]
    rows = read_json(tmp_path / "found.json")
    assert report.pictures == 3
    assert all(set(row["segmentation"]) == {"size", "counts"} for row in rows)
    one = predict(trained, str(pictures / "frame_9.jpg"), run="generic", coco=tmp_path / "one.json")
    assert one.pictures == 1
    assert one.run.startswith("generic")


def test_a_stream_is_read_and_ends_when_it_should(trained: Project, video: Path, tmp_path: Path) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(video.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://ann:secret@127.0.0.1:{server.server_port}/{video.name}?token=1"
        report = predict(trained, address, video=tmp_path / "live.mp4", most_seconds=5)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert report.pictures == 6
    assert not report.stopped
    assert "secret" not in report.source
    assert "token" not in report.source
    assert size_and_frames(tmp_path / "live.mp4")[1] == 6


class StopAtThird(Quiet):
    def __init__(self) -> None:
        self.seen = 0

    def update(self, fraction: float, message: str) -> None:
        self.seen += 1

    def should_stop(self) -> bool:
        return self.seen >= 3


def test_stopped_early_it_keeps_what_it_saw(trained: Project, video: Path, tmp_path: Path) -> None:
    report = predict(
        trained, str(video), video=tmp_path / "found.mp4", coco=tmp_path / "f.json", reporter=StopAtThird()
    )
    assert report.stopped
    assert report.pictures == 3
    assert size_and_frames(tmp_path / "found.mp4")[1] == 3
    assert len(read_json(tmp_path / "f.images.json")["images"]) == 3


def test_what_cannot_be_predicted_says_why(
    trained: Project, empty_project: Project, pictures: Path, video: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        predict(trained, str(video))
    with pytest.raises(ProjectError, match="no such folder"):
        predict(trained, str(video), coco=tmp_path / "no" / "found.json")
    for source, reason in (
        (str(tmp_path / "missing.mp4"), "no such file"),
        (str(pictures / "notes.txt"), "not a video"),
        (str(tmp_path), "holds no image"),
        ("gopher://127.0.0.1/x", "address of"),
        ("http://ann:secret@127.0.0.1:9/x.mp4", "not a video or stream"),
    ):
        with pytest.raises(DataError, match=reason) as caught:
            predict(trained, source, video=tmp_path / "found.mp4")
        assert "secret" not in str(caught.value)
    with pytest.raises(NotFoundError, match="no such run"):
        predict(trained, str(video), run="nobody", coco=tmp_path / "found.json")
    with pytest.raises(NotFoundError, match="no detector has been trained"):
        predict(empty_project, str(video), coco=tmp_path / "found.json")
    assert not list(tmp_path.glob("*.mp4"))
    assert not list(tmp_path.glob(".*"))


def test_a_video_cut_short_gives_its_good_frames(video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    footage = open_footage(str(tmp_path / "cut.avi"), max_pixels=10**7)
    assert 5 < sum(1 for _ in footage.pictures) < 24
    assert without_password("rtsp://u:p@host:554/live?x=1") == "rtsp://host:554/live"


def run_example(folder: Path, names: list[str], tmp_path: Path) -> list[list]:
    """The program of the documentation, 30 lines, in a process where importing torch or curate fails."""
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    blocker = tmp_path / "blocker"
    for package in ("torch", "torchvision", "curate"):
        (blocker / package).mkdir(parents=True, exist_ok=True)
        (blocker / package / "__init__.py").write_text("raise ImportError('not here')\n")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(folder), *names],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(blocker), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_exported_model_runs_without_torch(trained: Project, pictures: Path, tmp_path: Path) -> None:
    report = export_model(trained, tmp_path / "model")
    assert set(report.files) == {"model.onnx", "signature.json"}
    signature = read_json(tmp_path / "model" / "signature.json")
    assert signature["classes"] == ["person", "car"]
    assert signature["masks"] is True
    assert signature["version"]["id"] == newest_run(trained).version_id
    assert len(signature["version"]["content_hash"]) == 64
    signature["thresholds"]["score"] = 0.05
    (tmp_path / "model" / "signature.json").write_text(json.dumps(signature))
    names = [shutil.copy(pictures / f"frame_{number}.jpg", tmp_path) for number in (8, 9)]
    found = run_example(tmp_path / "model", names, tmp_path)
    detector = load_detector(trained, newest_run(trained))
    for name in names:
        frame = next(f for f in open_footage(name, max_pixels=10**8).pictures)
        expected = detector.predict([frame.image], masks=True, score=0.05)[0]
        mine = [row for row in found if row[0] == name]
        assert len(mine) == len(expected) > 0
        # JPEGs are decoded by another library there: a grey level here and there.
        np.testing.assert_allclose([score for _, _, score, _ in mine], expected.scores, atol=0.02)
        assert [label for _, label, _, _ in mine] == [detector.classes[at] for at in expected.classes]
        own = np.array([box for _, _, _, box in mine])
        assert np.diag(box_iou(own, expected.boxes)).mean() > 0.95
        drawn, given = cv2.imread(str(Path(name).with_suffix(".found.png"))), cv2.imread(name)
        assert drawn.shape == frame.image.shape
        masks = np.any([rle_to_mask(mask) for mask in expected.masks], axis=0)
        frames = np.zeros(masks.shape, np.uint8)
        for x1, y1, x2, y2 in own.round().astype(int).tolist():
            cv2.rectangle(frames, (x1, y1), (x2, y2), 1, 5)
        dark = (drawn != given).any(2) & (frames == 0)
        assert (dark == (masks & (frames == 0))).mean() > 0.98


def test_an_export_without_masks_runs_too(trained: Project, pictures: Path, tmp_path: Path) -> None:
    report = export_model(trained, tmp_path / "model", masks=False)
    signature = read_json(tmp_path / "model" / "signature.json")
    assert signature["masks"] is False
    assert report.model_bytes < export_model(trained, tmp_path / "whole").model_bytes
    name = shutil.copy(pictures / "frame_8.jpg", tmp_path)
    assert run_example(tmp_path / "model", [name], tmp_path)


def test_an_export_needs_one_frame_size(empty_project: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no detector"):
        export_model(empty_project, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_generic_detector_is_not_exported(trained: Project, tmp_path: Path) -> None:
    from curate.errors import ModelError

    with pytest.raises(ModelError, match="trained on the site"):
        export_model(trained, tmp_path / "model", run="generic")
