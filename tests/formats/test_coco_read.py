from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.errors import FormatError
from curate.formats.coco import ImportReport, coco_to_annotations, read_coco
from curate.geometry import Rle
from curate.geometry.polygons import polygons_area

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]


def label(number=1, **keys):
    return {"id": number, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], **keys}


@pytest.fixture
def frames(make_frame):
    return {"a.jpg": make_frame("a.jpg")}


def imported(path, frames, on_error="fail"):
    report = ImportReport(on_error)
    return coco_to_annotations(read_coco(path, report=report), frames, "cheap", report=report), report


BAD = [
    # what is wrong, kind, part of the message
    (label(category_id=9), "unknown_category", "category_id 9"),
    (label(image_id=9), "unknown_image", "image_id 9"),
    (label(bbox=[math.nan, 1, 2, 3]), "not_finite", "finite"),
    (label(bbox=[1, 1, math.inf, 3]), "not_finite", "finite"),
    (label(bbox=[1, 1, 10**400, 3]), "not_finite", "finite"),
    (label(bbox=[10, 10, -5, 5]), "box_size", "above 0"),
    (label(bbox=[10, 10, 5, 0]), "box_size", "above 0"),
    (label(bbox=[1e300, 10, 5, 5]), "box_size", "above 0"),
    (label(bbox=[700, 10, 5, 5]), "box_outside", "out of its frame of 640 x 480"),
    (label(bbox=[-3, 10, 50, 50]), "box_outside", "3.0 px out"),
    (label(bbox=[641, 10, 0.5, 5]), "box_outside", "outside its frame"),
    (label(bbox=[1, 2, 3]), "wrong_type", "[x, y, width, height]"),
    (label(bbox="1 2 3 4"), "wrong_type", "[x, y, width, height]"),
    (label(bbox=[1, "2", 3, 4]), "wrong_type", "number"),
    (label(bbox=[1, True, 3, 4]), "wrong_type", "number"),
    (label(bbox={"x": 1}), "wrong_type", "[x, y, width, height]"),
    (label(segmentation=[[10, 10, 30, 30]]), "polygon", "at least three points, got 2"),
    (label(segmentation=[[10, 10, 30, 30, 10, 10]]), "polygon", "at least three points, got 2"),
    (label(segmentation=[[10, 10, 30, 10, 30]]), "polygon", "even number"),
    (label(segmentation=[[10, 10, 20, 20, 30, 30]]), "polygon", "no area"),
    (label(segmentation=[[10, 10, 30, math.nan, 30, 30]]), "not_finite", "finite"),
    (label(segmentation=[[10, 10, 1e300, 10, 1e300, 1e300, 10, 10]]), "polygon", "within 10,000,000 px"),
    (label(segmentation=SQUARE), "wrong_type", "a ring must be a list"),
    (label(segmentation="rle"), "wrong_type", "list of rings or an RLE"),
    (label(segmentation=[[10, 10, 900, 10, 900, 30]]), "box_outside", "the polygon reaches 260.0 px"),
    (
        label(segmentation={"size": [48, 64], "counts": [48 * 64]}),
        "rle",
        "64 x 48 pixels, its frame 640 x 480",
    ),
    (label(segmentation={"size": [480, 640], "counts": [5]}), "rle", "sum to 480 x 640"),
    (label(segmentation={"size": [480, 640], "counts": "~~"}), "rle", "RLE"),
    (label(segmentation={}), "rle", "RLE"),
    (label(bbox=None), "no_shape", "neither"),
    (label(bbox=None, segmentation=[]), "no_shape", "neither"),
    (label(bbox=None, segmentation={"size": [480, 640], "counts": [480 * 640]}), "no_shape", "empty"),
    (label(iscrowd="no"), "wrong_type", "iscrowd"),
    (label(occluded=2), "wrong_type", "occluded"),
    (label(score=1.5), "wrong_type", "0..1"),
    (label(track_id=[1]), "wrong_type", "track_id"),
    (label(note=math.nan), "not_finite", "JSON cannot carry"),
    (label(note="a\ud800"), "wrong_type", "stored"),
    (label(number=1.5), "wrong_type", "id"),
    (label(number=None), "wrong_type", "id"),
    (label(number=True), "wrong_type", "id"),
    ({"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}, "missing_key", '"id"'),
    ({"id": 1, "bbox": [1, 1, 5, 5]}, "missing_key", '"image_id"'),
    (17, "wrong_type", "expected an object"),
    (None, "wrong_type", "expected an object"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD, ids=[f"{i}-{bad[1]}" for i, bad in enumerate(BAD)])
def test_a_bad_item_stops_the_import_or_is_left_out_alone(coco_file, frames, bad, kind, message):
    path = coco_file(label(100), bad, label(101))
    with pytest.raises(FormatError) as caught:
        imported(path, frames)
    assert message in caught.value.message
    assert caught.value.file == str(path)
    assert caught.value.item
    assert caught.value.hint
    good, report = imported(path, frames, "skip")
    assert [annotation.id for annotation in good] == ["100", "101"]
    assert report.skipped == 1
    assert dict(report.by_kind) == {kind: 1}
    assert message in report.problems[0].message


def test_duplicate_ids_keep_the_first(coco_file, frames):
    path = coco_file(label(7), label(8), label(7, bbox=[50, 50, 9, 9]), label("8"))
    with pytest.raises(FormatError, match="two annotations with the id 7"):
        read_coco(path)
    good, report = imported(path, frames, "skip")
    assert [(annotation.id, annotation.bbox_xyxy[0]) for annotation in good] == [("7", 10), ("8", 10)]
    assert report.by_kind == {"duplicate_id": 2}


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ({"id": 1, "file_name": "b.jpg"}, "duplicate_id"),
        ({"id": 2, "file_name": "a.jpg"}, "duplicate_file_name"),
        ({"id": 2, "file_name": "../b.jpg"}, "unsafe_path"),
        ({"id": 2, "file_name": "x\\..\\..\\b.jpg"}, "unsafe_path"),
        ({"id": 2, "file_name": "/etc/b.jpg"}, "unsafe_path"),
        ({"id": 2, "file_name": "C:\\b.jpg"}, "unsafe_path"),
        ({"id": 2, "file_name": ""}, "wrong_type"),
        ({"id": 2, "file_name": "a\u0000.jpg"}, "wrong_type"),
        ({"id": 2, "file_name": 5}, "wrong_type"),
        ({"id": 2}, "missing_key"),
        ({"id": 2, "file_name": "b.jpg", "width": -1}, "wrong_type"),
        ({"id": 2, "file_name": "b.jpg", "height": "480"}, "wrong_type"),
        ([], "wrong_type"),
    ],
)
def test_bad_images(coco_file, frames, image, kind):
    path = coco_file(label(), images=[{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}, image])
    with pytest.raises(FormatError):
        read_coco(path)
    good, report = imported(path, frames, "skip")
    assert len(good) == 1
    assert report.by_kind == {kind: 1}


@pytest.mark.parametrize(
    "category", [{"id": 1, "name": "bus"}, {"id": 2}, {"id": 2, "name": 3}, {"name": "x"}, "car"]
)
def test_bad_categories(coco_file, category):
    path = coco_file(label(), categories=[{"id": 1, "name": "car"}, category])
    with pytest.raises(FormatError):
        read_coco(path)
    report = ImportReport("skip")
    assert len(read_coco(path, report=report).categories) == 1
    assert report.skipped == 1


def test_frames_that_were_not_ingested(coco_file, make_frame):
    images = [
        {"id": 1, "file_name": "a.jpg"},
        {"id": 2, "file_name": "b.jpg"},
        {"id": 3, "file_name": "c.jpg"},
    ]
    path = coco_file(label(1), label(2), label(3, image_id=2), images=images)
    frames = {"b.jpg": make_frame("b.jpg")}
    with pytest.raises(FormatError, match=r'"a\.jpg" is not among the ingested frames'):
        imported(path, frames)
    good, report = imported(path, frames, "skip")
    assert [annotation.id for annotation in good] == ["3"]
    # Once for each image, not for each label; c.jpg has no labels, so that nothing is lost with it.
    assert report.by_kind == {"unknown_frame": 2}
    frames["a.jpg"] = make_frame("a.jpg", 1)
    assert imported(path, frames)[1].lines()[0] == "1 items left out, 0 put right (unknown_frame 1)"


def test_pictures_of_another_size(coco_file, make_frame):
    with pytest.raises(FormatError, match="the file says 640 x 480 pixels, the frame has 320 x 240"):
        imported(coco_file(label()), {"a.jpg": make_frame("a.jpg", 0, 320, 240)})


def test_slightly_out_of_frame_is_clipped_and_told(coco_file, frames):
    ring = [-1, 10, 30, 10, 30, 30, -1, 30]
    path = coco_file(label(1, bbox=[-1.5, 10, 20, 20]), label(2, segmentation=[ring]))
    good, report = imported(path, frames)
    assert good[0].bbox_xyxy == (0, 10, 18.5, 30)
    assert min(x for x, _ in good[1].mask[0].exterior) == 0
    assert report.skipped == 0
    assert report.by_kind == {"box_clipped": 1, "polygon_clipped": 1}
    assert "1.50 px" in report.problems[0].message


def test_a_self_crossing_polygon_is_repaired_and_told(coco_file, frames):
    path = coco_file(label(1, segmentation=[[10, 10, 30, 30, 30, 10, 10, 30]]))
    good, report = imported(path, frames)
    assert len(good[0].mask) == 2
    assert polygons_area(good[0].mask) == pytest.approx(200)
    assert report.by_kind == {"polygon_repaired": 1}
    assert report.repaired == 1


def test_every_kind_of_mask_and_missing_boxes(coco_file, frames):
    runs = [480 * 10 + 5, 3, 480 * 640 - 480 * 10 - 8]
    path = coco_file(
        label(1, bbox=None, segmentation=[SQUARE, [100, 100, 120, 100, 110, 120]]),
        label(2, bbox=None, segmentation={"size": [480, 640], "counts": runs}, iscrowd=1),
        label(3, segmentation=None),
        label(4, bbox=[0, 0, 50, 50], segmentation=[SQUARE]),
        label(5, segmentation=[[*SQUARE, 10, 10]]),
    )
    good, report = imported(path, frames)
    assert report.lines() == []
    assert [len(good[0].mask), good[0].bbox_xyxy] == [2, (10, 10, 120, 120)]
    assert good[1].mask == Rle(480, 640, tuple(runs))
    assert good[1].bbox_xyxy == (10, 5, 11, 8)
    assert good[1].iscrowd
    assert good[2].mask is None
    assert good[3].bbox_xyxy == (0, 0, 50, 50), "a box that is given stays"
    assert len(good[4].mask[0].exterior) == 4, "the closing point is not a corner"


def test_our_keys_and_unknown_keys_are_kept(coco_file, frames):
    more = {"track_id": 3, "score": 0.5, "occluded": 1, "difficult": True, "ignore": False, "colour": ["red"]}
    good, _ = imported(coco_file(label("ab-1", **more)), frames)
    annotation = good[0]
    assert (annotation.id, annotation.track_id, annotation.score) == ("ab-1", "3", 0.5)
    assert (annotation.occluded, annotation.difficult, annotation.ignore) == (True, True, False)
    assert annotation.attributes == {"colour": ["red"]}
    assert annotation.source == "cheap"


def test_label_map_and_prefix(coco_file, frames):
    dataset = read_coco(
        coco_file(
            label(1), label(2, category_id=2), categories=[{"id": 1, "name": "car"}, {"id": 2, "name": "dog"}]
        )
    )
    good = coco_to_annotations(
        dataset, frames, "s", label_map={"car": "vehicle", "dog": None}, id_prefix="g-"
    )
    assert [(annotation.id, annotation.label) for annotation in good] == [("g-1", "vehicle")]
    with pytest.raises(FormatError, match='"dog" maps to no class'):
        coco_to_annotations(dataset, frames, "s", label_map={"car": "car"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b'{"images": [\n  {"id": 1,,}]}', "line 2, column 12"),
        (b'{"images": [', "not valid JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 200_000 + b"]" * 200_000, "too deep"),
        (
            b'{"images": [], "annotations": [], "categories": [], "x": ' + b"[" * 50 + b"]" * 50 + b"}",
            "deeper",
        ),
        (b"[]", "format for results"),
        (b"17", "expected an object"),
        (b'"text"', "got a text"),
        (b"null", "got nothing"),
        (b"1" * 5000, "not valid JSON"),
        (b'{"annotations": [], "categories": []}', 'list under "images"'),
        (b'{"images": {}, "annotations": [], "categories": []}', "got an object"),
        (b'{"images": [], "annotations": null, "categories": []}', "got nothing"),
        (b'{"images": [], "annotations": [], "categories": [], "info": 5}', "info"),
    ],
)
def test_files_that_are_no_coco_are_refused_under_either_policy(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    for policy in ("fail", "skip"):
        with pytest.raises(FormatError) as caught:
            read_coco(path, report=ImportReport(policy))
        assert message in str(caught.value)
        assert str(path) in str(caught.value)


def test_missing_folder_and_too_large(tmp_path, coco_file):
    with pytest.raises(FormatError, match="no such file"):
        read_coco(tmp_path / "missing.json")
    with pytest.raises(FormatError, match="folder"):
        read_coco(tmp_path)
    with pytest.raises(FormatError, match="limit is 10"):
        read_coco(coco_file(), max_bytes=10)


def test_the_report_keeps_the_first_twenty_and_counts_all(coco_file, frames):
    _, report = imported(coco_file(*(label(i, bbox=[0, 0, -1, 1]) for i in range(30))), frames, "skip")
    assert report.skipped == 30
    assert [problem.item for problem in report.problems] == [f"annotation {i}" for i in range(20)]
    lines = report.lines()
    assert lines[0] == "30 items left out, 0 put right (box_size 30)"
    assert lines[-1] == "and 10 more"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
key_names = ["id", "image_id", "category_id", "bbox", "segmentation", "iscrowd", "score", "track_id"]
key_names += [
    "occluded",
    "crossguard_id",
    "crossguard_attributes",
    "file_name",
    "width",
    "height",
    "name",
    "x",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(key_names), junk, st.sampled_from(["images", "categories", "annotations"]))
def test_wrong_types_anywhere_give_clean_errors(tmp_path, make_frame, key, value, where):
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [label(segmentation=[SQUARE])],
    }
    data[where][0][key] = value
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    frames = {"a.jpg": make_frame("a.jpg")}
    try:
        good, report = imported(path, frames)
    except FormatError:
        good, report = imported(path, frames, "skip")
        assert report.skipped
    assert len(good) <= 1
