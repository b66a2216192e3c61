"""One contract for every format: tell it, write it, read it again, and lose exactly what its table says."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from crossguard_format_examples import CLASSES, HEIGHT, WIDTH, frames, label, probes, rich, with_mask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.errors import ConfigError, CurateError, DataError, FormatError, ProjectError
from curate.formats._place import place_labels
from curate.formats.describe import formats_markdown
from curate.formats.keeps import FEATURES
from curate.formats.labelset import LabelExport
from curate.formats.lookup import FrameLookup
from curate.formats.registry import FORMATS, ReadOptions, detect_format, get_format, read_labels
from curate.formats.report import ImportReport
from curate.geometry.polygons import mask_to_polygons, to_mask
from curate.geometry.rle import mask_to_rle

GOLDEN = Path(__file__).parent / "data" / "golden"
BOTH_WAYS = sorted(name for name, entry in FORMATS.items() if entry.read and entry.write)
OUT = sorted(name for name, entry in FORMATS.items() if entry.write)
FOLDERS = {name for name, entry in FORMATS.items() if entry.layout.startswith("folder")}


@pytest.fixture(scope="session")
def three(make_frame):
    return frames(make_frame)


def target(folder, name):
    return folder / "out" if name in FOLDERS else folder / ("out.xml" if "cvat" in name else "out.json")


def written(folder, name, shown, labels, **options):
    path = target(folder, name)
    if name == "coco-results":
        labels = [replace(one, score=one.score or 0.5) for one in labels]
    get_format(name).write(path, LabelExport.of(shown, labels, CLASSES, **options))
    return path


def read_back(name, path, shown, on_error="fail"):
    report = ImportReport(on_error)
    lookup = FrameLookup.of(shown)
    _, found = read_labels(name, path, ReadOptions(lookup), report)
    return place_labels(found, lookup, "cheap", report=report), report


def paired(before, after):
    """Labels of both sides on the same frame, nearest box first."""
    pairs = []
    for one in before:
        here = [other for other in after if other.frame_id == one.frame_id]
        here.sort(key=lambda other: np.abs(np.subtract(other.bbox_xyxy, one.bbox_xyxy)).sum())
        pairs.append((one, here[0] if here else None))
    return pairs


def same_pixels(a, b):
    if a is None or b is None:
        return a is b
    return np.array_equal(to_mask(a, HEIGHT, WIDTH), to_mask(b, HEIGHT, WIDTH))


def same_ring(a, b):
    if not isinstance(b, tuple) or len(b) != 1 or b[0].holes:
        return False
    return a[0].exterior == pytest.approx(np.asarray(b[0].exterior), abs=0.0101) or np.allclose(
        a[0].exterior, b[0].exterior, atol=0.0101
    )


def close(a, b):
    return np.abs(np.subtract(a, b)).max() <= 0.0101


def spans(size):
    """Two ends inside the frame, at least a hair apart."""
    return (
        st.tuples(st.floats(0, size), st.floats(0, size)).map(sorted).filter(lambda ends: ends[0] < ends[1])
    )


any_box = st.tuples(spans(WIDTH), spans(HEIGHT)).map(
    lambda ends: (ends[0][0], ends[1][0], ends[0][1], ends[1][1])
)

BROKEN = {  # a number of one label -> no number
    "coco": ('"bbox":[40.5,', '"bbox":["x",'),
    "coco-results": ('"bbox":[40.5,', '"bbox":["x",'),
    "cvat": ('xtl="40.5"', 'xtl="x"'),
    "cvat-video": ('xtl="40.5"', 'xtl="x"'),
    "datumaro": ('"bbox":[40.5,', '"bbox":["x",'),
    "labelme": ("40.5,", '"x",'),
    "labelstudio": ('"x":63.28125', '"x":"x"'),
    "mot": (",40.5,", ",x,"),
    "voc": ("<xmin>40.5<", "<xmin>x<"),
    "yolo": ("1 0.70", "1 x0.70"),
    "yolo-seg": ("1 0.63", "1 x0.63"),
}

KEPT = {
    "boxes": lambda a, b: close(a.bbox_xyxy, b.bbox_xyxy) and a.label == b.label,
    "polygons": lambda a, b: b.mask is not None and same_ring(a.mask, b.mask),
    "parts": lambda a, b: same_pixels(a.mask, b.mask),
    "holes": lambda a, b: same_pixels(a.mask, b.mask),
    "rle": lambda a, b: same_pixels(a.mask, b.mask),
    "box_beside_mask": lambda a, b: close(a.bbox_xyxy, b.bbox_xyxy),
    "ids": lambda a, b: a.id == b.id,
    "tracks": lambda a, b: a.track_id == b.track_id,
    "scores": lambda a, b: a.score == b.score,
    "attributes": lambda a, b: (
        json.dumps(a.attributes, sort_keys=True) == json.dumps(b.attributes, sort_keys=True)
    ),
    "occluded": lambda a, b: a.occluded == b.occluded,
    "difficult": lambda a, b: a.difficult == b.difficult,
    "ignore": lambda a, b: a.ignore == b.ignore,
    "crowd": lambda a, b: a.iscrowd == b.iscrowd,
    "empty": lambda a, b: True,
}


@pytest.mark.parametrize("name", BOTH_WAYS)
class TestContract:
    """What every format that goes both ways has to do."""

    def test_is_told_from_all_others(self, name, tmp_path, three):
        path = written(tmp_path, name, three, [label(three[0])])
        assert detect_format(path).name == name.removesuffix("-seg")

    @pytest.mark.parametrize("feature", [feature for feature in FEATURES if feature != "clips"])
    def test_keeps_what_its_table_says_and_loses_the_rest(self, name, feature, tmp_path, three):
        before = probes(three)[feature]
        placed, report = read_back(name, written(tmp_path, name, three, before), three)
        assert report.skipped == 0
        assert len(placed.annotations) == len(before), "no label is ever lost whole"
        found = all(KEPT[feature](a, b) for a, b in paired(before, placed.annotations))
        if feature == "empty":
            found = set(placed.frame_ids) == {frame.id for frame in three}
        assert found == getattr(get_format(name).keeps, feature), placed.annotations

    def test_several_recordings(self, name, tmp_path, make_frame):
        shown = frames(make_frame, ("clip", "night"))
        labels = [label(frame, id=str(number)) for number, frame in enumerate(shown)]
        if get_format(name).keeps.clips:
            placed, _ = read_back(name, written(tmp_path, name, shown, labels), shown)
            assert {one.frame_id for one in placed.annotations} == {frame.id for frame in shown}
        else:
            with pytest.raises(DataError, match="say which recording"):
                written(tmp_path, name, shown, labels)
            assert list(tmp_path.iterdir()) == []

    def test_writes_what_it_always_wrote(self, name, tmp_path, three):
        path = written(tmp_path, name, three, rich(three))
        golden = GOLDEN / name
        if os.environ.get("CROSSGUARD_WRITE_GOLDEN"):
            shutil.rmtree(golden, ignore_errors=True)
            golden.mkdir(parents=True)
            for file in ([path] if path.is_file() else []) + list(tmp_path.glob("*.images.json")):
                shutil.copy(file, golden)
            if path.is_dir():
                shutil.copytree(path, golden, dirs_exist_ok=True)
        root = path if path.is_dir() else tmp_path
        now = {
            file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()
        }
        then = {
            file.relative_to(golden).as_posix(): file.read_bytes()
            for file in golden.rglob("*")
            if file.is_file()
        }
        assert now == then

    def test_the_golden_files_read_and_come_out_the_same(self, name, tmp_path, three):
        golden = GOLDEN / name
        path = (
            golden if name in FOLDERS else next(iter(sorted(golden.glob("out.*"), key=lambda p: len(p.name))))
        )
        placed, _ = read_back(name, path, three)
        assert len(placed.annotations) == len(rich(three))
        again = written(tmp_path, name, three, placed.annotations)
        second, _ = read_back(name, again, three)
        key = lambda one: (one.frame_id, one.bbox_xyxy, one.label, one.id)  # noqa: E731
        once = [replace(one, mask=None) for one in sorted(placed.annotations, key=key)]
        twice = [replace(one, mask=None) for one in sorted(second.annotations, key=key)]
        if get_format(name).keeps.ids:
            assert [one.id for one in once] == [one.id for one in twice]
        assert [one.bbox_xyxy for one in once] == pytest.approx(
            np.asarray([one.bbox_xyxy for one in twice]), abs=1e-3
        )

    def test_the_order_of_the_input_does_not_matter(self, name, tmp_path, three):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        one = written(tmp_path / "a", name, three, rich(three))
        two = written(tmp_path / "b", name, three[::-1], rich(three)[::-1])
        contents = [
            {
                file.relative_to(path.parent): file.read_bytes()
                for file in path.parent.rglob("*")
                if file.is_file()
            }
            for path in (one, two)
        ]
        assert contents[0] == contents[1]

    def test_an_archive_reads_like_its_folder(self, name, tmp_path, three):
        path = written(
            tmp_path / "x" if (tmp_path / "x").mkdir() is None else tmp_path, name, three, [label(three[0])]
        )
        packed = shutil.make_archive(str(tmp_path / "packed"), "zip", path if path.is_dir() else path.parent)
        if name == "coco-results":
            return  # two files of one kind: the folder has to be unpacked
        placed, _ = read_back(name, Path(packed), three)
        assert len(placed.annotations) == 1
        folder = path if path.is_dir() else path.parent
        wrapped = shutil.make_archive(str(tmp_path / "wrapped"), "zip", folder.parent, folder.name)
        placed, _ = read_back(name, Path(wrapped), three)
        assert len(placed.annotations) == 1

    def test_frames_of_another_size_and_frames_that_are_not_there(self, name, tmp_path, three, make_frame):
        path = written(tmp_path, name, three, [label(three[0]), label(three[2], id="18")])
        bigger = [replace(frame, width=WIDTH * 2) for frame in three]
        told = name not in ("yolo", "yolo-seg", "mot")  # these do not say how large the pictures are
        if told:
            with pytest.raises(FormatError, match="pixels, the frame has"):
                read_back(name, path, bigger)
        fewer = [three[0]]
        if name == "cvat-video":  # asks the project which frames it has
            assert len(read_back(name, path, fewer)[0].annotations) == 1
            return
        with pytest.raises(FormatError, match="not among the ingested frames"):
            read_back(name, path, fewer)
        placed, report = read_back(name, path, fewer, "quarantine")
        assert len(placed.annotations) == 1
        assert report.by_kind["unknown_frame"] >= 1
        assert [problem.kind for problem in report.aside] == ["unknown_frame"]

    def test_one_policy_for_bad_items(self, name, tmp_path, three):
        second = label(three[1], id="18", bbox_xyxy=(40.5, 5, 50.25, 15))
        path = written(tmp_path, name, three, [label(three[0]), second])
        old, new = BROKEN[name]
        files = [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
        damaged = [file for file in files if old in file.read_text()]
        assert len(damaged) == 1
        damaged[0].write_text(damaged[0].read_text().replace(old, new, 1))
        with pytest.raises(FormatError) as caught:
            read_back(name, path, three)
        assert str(caught.value.file).startswith(str(path.parent))
        assert caught.value.item
        assert caught.value.hint
        for policy in ("skip", "quarantine"):
            placed, report = read_back(name, path, three, policy)
            assert [one.frame_id for one in placed.annotations] == [three[0].id]
            assert report.skipped == 1
            assert [problem.item for problem in report.aside] == (
                [caught.value.item] if policy == "quarantine" else []
            )

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(boxes=st.lists(any_box, min_size=1, max_size=4), pixels=arrays(bool, (HEIGHT // 4, WIDTH // 4)))
    def test_any_boxes_and_masks_survive(self, name, tmp_path, three, boxes, pixels):
        keeps = get_format(name).keeps
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[9 : 9 + HEIGHT // 4, 7 : 7 + WIDTH // 4] = pixels
        mask[20, 20] = True
        before = [label(three[0], id=str(number), bbox_xyxy=box) for number, box in enumerate(boxes)]
        whole = with_mask(three[1], mask_to_rle(mask), id="90")
        traced = with_mask(three[2], mask_to_polygons(mask), id="91")
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            path = written(Path(folder), name, three, [*before, whole, traced])
            placed, report = read_back(name, path, three)
        assert report.skipped == 0
        after = {(one.id, one.frame_id): one for one in placed.annotations}
        assert len(placed.annotations) == len(before) + 2
        if keeps.ids:
            for one in before:
                assert close(one.bbox_xyxy, after[one.id, one.frame_id].bbox_xyxy)
        else:
            found = [one.bbox_xyxy for one in placed.annotations if one.frame_id == three[0].id]
            assert all(any(close(box, other) for other in found) for box in boxes)
        if keeps.rle and keeps.holes:
            for one in (whole, traced):
                (other,) = [label for label in placed.annotations if label.frame_id == one.frame_id]
                assert same_pixels(one.mask, other.mask)

    def test_nothing_is_overwritten_and_nothing_half_written(self, name, tmp_path, three):
        if name not in FOLDERS:
            with pytest.raises(ProjectError, match="cannot be written"):
                written(tmp_path / "missing", name, three, [label(three[0])])
            assert not (tmp_path / "missing").exists()
            return
        path = written(tmp_path, name, three, [label(three[0])])
        before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
        with pytest.raises(ProjectError, match="something here already"):
            written(tmp_path, name, three, [])
        assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]

    def test_a_class_that_is_not_exported_is_named(self, name, tmp_path, three):
        with pytest.raises(DataError, match="bus"):
            written(tmp_path, name, three, [label(three[0], label="bus")])
        assert list(tmp_path.iterdir()) == []

    def test_what_is_no_such_file_is_one_clear_error(self, name, tmp_path, three):
        for content in (b"", b"\x00\xff\xfe junk", b"[" * 100_000, b"<a>", b"{}", b"[]", b"null", b"- x\n"):
            for suffix in (".json", ".xml", ".txt", ".yaml"):
                path = tmp_path / f"x{suffix}"
                path.write_bytes(content)
                error = outcome(name, path, three)
                assert error is None or error.file is not None, error
        with pytest.raises(FormatError):
            read_back(name, tmp_path / "missing", three)
        (tmp_path / "empty").mkdir()
        with pytest.raises(CurateError):
            read_back(name, tmp_path / "empty", three)


def outcome(name, path, shown):
    """The error of reading a file, or None."""
    try:
        read_back(name, path, shown, "skip")
    except CurateError as error:
        return error
    return None


@pytest.mark.parametrize("name", OUT)
def test_images_go_along_under_the_names_of_their_frames(name, tmp_path, three):
    image = tmp_path / "stored.jpg"
    image.write_bytes(b"jpeg")
    (tmp_path / "to").mkdir()
    shown = [replace(frame, path="ab/ab12.jpg") for frame in three]
    path = written(
        tmp_path / "to", name, shown, [label(shown[0])], images={frame.id: image for frame in shown}
    )
    copies = list(path.parent.rglob("*.jpg"))
    assert len(copies) == (3 if name in FOLDERS else 0)


def test_unknown_and_one_way_formats_are_named(tmp_path, three):
    with pytest.raises(ConfigError, match="one of coco"):
        get_format("nonsense")
    with pytest.raises(ConfigError, match="only written"):
        read_back("fiftyone", tmp_path, three)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FormatError, match="none that is known"):
        detect_format(tmp_path / "x.json")


def test_fiftyone_says_what_its_importer_reads(tmp_path, three):
    marked = label(three[0], score=0.5, track_id="4", occluded=True, attributes={"colour": "red"})
    path = written(tmp_path, "fiftyone", three, [marked])
    data = json.loads((path / "labels.json").read_text())
    assert data["classes"] == CLASSES
    assert set(data["labels"]) == {frame.name[:-4] for frame in three}
    (entry,) = data["labels"]["clip_a"]
    x, y, w, h = entry["bounding_box"]
    assert (x * WIDTH, y * HEIGHT, (x + w) * WIDTH, (y + h) * HEIGHT) == pytest.approx(
        marked.bbox_xyxy, abs=1e-4
    )
    assert entry["attributes"] == {"colour": "red", "occluded": True, "crossguard_id": "17", "track_id": "4"}
    assert (entry["label"], entry["confidence"]) == ("car", 0.5)


def test_every_probe_is_a_feature():
    assert set(KEPT) | {"clips"} == set(FEATURES)


def test_the_page_about_formats_has_the_table_of_the_code():
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    assert formats_markdown() in page, "put the output of `curate formats --markdown` into docs/formats.md"


@pytest.mark.parametrize("name", ["yolo", "yolo-seg"])
def test_class_names_that_yaml_would_take_for_something_else(name, make_frame, tmp_path):
    classes = ["yes", "no", "null", "1", "person: x", "on", "~", "car # red", "1e3"]
    frame = make_frame("a.jpg")
    labels = [label(frame, id=f"l{n}", label=each) for n, each in enumerate(classes)]
    get_format(name).write(tmp_path / "out", LabelExport.of([frame], labels, classes))
    declared = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text("utf-8"))
    assert declared["names"] == dict(enumerate(classes))
    assert "path" not in declared  # Ultralytics would take "." for the folder that it was started in.
    _, read = read_labels(name, tmp_path / "out", ReadOptions(FrameLookup.of([frame])), ImportReport("fail"))
    assert [entry.label for entry in read.labels] == classes
