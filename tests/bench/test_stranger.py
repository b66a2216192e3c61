"""A data set that somebody brings: read, thinned out, split, gold set apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from curate.bench.label_errors import LabelErrorsSettings
from curate.bench.label_errors.corrupt import corrupt, reviewed_frames
from curate.bench.label_errors.data import Base, prepare_data
from curate.errors import DataError
from curate.synth import SceneConfig, SyntheticScene, render_scene
from curate.workflows.evaluate import needed_gold
from curate.workflows.progress import Quiet, SubReporter


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return render_scene(
        SceneConfig(seed=5, frames=26, fps=2.0, persons=2, cars=1, standers=1, size=(160, 120))
    )


def coco(scene: SyntheticScene, names: list[str]) -> str:
    annotations = []
    for number, name in enumerate(names):
        for label in scene.annotations_of(number, name):
            x1, y1, x2, y2 = label.bbox_xyxy
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1 + (label.label == "car"),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                }
            )
    images = [{"id": at, "file_name": name, "width": 160, "height": 120} for at, name in enumerate(names)]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}, {"id": 3, "name": "unused"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def prepared(data: Path, cache: Path, frames: Path | None = None, max_frames: int = 100) -> Base:
    settings = LabelErrorsSettings(data=str(data), frames=frames, cache=cache, max_frames=max_frames)
    return prepare_data(settings, 0, SubReporter(Quiet(), 0, 1))


def test_coco_with_a_folder_of_images_is_thinned_out_aloud(scene: SyntheticScene, tmp_path: Path) -> None:
    names = [path.name for path in scene.write_images(tmp_path / "images")]
    file = tmp_path / "labels.json"
    file.write_text(coco(scene, names), "utf-8")
    base = prepared(file, tmp_path / "cache", tmp_path / "images", max_frames=13)
    assert base.project.config.classes == ["person", "car"]
    assert len(base.project.store.frames()) == 13
    assert any("thinned out to 13" in note for note in base.notes)
    gold = needed_gold(base.project)
    working = reviewed_frames(base)
    assert gold.annotations
    assert {frame.id for frame in gold.frames}.isdisjoint({entry.frame.id for entry in working})
    # Boxes only: the share of the mask errors goes to the others.
    kinds = {
        error.type.value
        for error in corrupt(base, working, seed=0, rates=None, steps=1, cache=tmp_path).errors
    }
    assert "inaccurate_mask" not in kinds
    again = prepared(file, tmp_path / "cache", tmp_path / "images", max_frames=13)
    assert again.project.root == base.project.root


def test_coco_about_the_frames_of_a_recording(scene: SyntheticScene, tmp_path: Path) -> None:
    scene.write_video(tmp_path / "rec.avi")
    file = tmp_path / "labels.json"
    file.write_text(coco(scene, [f"rec_{number:06d}.jpg" for number in range(20)]), "utf-8")
    base = prepared(tmp_path / "labels.json", tmp_path / "cache")
    labelled = len(reviewed_frames(base)) + len(needed_gold(base.project).frames)
    assert 16 <= labelled <= 20  # The rest of the twenty are the gap before gold.


@pytest.mark.parametrize("clips", [1, 2])
def test_cvat_of_one_and_of_two_recordings(scene: SyntheticScene, tmp_path: Path, clips: int) -> None:
    for number in range(clips):
        render_scene(replace(scene.config, seed=5 + number)).write_video(tmp_path / f"rec{number}.avi")
        boxes = "".join(
            f'<box frame="{at}" outside="0" occluded="0" keyframe="1" '
            f'xtl="{20 + at}" ytl="30" xbr="{50 + at}" ybr="70"/>'
            for at in range(26)
        )
        (tmp_path / f"7_rec{number}.xml").write_text(
            "<annotations><version>1.1</version><meta><task><size>26</size><mode>interpolation</mode>"
            "<start_frame>0</start_frame><stop_frame>25</stop_frame>"
            "<labels><label><name>vehicle</name></label></labels>"
            "<original_size><width>160</width><height>120</height></original_size></task></meta>"
            f'<track id="0" label="vehicle">{boxes}</track></annotations>',
            "utf-8",
        )
    base = prepared(tmp_path, tmp_path / "cache", max_frames=26)
    assert base.project.config.classes == ["vehicle"]
    assert len(base.project.store.frames()) == 26
    said = " ".join(base.notes)
    assert ("one recording" in said) if clips == 1 else ("folds are whole recordings (2)" in said)
    assert needed_gold(base.project).annotations


def test_labels_without_their_recording_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<annotations><version>1.1</version><track id="0" label="car">'
        '<box frame="0" outside="0" occluded="0" keyframe="1" xtl="1" ytl="1" xbr="9" ybr="9"/></track></annotations>',
        "utf-8",
    )
    with pytest.raises(DataError, match="no recording belongs to it"):
        prepared(tmp_path, tmp_path / "cache")
