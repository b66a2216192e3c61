"""Files that nobody here wrote (data/foreign/NOTICE.md), and a real recording where it is at hand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curate.errors import FormatError
from curate.formats._place import place_labels
from curate.formats.labelset import LabelExport
from curate.formats.lookup import FrameLookup
from curate.formats.registry import FORMATS, ReadOptions, detect_format, read_labels
from curate.formats.report import ImportReport
from curate.geometry import Polygon
from curate.geometry.polygons import polygons_to_mask, to_mask
from curate.geometry.rle import mask_to_rle, rle_area, rle_from_coco, rle_to_bbox, rle_to_coco, rle_to_mask

FOREIGN = Path(__file__).parent / "data" / "foreign"
_REAL = os.environ.get("CROSSGUARD_REAL_DATA", "")
REAL = Path(_REAL) if _REAL and Path(_REAL).is_dir() else None


def placed(path, frames, *, on_error="fail", clip=None, name="auto"):
    report = ImportReport(on_error)
    lookup = FrameLookup.of(frames, clip=clip)
    chosen, labels = read_labels(name, path, ReadOptions(lookup), report)
    return chosen.name, place_labels(labels, lookup, "s", report=report), report


def picture(make_frame, name, width=64, height=48, number=0):
    return replace(make_frame(name, number, width, height), index=number)


def holed():
    mask = np.zeros((48, 64), bool)
    mask[5:20, 6:30] = True
    mask[9:12, 10:15] = False
    return mask


DATUMARO = {  # how many of its three shapes each format has, and the names of its frames
    "coco": ("coco", 3, ("a_train.jpg", "b_train.jpg")),
    "cvat": ("cvat", 3, ("a_train.jpg", "b_train.jpg")),
    "datumaro": ("datumaro", 3, ("a_train.jpg", "b_train.jpg")),
    "voc": ("voc", 1, ("a_train.jpg",)),
    "yolo": ("yolo", 2, ("a_train.jpg", "b_train.jpg", "a_val.jpg", "b_val.jpg")),
}


@pytest.mark.parametrize("folder", sorted(DATUMARO))
def test_what_datumaro_wrote(folder, make_frame):
    name, shapes, names = DATUMARO[folder]
    frames = [picture(make_frame, text, number=number) for number, text in enumerate(names)]
    found, result, report = placed(FOREIGN / "datumaro" / folder, frames)
    assert found == name
    assert report.skipped == 0
    assert len(result.annotations) == shapes
    assert set(result.frame_ids) == {frame.id for frame in frames}
    box = result.annotations[0]
    assert box.label == "person"
    assert box.bbox_xyxy == pytest.approx((1.25, 2.5, 11.5, 15), abs=0.0101)
    if name in ("coco", "datumaro"):
        assert (box.id, box.track_id, box.occluded) == ("7", "4", True) or name == "coco"
    if name in ("cvat", "voc", "datumaro"):
        assert box.occluded
    if shapes == 3:
        assert result.annotations[1].mask == (Polygon(((3.25, 3.5), (20.75, 3.5), (12.5, 18.75))),)
        assert np.array_equal(to_mask(result.annotations[2].mask, 48, 64), holed())


def test_motchallenge_lines_of_datumaro_and_of_the_challenge(make_frame):
    frames = [picture(make_frame, f"{number}.jpg", number=number) for number in range(3)]
    name, result, _ = placed(FOREIGN / "datumaro" / "mot", frames)
    assert name == "mot"
    first, second = result.annotations
    assert first.bbox_xyxy == (1.25, 2.5, 11.5, 15), "with labels.txt: edges from 0"
    assert (first.label, first.track_id, first.occluded, first.attributes) == (
        "person",
        "clip/1",
        True,
        {"visibility": 0.25},
    )
    assert (second.label, second.frame_id, second.occluded) == ("car", frames[1].id, False)

    big = [picture(make_frame, f"{number}.jpg", 640, 480, number) for number in range(3)]
    name, result, _ = placed(FOREIGN / "motmetrics" / "motchallenge.txt", big)
    assert name == "mot"
    assert len(result.annotations) == 5
    first = result.annotations[0]
    assert first.bbox_xyxy == (398, 181, 519, 410), "the challenge numbers pixels from 1"
    assert (first.label, first.track_id, first.score) == ("pedestrian", "clip/1", 1.0)
    assert set(result.frame_ids) == {big[0].id, big[1].id}, "nobody says that the third was looked at"


def test_what_labelme_wrote(make_frame):
    frame = picture(make_frame, "a_train.jpg")
    name, result, report = placed(FOREIGN / "labelme", [frame])
    assert name == "labelme"
    box, parts, mask, circle = result.annotations
    assert (box.bbox_xyxy, box.occluded) == ((1.25, 2.5, 11.5, 14.75), True)
    assert len(parts.mask) == 2, "polygons of one group are one object"
    wanted = np.zeros((48, 64), bool)
    wanted[7:18, 9:26] = True
    wanted[10:13, 12:15] = False
    assert np.array_equal(to_mask(mask.mask, 48, 64), wanted)
    assert circle.bbox_xyxy == (25, 15, 35, 25)
    assert report.by_kind == {"other_shape": 1}


def test_brushes_that_label_studios_converter_wrote(make_frame):
    frame = picture(make_frame, "a_train.jpg")
    name, result, report = placed(FOREIGN / "labelstudio" / "brush.json", [frame])
    assert (name, report.lines()) == ("labelstudio", [])
    holes, parts = result.annotations
    assert (holes.label, parts.label) == ("person", "car")
    assert np.array_equal(to_mask(holes.mask, 48, 64), holed())
    wanted = np.zeros((48, 64), bool)
    wanted[30:40, 2:9] = wanted[33:47, 50:64] = True
    assert np.array_equal(to_mask(parts.mask, 48, 64), wanted)
    assert parts.bbox_xyxy == (2, 30, 64, 47)


def test_run_lengths_of_pycocotools():
    rows = json.loads((FOREIGN / "pycocotools" / "masks.json").read_text())
    for row in rows:
        rle = rle_from_coco({"size": row["size"], "counts": row["counts"]})
        assert rle_area(rle) == row["area"]
        assert rle_to_coco(rle)["counts"] == row["counts"]
        if "polygons" in row:
            polygons = [Polygon(tuple(zip(ring[::2], ring[1::2], strict=True))) for ring in row["polygons"]]
            assert mask_to_rle(polygons_to_mask(polygons, *row["size"])) == rle
            continue
        assert np.flatnonzero(rle_to_mask(rle)).tolist() == row["pixels"]
        x1, y1, x2, y2 = rle_to_bbox(rle) or (0, 0, 0, 0)
        assert [x1, y1, x2 - x1, y2 - y1] == row["bbox"]


def test_the_example_of_cvat_for_images(make_frame):
    frame = picture(make_frame, "filename000.jpg", 1600, 1200)
    name, result, report = placed(FOREIGN / "cvat" / "images.xml", [frame])
    assert name == "cvat"
    assert [label.label for label in result.annotations] == ["plate", "car"]
    assert result.annotations[0].bbox_xyxy == (797.33, 870.92, 965.52, 928.94)
    assert len(result.annotations[1].mask[0].exterior) == 28
    assert report.by_kind == {"other_shape": 3}


def test_a_cvat_task_with_a_start_frame_and_a_step(make_frame):
    frames = [picture(make_frame, f"{number}.jpg", 25, 20, number) for number in range(25)]
    name, result, report = placed(FOREIGN / "cvat" / "tracks_step.xml", frames)
    assert name == "cvat-video"
    assert [label.frame_id for label in result.annotations] == [frames[n].id for n in (10, 11, 12)]
    assert {frame.index for frame in frames if frame.id in result.frame_ids} == {10, 11, 12, 13, 16, 19}
    assert report.by_kind == {"other_shape": 3}


def test_what_label_studio_wrote(make_frame):
    frames = [
        picture(make_frame, "image1.jpg", 2800, 2800),
        picture(make_frame, "000000000025.jpg", 640, 426, 1),
    ]
    name, result, report = placed(FOREIGN / "labelstudio" / "rectangles.json", frames)
    assert name == "labelstudio"
    (label,) = result.annotations
    assert label.id == "ipBS_GBGZp", "the annotator who came last"
    assert label.bbox_xyxy == pytest.approx((1060.838, 2009.472, 1167.942, 2136.976), abs=1e-3)
    assert report.by_kind == {"other_annotator": 1}
    _, result, _ = placed(FOREIGN / "labelstudio" / "polygons.json", frames)
    (label,) = result.annotations
    assert (label.label, label.frame_id, len(label.mask[0].exterior)) == ("Airplane", frames[1].id, 37)
    assert label.bbox_xyxy[0] == pytest.approx(384)


def test_choices_for_a_region_become_its_attributes(make_frame, tmp_path):
    data = json.loads((FOREIGN / "labelstudio" / "rectangles.json").read_text())
    del data[0]["annotations"][1]
    (tmp_path / "x.json").write_text(json.dumps(data))
    frame = picture(make_frame, "image1.jpg", 2800, 2800)
    _, result, _ = placed(tmp_path / "x.json", [frame])
    assert [label.attributes for label in result.annotations] == [{"choices": "uncertain"}, {}]


def test_predictions_of_yolo_have_scores(make_frame, tmp_path):
    (tmp_path / "data.yaml").write_text("names: [person, car]\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.25 0.5 0.875\n0 0.1 0.1 0.5 0.1 0.5 0.5 0.25\n")
    _, result, _ = placed(tmp_path, [picture(make_frame, "a.jpg")])
    box, ring = result.annotations
    assert (box.label, box.bbox_xyxy, box.score, box.mask) == ("car", (24, 12, 40, 36), 0.875, None)
    assert (ring.label, ring.score, len(ring.mask[0].exterior)) == ("person", 0.25, 3)


def test_what_curate_predict_writes_comes_in_as_labels_with_scores(make_frame, tmp_path):
    images = [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}, {"id": 2, "file_name": "b.jpg"}]
    rows = [{"image_id": 2, "category_id": 1, "bbox": [3, 4, 10, 12], "score": 0.75}]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    (tmp_path / "found.images.json").write_text(
        json.dumps({"images": images, "categories": [{"id": 1, "name": "car"}]})
    )
    frames = [picture(make_frame, name, number=number) for number, name in enumerate(("a.jpg", "b.jpg"))]
    name, result, _ = placed(tmp_path / "found.json", frames)
    assert name == "coco-results"
    (label,) = result.annotations
    assert (label.frame_id, label.score, label.bbox_xyxy) == (frames[1].id, 0.75, (3, 4, 13, 16))
    assert len(result.frame_ids) == 2
    (tmp_path / "found.json").write_text(json.dumps([{**rows[0], "image_id": 7}]))
    with pytest.raises(FormatError, match="image_id 7"):
        placed(tmp_path / "found.json", frames)
    (tmp_path / "found.images.json").unlink()
    with pytest.raises(FormatError, match="--images"):
        placed(tmp_path / "found.json", frames)


VOC = """<annotation><folder>VOC2007</folder><filename>000001.jpg</filename>
<source><database>{}</database></source><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>5</ymin><xmax>64</xmax><ymax>48</ymax></bndbox></object></annotation>"""


@pytest.mark.parametrize(
    ("database", "box"), [("The VOC2007 Database", (0, 4, 64, 48)), ("Unknown", (1, 5, 64, 48))]
)
def test_only_the_devkit_numbers_pixels_from_one(make_frame, tmp_path, database, box):
    (tmp_path / "000001.xml").write_text(VOC.format(database))
    _, result, _ = placed(tmp_path, [picture(make_frame, "000001.jpg")])
    (label,) = result.annotations
    assert label.bbox_xyxy == box
    assert (label.difficult, label.attributes) == (True, {"pose": "Left", "truncated": 1})


@pytest.mark.skipif(REAL is None, reason="CROSSGUARD_REAL_DATA names no folder of CVAT tracks")
class TestRealRecording:
    """Two clips of one camera with CVAT's tracks."""

    @staticmethod
    def frames(make_frame, count):
        return [picture(make_frame, f"{number:06d}.jpg", 352, 288, number) for number in range(count)]

    def test_is_read_whole_and_comes_out_the_same(self, make_frame, tmp_path):
        for file in sorted(REAL.glob("*.xml")):
            frames = self.frames(make_frame, 300)
            assert detect_format(file).name == "cvat-video"
            _, result, report = placed(file, frames, on_error="skip")
            assert len(result.annotations) > 1000
            out = tmp_path / file.name
            shown = [frame for frame in frames if frame.id in set(result.frame_ids)]
            classes = sorted({label.label for label in result.annotations})
            FORMATS["cvat-video"].write(out, LabelExport.of(shown, result.annotations, classes))
            _, again, clean = placed(out, frames)
            assert clean.lines() == []
            key = lambda label: label.id  # noqa: E731
            before, after = sorted(result.annotations, key=key), sorted(again.annotations, key=key)
            assert [replace(label, bbox_xyxy=(0, 0, 1, 1)) for label in before] == [
                replace(label, bbox_xyxy=(0, 0, 1, 1)) for label in after
            ]
            boxes = [np.asarray([label.bbox_xyxy for label in labels]) for labels in (before, after)]
            assert np.abs(boxes[0] - boxes[1]).max() < 0.01
            assert set(again.frame_ids) == set(result.frame_ids)
            assert report.skipped < len(before) / 100
