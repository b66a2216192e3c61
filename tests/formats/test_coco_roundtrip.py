from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.annotations import Annotation
from curate.errors import DataError, FormatError, ProjectError
from curate.formats import LabelExport, get_format
from curate.formats._coco_ids import AnnotationNumbers, _number
from curate.formats._values import is_id_number
from curate.formats.coco import (
    annotations_to_coco,
    coco_bytes,
    coco_to_annotations,
    read_coco,
    write_coco,
)
from curate.geometry import Polygon, Rle
from curate.geometry.polygons import mask_to_polygons, polygons_valid_reason, to_mask
from curate.geometry.rle import mask_to_rle

DATA = Path(__file__).parent / "data"
WIDTH, HEIGHT = 24, 16
CLASSES = ["person", "car"]


@pytest.fixture(scope="session")
def frames(make_frame):
    return [make_frame(f"clip_{number:06d}.jpg", number, WIDTH, HEIGHT) for number in range(3)]


def holed_mask():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[2:12, 3:15] = True
    mask[5:8, 6:10] = False
    mask[13:16, 20:24] = True
    return mask


def examples(frames):
    """One annotation of every kind."""
    base = Annotation("1", frames[0].id, "person", (1, 2, 10.5, 12.25), source="cheap")
    triangle = Polygon(((1.0, 2.0), (10.5, 2.0), (5.125, 12.25)))
    return [
        base,
        replace(base, id="12", mask=(triangle,), track_id="4", score=0.8125, occluded=True),
        replace(base, id="3", label="car", mask=mask_to_polygons(holed_mask()), bbox_xyxy=(3, 2, 24, 16)),
        replace(base, id="b7e1", frame_id=frames[2].id, mask=mask_to_rle(holed_mask()), iscrowd=True),
        replace(
            base,
            id="007",
            frame_id=frames[2].id,
            mask=(triangle, Polygon(((12.0, 1.0), (20.0, 1.0), (20.0, 9.0)))),
            difficult=True,
            ignore=True,
            track_id="bus-2",
            attributes={"colour": "röt", "score": "high", "nested": {"b": [1, 2.5], "a": None}},
        ),
    ]


def again(path, frames, source="cheap", base=False):
    """Import what was exported; and the bytes of exporting that."""
    dataset = read_coco(path)
    annotations = coco_to_annotations(dataset, {frame.name: frame for frame in frames}, source)
    data = annotations_to_coco(frames, annotations, CLASSES, dataset if base else None)
    return annotations, coco_bytes(data)


def same_mask(a, b):
    if a is None or b is None:
        return a is b
    return np.array_equal(to_mask(a, HEIGHT, WIDTH), to_mask(b, HEIGHT, WIDTH))


def test_the_exported_bytes_never_change(frames, tmp_path):
    path = tmp_path / "out.json"
    write_coco(path, annotations_to_coco(frames, examples(frames), CLASSES))
    assert path.read_bytes() == (DATA / "golden.coco.json").read_bytes()


def test_the_order_of_the_input_does_not_matter(frames):
    forward = annotations_to_coco(frames, examples(frames), CLASSES)
    backward = annotations_to_coco(frames[::-1], examples(frames)[::-1], CLASSES)
    assert coco_bytes(forward) == coco_bytes(backward)


def test_the_golden_file_says_what_it_should(frames):
    data = json.loads((DATA / "golden.coco.json").read_text())
    assert [image["file_name"] for image in data["images"]] == [frame.name for frame in frames]
    assert data["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    entries = {entry.get("crossguard_id", entry["id"]): entry for entry in data["annotations"]}
    assert set(entries) == {1, 12, 3, "b7e1", "007"}
    assert all(isinstance(entry["id"], int) for entry in data["annotations"])
    assert entries[1]["segmentation"] == []
    assert entries[1]["area"] == round(9.5 * 10.25, 2)
    assert entries[12]["segmentation"] == [[1, 2, 10.5, 2, 5.12, 12.25]]
    assert entries[12]["track_id"] == 4
    assert entries[12]["score"] == 0.8125
    assert isinstance(entries[3]["segmentation"]["counts"], str), "holes need an RLE"
    assert entries[3]["area"] == holed_mask().sum()
    assert entries["b7e1"]["iscrowd"] == 1
    assert len(entries["007"]["segmentation"]) == 2
    assert entries["007"]["crossguard_attributes"] == {"score": "high"}
    assert (entries["007"]["difficult"], entries["007"]["ignore"]) == (True, True)


@pytest.mark.parametrize("with_base", [False, True])
def test_export_import_export_is_the_same_to_the_byte(frames, with_base):
    annotations, content = again(DATA / "golden.coco.json", frames, base=with_base)
    assert content == (DATA / "golden.coco.json").read_bytes()
    for before, after in zip(
        sorted(examples(frames), key=lambda x: x.id), sorted(annotations, key=lambda x: x.id), strict=True
    ):
        assert same_mask(before.mask, after.mask)
        assert replace(after, mask=None) == replace(before, mask=None)


side = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: pair[0] != pair[1])


@st.composite
def masks(draw):
    kind = draw(st.sampled_from(["none", "rle", "traced", "ring"]))
    if kind == "none":
        return None
    if kind == "ring":
        coordinates = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))
        corners = draw(st.lists(coordinates, min_size=3, max_size=5))
        ring = tuple(corners)
        return (Polygon(ring),)
    mask = draw(arrays(bool, (HEIGHT, WIDTH)))
    mask[3, 4] = True
    return mask_to_rle(mask) if kind == "rle" else mask_to_polygons(mask)


@st.composite
def annotation_lists(draw):
    ids = draw(
        st.lists(st.integers(0, 10**6).map(str) | st.text("abc09-", min_size=1), max_size=4, unique=True)
    )
    result = []
    for value in ids:
        (x1, x2), (y1, y2) = sorted(draw(side)), sorted(draw(side))
        box = (x1 * WIDTH, y1 * HEIGHT, x2 * WIDTH, y2 * HEIGHT)
        if box[0] >= box[2] or box[1] >= box[3]:
            box = (0, 0, 1, 1)
        flags = {name: draw(st.booleans()) for name in ("iscrowd", "occluded", "difficult", "ignore")}
        text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
        scalar = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text
        scalar |= st.floats(allow_nan=False, allow_infinity=False)
        result.append(
            Annotation(
                value,
                f"{draw(st.integers(1, 3)):032x}",
                draw(st.sampled_from(CLASSES)),
                box,
                draw(masks()),
                "cheap",
                draw(st.none() | st.floats(0, 1)),
                draw(st.none() | st.integers(0, 99).map(str) | st.text("xyz-", min_size=1)),
                attributes=draw(
                    st.dictionaries(text.filter(bool) | st.sampled_from(["id", "bbox"]), scalar, max_size=3)
                ),
                **flags,
            )
        )
    return result


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(annotation_lists())
def test_any_annotations_survive(frames, tmp_path, annotations):
    path = tmp_path / "out.json"
    write_coco(path, annotations_to_coco(frames, annotations, CLASSES))
    back, content = again(path, frames)
    assert content == path.read_bytes()
    assert again(path, frames, base=True)[1] == content
    after = {annotation.id: annotation for annotation in back}
    assert len(after) == len(annotations)
    for before in annotations:
        now = after[before.id]
        assert now.bbox_xyxy == pytest.approx(before.bbox_xyxy, abs=0.0101)
        assert replace(now, bbox_xyxy=before.bbox_xyxy, mask=None) == replace(before, mask=None)
        exact = isinstance(before.mask, Rle) or before.mask is None
        exact = exact or (
            all(x == int(x) for part in before.mask for x in np.ravel(part.exterior))
            and polygons_valid_reason(before.mask) == ""
        )
        if exact:
            # Run lengths and traced polygons: to the pixel. Free corners are rounded to 0.01 px, and what
            # crosses itself is repaired.
            assert same_mask(before.mask, now.mask)
        else:
            assert now.mask is not None


def test_base_keeps_ids_head_unknown_keys_and_other_categories(coco_file, make_frame, tmp_path):
    images = [
        {"id": 40, "file_name": "a.jpg", "width": 640, "height": 480, "weather": "rain"},
        {"id": "x", "file_name": "b.jpg", "licence": 2},
    ]
    categories = [{"id": 7, "name": "car", "supercategory": "vehicle"}, {"id": 3, "name": "dog"}]
    entry = {"id": 5, "image_id": 40, "category_id": 7, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0}
    path = coco_file(
        {**entry, "segmentation": [], "note": {"by": "me"}},
        images=images,
        categories=categories,
        info={"year": 2019},
        licenses=[{"id": 2}],
        more=[1],
    )
    frames = [make_frame("a.jpg"), make_frame("b.jpg", 1), make_frame("c.jpg", 2)]
    base = read_coco(path)
    annotations = coco_to_annotations(base, {frame.name: frame for frame in frames}, "s")
    annotations.append(replace(annotations[0], id="6", label="bus", frame_id=frames[2].id))
    write_coco(tmp_path / "out.json", annotations_to_coco(frames, annotations, ["car", "bus"], base))
    data = json.loads((tmp_path / "out.json").read_text())
    assert {image["file_name"]: image["id"] for image in data["images"]} == {
        "a.jpg": 40,
        "b.jpg": "x",
        "c.jpg": 41,
    }
    assert next(image for image in data["images"] if image["id"] == 40)["weather"] == "rain"
    assert {item["name"]: item["id"] for item in data["categories"]} == {"car": 7, "dog": 3, "bus": 8}
    assert data["categories"][1]["supercategory"] == "vehicle"
    assert data["annotations"][0] == {**entry, "segmentation": [], "note": {"by": "me"}}
    assert (data["info"], data["licenses"], data["more"]) == ({"year": 2019}, [{"id": 2}], [1])


def test_the_number_of_a_text_id_does_not_depend_on_the_others(frames):
    box = (0, 0, 5, 5)
    one = Annotation("b7e1", frames[0].id, "car", box)
    two = Annotation("00aa", frames[0].id, "car", box)
    alone = annotations_to_coco(frames, [one], CLASSES)["annotations"][0]["id"]
    both = annotations_to_coco(frames, [one, two], CLASSES)["annotations"]
    assert [entry["id"] for entry in both if entry["crossguard_id"] == "b7e1"] == [alone]
    # A number that is taken already is passed over.
    third = Annotation(str(alone), frames[0].id, "car", box)
    entries = annotations_to_coco(frames, [one, third], CLASSES)["annotations"]
    assert sorted(entry["id"] for entry in entries) == [alone, alone + 1]


def test_a_prefix_comes_off_again(frames):
    annotation = Annotation("gold:17", frames[0].id, "car", (0, 0, 5, 5))
    data = annotations_to_coco(frames, [annotation], CLASSES, id_prefix="gold:")
    assert data["annotations"][0]["id"] == 17


def test_self_crossing_polygons_come_out_valid(frames, tmp_path):
    bow_tie = (Polygon(((1.0, 1.0), (9.0, 9.0), (9.0, 1.0), (1.0, 9.0))),)
    annotation = Annotation("1", frames[0].id, "car", (1, 1, 9, 9), bow_tie)
    path = tmp_path / "out.json"
    write_coco(path, annotations_to_coco(frames, [annotation], CLASSES))
    assert len(json.loads(path.read_text())["annotations"][0]["segmentation"]) == 2
    assert again(path, frames)[1] == path.read_bytes()


def test_a_repeated_first_point_is_not_a_corner(frames, tmp_path):
    closed = (Polygon(((1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.001, 1.001))),)
    annotation = Annotation("1", frames[0].id, "car", (1, 1, 9, 9), closed)
    path = tmp_path / "out.json"
    write_coco(path, annotations_to_coco(frames, [annotation], CLASSES))
    assert json.loads(path.read_text())["annotations"][0]["segmentation"] == [[1, 1, 9, 1, 9, 9]]
    assert again(path, frames)[1] == path.read_bytes()


def test_what_cannot_be_exported_is_named(frames, make_frame, tmp_path):
    good = Annotation("1", frames[0].id, "car", (0, 0, 5, 5))
    cases = [
        ([good, good], "two annotations"),
        ([replace(good, frame_id="f" * 32)], "its frame"),
        ([replace(good, label="cow")], '"cow"'),
    ]
    for labels, message in cases:
        with pytest.raises(DataError, match=message):
            annotations_to_coco(frames, labels, CLASSES)
    with pytest.raises(DataError, match="twice"):
        annotations_to_coco([*frames, frames[0]], [], CLASSES)
    data = annotations_to_coco(frames, [replace(good, attributes={"x": float("nan")})], CLASSES)
    with pytest.raises(FormatError, match="annotations 1"):
        write_coco(tmp_path / "out.json", data)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_litter(frames, tmp_path):
    data = annotations_to_coco(frames, [], CLASSES)
    with pytest.raises(ProjectError, match="cannot be written"):
        write_coco(tmp_path / "missing" / "out.json", data)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ProjectError, match="cannot be written"):
        write_coco(tmp_path / "folder", data)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    path = tmp_path / "out.json"
    write_coco(path, data)
    write_coco(path, data)
    assert path.read_bytes().endswith(b"}\n")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["folder", "out.json"]


def _one_after_the_other(ids):
    """The numbers by definition: ids in their order, each takes the first number that is free."""
    taken = {int(value) for value in ids if is_id_number(value)}
    numbers = {}
    for value in sorted(value for value in ids if not is_id_number(value)):
        number = _number(value)
        while number in taken:
            number += 1
        taken.add(number)
        numbers[value] = number
    return numbers | {value: int(value) for value in ids if is_id_number(value)}


@given(
    st.sets(st.text("abcdefghij", min_size=1, max_size=3), max_size=30),
    st.sets(st.integers(-3, 60), max_size=25),
    st.sampled_from([5, 20, 60]),
)
def test_numbers_of_ids_that_meet(texts, own, room):
    """In so little room most of them do."""
    ids = [*texts, *map(str, own)]
    digest = hashlib.sha256

    class Small:
        def __init__(self, data):
            self._value = int(digest(data).hexdigest()[:8], 16) % room

        def hexdigest(self):
            return f"{self._value:012x}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curate.formats._coco_ids.hashlib.sha256", Small)
        numbers = AnnotationNumbers(lambda: ids)
        assert {value: numbers[value] for value in ids} == _one_after_the_other(ids)
        if ids:
            with pytest.raises(DataError, match="two annotations have this id"):
                AnnotationNumbers(lambda: [*ids, ids[0]])


def test_an_export_that_is_read_in_runs_is_the_same_file(frames, tmp_path):
    labels = examples(frames)
    export = LabelExport.of(frames[::-1], labels[::-1], CLASSES)
    get_format("coco").write(tmp_path / "runs.json", export)
    assert (tmp_path / "runs.json").read_bytes() == coco_bytes(annotations_to_coco(frames, labels, CLASSES))
