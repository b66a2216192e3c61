"""The scene page's values: places, sizes, the camera's health, and what the browser may draw."""

from __future__ import annotations

import numpy as np
import pytest

from crossguard_app.components.scene import SceneRegion, drawn_regions
from crossguard_app.presenters.scene import (
    camera_rows,
    camera_state,
    place_cards,
    place_layers,
    place_sentence,
    plate_picture,
    region_list,
    size_lines,
    size_points,
    stored_form,
    unusual,
)
from curate.annotations import Annotation
from curate.errors import DataError
from curate.issues.hints import HintTable
from curate.scene.plate import Plate, save_plate
from curate.store import Artifact
from curate.tables import Detections
from curate.workflows.dataset import working_frames
from curate.workflows.frame_evidence import FrameEvidence, save_evidence
from curate.workflows.regions import Regions
from curate.workflows.site_scene import (
    FrameNote,
    camera_health,
    ghost_places,
    scene_sizes,
    standing_places,
    stored_plates,
)

GHOST = (200.0, 20.0, 220.0, 60.0)
SQUARE = ((0.0, 0.0), (50.0, 0.0), (50.0, 50.0))


def evidence(boxes: list, foreground: float) -> FrameEvidence:
    count = len(boxes)
    nothing, whole = np.zeros(0), np.zeros(0, np.int64)
    return FrameEvidence(
        detections=Detections(
            np.array(boxes, float).reshape(-1, 4), np.full(count, 0.6), np.zeros(count, np.int64)
        ),
        detection_foreground=np.full(count, foreground),
        detection_unexplained=np.full(count, foreground),
        class_probs=np.zeros((0, 4)),
        refined_boxes=np.zeros((0, 4)),
        location_scores=nothing,
        mask_scores=nothing,
        masks=(),
        foreground=nothing,
        edge_contrast=nothing,
        snapped_boxes=np.zeros((0, 4)),
        hints=HintTable(
            frames=whole,
            boxes=np.zeros((0, 4)),
            classes=whole,
            sources=whole,
            class_probs=np.zeros((0, 4)),
            refined_boxes=np.zeros((0, 4)),
            location_scores=nothing,
            foreground=nothing,
            unexplained=nothing,
        ),
    )


def add_evidence(project) -> None:
    """On every frame the detector sees the left walker, who is labelled, and a ghost, on half of them another."""
    rows = []
    for number, frame in enumerate(working_frames(project)):
        walker = next(a for a in project.store.annotations("cheap", [frame.id]) if a.id.endswith("-0"))
        path = project.cache_dir / "evidence" / f"{frame.id}.npz"
        boxes = [walker.bbox_xyxy, GHOST, *([(10.0, 10.0, 40.0, 40.0)] if number % 2 else [])]
        save_evidence(path, evidence(boxes, 0.02 if number else 0.1))
        rows.append(Artifact("evidence", frame.id, "", str(path.relative_to(project.root))))
    project.store.put_artifacts(rows)


def test_ghosts_are_what_recurs_without_a_label(sample) -> None:
    project = sample.project
    assert ghost_places(project) == []
    add_evidence(project)
    frames = working_frames(project)
    first, second = ghost_places(project)
    assert first.box == GHOST
    assert (first.label, first.share, len(first.frames)) == ("person", 1.0, len(frames))
    assert len(second.frames) == len(frames) // 2
    assert first.score == pytest.approx(0.6)
    assert "a ghost" in place_sentence(first)
    assert standing_places(project) == []
    for entry in project.store.artifacts("evidence").values():
        (project.root / entry.path).write_bytes(b"of another release")
    with pytest.raises(DataError, match="another release"):
        ghost_places(project)
    layers = place_layers([first, second], [])
    assert [len(layer.items) for layer in layers] == [2, 0]
    card = place_cards(project, [first], "ghosts")[0]
    assert card.key == "ghosts:0"
    assert card.pictures[0].shapes[0].box[2] - card.pictures[0].shapes[0].box[0] == 20


def test_things_that_stand_are_listed(sample) -> None:
    project = sample.project
    box = (100.0, 20.0, 140.0, 50.0)
    project.store.add_annotations(
        [
            Annotation(f"car-{n}", f.id, "bicycle", box, source="cheap")
            for n, f in enumerate(working_frames(project))
        ],
        "import",
    )
    places = standing_places(project)
    assert [(place.label, place.box) for place in places] == [("bicycle", box)]
    assert "labelled" in place_sentence(places[0])


def test_plates_are_read_as_the_scan_left_them(sample) -> None:
    project = sample.project
    assert stored_plates(project) == []
    assert camera_health(project) == []
    assert camera_state([]).good
    shape = (240, 320)
    plate = Plate(
        np.full((*shape, 3), 90, np.uint8), np.ones(shape, np.float32), np.ones(shape, bool), 7, 90.0
    )
    path = project.cache_dir / "plates" / "plate-0.npz"
    save_plate(plate, path)
    project.store.put_artifacts([Artifact("plates", "00", "d", str(path.relative_to(project.root)))])
    assert [entry.frames for entry in stored_plates(project)] == [7]
    assert plate_picture(plate).startswith("data:image/jpeg;base64,")


def test_a_moved_camera_is_said_in_words(sample) -> None:
    frames = sample.project.store.frames()

    def note(number: int, shift: float, *faults: str) -> FrameNote:
        return FrameNote(frames[number], 100.0, shift, faults, "why" if faults else "")

    assert "stands still, at most 0.4 pixels" in camera_state([note(0, 0.2), note(1, 0.4)]).text
    state = camera_state([note(0, 0.2), note(1, 6.0, "moved"), note(2, 0.1, "blurred")])
    assert not state.good
    assert state.counts == {"camera moved": 1, "blurred": 1}
    assert [entry.frame.id for entry in state.frames] == [frames[1].id, frames[2].id]
    assert list(camera_rows([note(1, 6.0, "moved")])["faults"]) == ["moved"]


def test_sizes_against_the_place(sample) -> None:
    project = sample.project
    frame = working_frames(project)[0]
    project.store.add_annotations(
        [Annotation("giant", frame.id, "person", (10, 10, 150, 205), source="cheap")], "import"
    )
    sizes = scene_sizes(project)
    assert set(sizes.prior.models) == {0}
    odd = unusual(sizes)
    assert (odd[0].annotation.id, odd[0].count, odd[0].says) == ("giant", 1, "too large")
    twin = Annotation("giant-2", working_frames(project)[1].id, "person", (11, 10, 150, 205), source="cheap")
    project.store.add_annotations([twin], "import")
    again = unusual(scene_sizes(project))
    assert (len(again), again[0].count) == (len(odd), 2)
    assert again[0].says == "too large, 2 like it"
    assert set(size_lines(sizes, project.config.classes)["label"]) == {"person"}
    assert len(size_points(sizes)) == len(sizes.annotations)
    assert "giant" in set(size_points(sizes, most=5)["id"])


def test_regions_go_to_the_board_and_back() -> None:
    regions = Regions((SQUARE,), (SQUARE, SQUARE))
    board = region_list(regions)
    assert [region.kind for region in board] == ["ignore_regions", "far_zone", "far_zone"]
    assert stored_form(board) == regions


@pytest.mark.parametrize(
    "regions",
    [
        None,
        [{"kind": "ignore_regions"}],
        [{"kind": "other", "points": SQUARE}],
        [{"kind": "far_zone", "points": SQUARE[:2]}],
        [{"kind": "far_zone", "points": [[0, 0], [1, "x"], [2, 2]]}],
        [{"kind": "far_zone", "points": [[0, 0], [1, float("nan")], [2, 2]]}],
        [{"kind": "far_zone", "points": [list(point) for point in SQUARE]}] * 201,
    ],
)
def test_only_sound_drawings_are_taken(regions) -> None:
    assert drawn_regions({"token": "t", "regions": regions}, "t") is None


def test_a_drawing_belongs_to_its_token() -> None:
    draft = {"token": "t", "regions": [{"kind": "far_zone", "points": [list(point) for point in SQUARE]}]}
    assert drawn_regions(draft, "t") == (SceneRegion("far_zone", SQUARE),)
    assert drawn_regions(draft, "other") is None
    assert drawn_regions(None, "t") is None
