"""The editor's helper process: masks for clicks, detections, the difference picture; it comes back when it dies."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from curate.errors import CurateError, DataError, ModelError
from curate.geometry.polygons import to_mask
from curate.geometry.rle import mask_to_rle
from curate.store import RunRecord
from curate.store.serialize import mask_from_dict
from curate.tables import Detections
from curate.workflows.assist_client import AssistClient
from curate.workflows.assist_overlays import Overlays
from curate.workflows.assist_worker import AssistWorker, tidy
from curate.workflows.ingest import ingest

WAIT = 300


@pytest.fixture
def filled(empty_project, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        picture = np.full((120, 160, 3), 110, np.uint8)
        picture[30:90, 40 + number : 100 + number] = (200, 40, 40)
        Image.fromarray(picture).save(folder / f"{number}.png")
    ingest(empty_project, [folder])
    return empty_project


@pytest.fixture
def client(filled):
    running = AssistClient(filled)
    yield running
    running.close()


@pytest.mark.slow
def test_a_click_gives_the_thing_under_it_and_a_dead_process_comes_back(filled, client) -> None:
    frame = sorted(filled.store.frames(), key=lambda entry: entry.name)[0]
    assert client.request("ready", frame=frame.id).result(WAIT) == {"ready": True}
    answer = client.request("segment", frame=frame.id, points=[[70, 60]], positive=[True]).result(WAIT)
    mask = to_mask(mask_from_dict(answer["mask"]), 120, 160)
    truth = np.zeros((120, 160), bool)
    truth[30:90, 40:100] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9
    boxed = client.request("segment", frame=frame.id, box=[38, 28, 102, 92]).result(WAIT)
    assert np.allclose(boxed["bbox_xyxy"], (40, 30, 100, 90), atol=3)
    with pytest.raises(DataError, match="no such frame"):
        client.request("segment", frame="nowhere", points=[[1, 1]], positive=[True]).result(WAIT)
    client._process.kill()
    client._process.wait()
    waiting = client.request("difference", frame=frame.id)
    try:
        waiting.result(WAIT)
    except (ModelError, CurateError):  # asked for while the pipe was breaking
        waiting = client.request("difference", frame=frame.id)
    name = waiting.result(WAIT)["file"]
    with Image.open(filled.cache_dir / name) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (160, 120))


def test_detections_are_kept_and_errors_are_answers(filled, monkeypatch) -> None:
    worker = AssistWorker(filled)
    frame = filled.store.frames()[0]
    first = worker.handle({"id": 1, "op": "detect", "frame": frame.id, "run": "bundled"})
    assert first["id"] == 1
    assert all(0.05 <= shape["score"] <= 1 for shape in first["result"]["shapes"])
    monkeypatch.setattr(worker._overlays, "_detections", lambda *_: pytest.fail("computed twice"))
    assert (
        worker.handle({"id": 2, "op": "detect", "frame": frame.id, "run": "bundled"})["result"]
        == first["result"]
    )
    assert "no such operation" in worker.handle({"id": 3, "op": "erase"})["error"]
    assert "TypeError" in worker.handle({"id": 4, "op": "detect", "nonsense": 1})["error"]


def test_a_trained_runs_masks_come_as_outlines(filled, monkeypatch) -> None:
    class Masked:
        has_masks = True
        classes = ("person", "car")

        def predict(self, images, *, masks: bool) -> list[Detections]:
            mask = np.zeros((120, 160), bool)
            mask[30:90, 40:100] = masks
            boxes = np.array([(40.0, 30, 100, 90), (-4, 30, 20, 60), (5, 5, 5.2, 9)])
            scores, classes = np.array([0.8, 0.4, 0.9]), np.array([1, 0, 0])
            return [Detections(boxes, scores, classes, (mask_to_rle(mask),) * 3)]

    filled.store.put_run(RunRecord("r1", None, "site", "done", 0, "runs/r1"))
    monkeypatch.setattr("curate.workflows.evaluate.load_detector", lambda *_: Masked())
    frame = filled.store.frames()[0]
    answer = AssistWorker(filled).handle({"id": 1, "op": "detect", "frame": frame.id, "run": "r1"})
    first, second = answer["result"]["shapes"]
    assert (first["label"], first["bbox_xyxy"], first["score"]) == ("car", [40, 30, 100, 90], 0.8)
    assert first["mask"]["polygons"][0]["exterior"][0] in ([40, 30], [40, 90], [100, 30], [100, 90])
    assert second["bbox_xyxy"] == [0, 30, 20, 60]
    missing = AssistWorker(filled).handle({"id": 2, "op": "detect", "frame": frame.id, "run": "gone"})
    assert "no such run" in missing["error"]


def test_suggestions_are_outlined_once(filled, monkeypatch) -> None:
    frame = filled.store.frames()[0].id
    own = {"polygons": [{"exterior": [[1, 1], [9, 1], [9, 9]]}]}
    shapes = [
        {
            "label": "person",
            "bbox_xyxy": [5 * n, 0, 5 * n + 20, 30],
            "mask": own if n == 1 else None,
            "score": 0.5,
        }
        for n in range(4)
    ]
    asked: list[float] = []

    def outline(frame_id: str, box) -> dict | None:
        if box[0] == 15:
            raise DataError("another frame was opened before this one was read")
        asked.append(box[0])
        return None if box[0] == 10 else {"polygons": [{"exterior": [[box[0], 0], [9, 0], [9, 9]]}]}

    monkeypatch.setattr(Overlays, "_detections", lambda *_: shapes)
    overlays = Overlays(filled, outline)
    first, second, third = overlays.outlines(frame, "bundled", [0, 1, 2])
    assert (first["polygons"][0]["exterior"][0], second, third) == ([0, 0], own, None)
    assert Overlays(filled, outline).outlines(frame, "bundled", [2, 0]) == [None, first]
    assert asked == [0, 10], "kept, also that nothing stands out there; a run's own mask is none of ours"
    with pytest.raises(DataError, match="another frame"):
        overlays.outlines(frame, "bundled", [3])
    for wrong in ([4], [-1], [0] * 33):
        with pytest.raises(DataError, match="shapes"):
            overlays.outlines(frame, "bundled", wrong)
    assert (
        "no such frame"
        in AssistWorker(filled).handle(
            {"id": 1, "op": "outline", "frame": "f", "run": "bundled", "shapes": [0]}
        )["error"]
    )


def test_specks_and_pinholes_go_and_what_was_clicked_stays() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:40, 10:50] = True
    mask[20, 20] = False
    mask[50:52, 70:72] = True
    clean = tidy(mask)
    assert clean[20, 20]
    assert not clean[50, 70]
    assert tidy(mask, [(70.5, 50.5)])[50, 70]
    assert not tidy(np.zeros((4, 4), bool)).any()
