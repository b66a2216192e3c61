"""What somebody may send to do harm: each ends in one clear error, soon, and nothing is left half done."""

from __future__ import annotations

import ast
import base64
import json
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from crossguard_format_examples import CLASSES, frames, label

from curate.config import parse_site
from curate.errors import ConfigError, CurateError, DataError, FormatError, ImageError, ProjectError
from curate.formats._sources import open_folder
from curate.formats._write import write_folder
from curate.formats.images import decode_image
from curate.formats.labelset import LabelExport
from curate.formats.lookup import FrameLookup
from curate.formats.registry import FORMATS, ReadOptions, read_labels
from curate.formats.report import ImportReport

ROOT = Path(__file__).parents[2]
BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation{}><filename>&c;</filename></annotation{}>"""
LEAK = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><annotation{0}><filename>&f;</filename></annotation{0}>'


def read(name, path, shown=(), on_error="skip"):
    return read_labels(name, path, ReadOptions(FrameLookup.of(shown)), ImportReport(on_error))[1]


def archive(path, *members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content, **options)
    return path


@pytest.mark.parametrize(
    "name", ["../x.xml", "a/../../x.xml", "/etc/x.xml", "C:\\x.xml", "..\\x.xml", "C:x.xml"]
)
def test_an_archive_never_writes_outside_its_folder(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = archive(tmp_path / "in" / "x.zip", ("good.xml", "<annotation/>"), (name, "<annotation/>"))
    with pytest.raises(FormatError, match="leads out of its folder") as caught:
        read("voc", path)
    assert (caught.value.file, caught.value.item) == (str(path), name)
    assert [entry.name for entry in tmp_path.rglob("*.xml")] == []


def test_links_devices_and_doubles_in_an_archive(tmp_path):
    link = zipfile.ZipInfo("x.xml")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    device = zipfile.ZipInfo("x.xml")
    device.external_attr = (stat.S_IFCHR | 0o666) << 16
    for number, member in enumerate((link, device)):
        path = archive(tmp_path / f"{number}.zip", (member, "/etc/passwd"))
        with pytest.raises(FormatError, match="a link or a device"):
            read("voc", path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "twice.zip", ("x.xml", "a"), ("x.xml", "b"))
    with pytest.raises(FormatError, match="twice"):
        read("voc", path)


def test_of_pictures_only_the_names_are_unpacked(tmp_path):
    path = archive(
        tmp_path / "x.zip", ("data.yaml", "names: [a]"), ("labels/a.txt", ""), ("images/b.jpg", b"x" * 9000)
    )
    assert {picture.key for picture in read("yolo", path).pictures} == {"a", "b"}
    with open_folder(path, max_bytes=100) as opened:
        assert (opened / "images" / "b.jpg").stat().st_size == 0


def test_archive_bombs_are_counted_as_they_come(tmp_path):
    path = archive(tmp_path / "x.zip", ("x.xml", b"\0" * 5_000_000))
    assert path.stat().st_size < 10_000
    with (
        pytest.raises(FormatError, match="more than 1,000,000 bytes"),
        open_folder(path, max_bytes=1_000_000),
    ):
        pass
    # A header that lies about the size does not help.
    lied = path.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 10))
    (tmp_path / "lie.zip").write_bytes(lied)
    with pytest.raises(FormatError), open_folder(tmp_path / "lie.zip", max_bytes=1_000_000):
        pass
    many = archive(tmp_path / "many.zip", *((f"{number}.xml", "") for number in range(50)))
    with pytest.raises(FormatError, match="50 files"), open_folder(many, max_files=20):
        pass


def test_archives_that_cannot_be_read(tmp_path):
    cases = {"no.zip": b"no archive", "empty.zip": b"", "x.tar": b"", "x.rar": b"Rar!", "x.7z": b"7z"}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError) as caught:
            read("voc", tmp_path / name)
        assert caught.value.file == str(tmp_path / name)
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../x.xml"))
    with pytest.raises(FormatError, match=r"only \.zip"):
        read("voc", tmp_path / "x.tgz")
    encrypted = bytearray(archive(tmp_path / "x.zip", ("x.xml", "<annotation/>")).read_bytes())
    for at in (6, encrypted.index(b"PK\x01\x02") + 8):
        encrypted[at] |= 1
    (tmp_path / "x.zip").write_bytes(encrypted)
    with pytest.raises(FormatError, match="encrypted"):
        read("voc", tmp_path / "x.zip")


def test_a_file_without_a_name(tmp_path):
    path = archive(tmp_path / "x.zip", ("good.xml", "<annotation/>"), (zipfile.ZipInfo(""), "x"))
    with pytest.raises(FormatError, match="without a name"):
        read("voc", path)


def test_an_error_inside_an_archive_names_the_archive(tmp_path):
    path = archive(tmp_path / "x.zip", ("data.yaml", "names: [a]"), ("labels/a.txt", "7 0 0 0 0\n"))
    with pytest.raises(FormatError) as caught:
        read("yolo", path, on_error="fail")
    assert (caught.value.file, caught.value.item) == (str(path), "labels/a.txt, line 1")


@pytest.mark.parametrize("name", ["voc", "cvat", "cvat-video"])
@pytest.mark.parametrize("text", [BOMB, LEAK])
def test_xml_entities_are_refused(tmp_path, name, text):
    path = tmp_path / "x.xml"
    path.write_text(text.replace("{}", "").replace("{0}", "s" if "cvat" in name else ""))
    with pytest.raises(CurateError, match="refused"):
        read(name, path, on_error="fail")


YAML_BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\n"


@pytest.mark.parametrize(
    "text",
    [
        YAML_BOMB,
        "names: !!python/object/apply:os.system ['true']\n",
        "names: " + "[" * 5000,
        "names: {? [a] : b}\n",
        "names: 2020-13-45\n",
        "names: {1: a, 1: b, x: c}\n",
        "names: [\n",
        "\x00",
    ],
)
def test_yaml_of_strangers(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(FormatError) as caught:
        read("yolo", tmp_path)
    assert caught.value.file == str(tmp_path / "data.yaml")
    with pytest.raises(ConfigError):
        parse_site(text.replace("names", "classes"))


@pytest.mark.parametrize("name", ["coco", "coco-results", "labelstudio", "labelme", "datumaro"])
@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000, "[" * 900 + "]" * 900])
def test_deep_json(tmp_path, name, deep):
    path = tmp_path / "x.json"
    path.write_text(deep)
    (tmp_path / "x.images.json").write_text('{"images": [], "categories": [], "annotations": []}')
    with pytest.raises(CurateError) as caught:
        read(name, path, on_error="fail")
    assert caught.value.file


def test_deep_attributes_are_a_bad_item(tmp_path, make_frame):
    deep = json.loads("[" * 100 + "]" * 100)
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "x": deep}
    data = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [entry],
    }
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(FormatError, match=r"annotation 1: .*deeper than 32"):
        read("coco", tmp_path / "x.json", on_error="fail")


def png(width, height):
    """A PNG that says it is huge."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"), [(60_000, 60_000), (10**9, 1), (32_000, 32_000), (2**31 - 1, 2**31 - 1)]
)
def test_pictures_of_a_thousand_million_pixels(width, height):
    with pytest.raises(ImageError, match="more than the allowed"):
        decode_image(png(width, height), name="x.png")


def test_masks_that_say_they_are_huge(tmp_path, make_frame):
    big = base64.b64encode(png(40_000, 40_000)).decode()
    shape = {"label": "car", "shape_type": "mask", "points": [[0, 0], [5, 5]], "mask": big}
    data = {"imagePath": "a.jpg", "imageWidth": 64, "imageHeight": 48, "shapes": [shape]}
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(FormatError, match="more than the allowed"):
        read("labelme", tmp_path / "a.json", on_error="fail")
    for sides in ({"imageWidth": 10**9, "imageHeight": 10**9}, {"imageWidth": None, "imageHeight": None}):
        (tmp_path / "a.json").write_text(json.dumps({**data, **sides}))
        with pytest.raises(FormatError, match=r"a mask of more than|needs"):
            read("labelme", tmp_path / "a.json", on_error="fail")
    xml = (
        '<annotations><image id="0" name="a.jpg" width="999999999" height="999999999"><mask label="car" '
        'rle="999999999" left="0" top="0" width="999999999" height="999999999"/></image></annotations>'
    )
    (tmp_path / "x.xml").write_text(xml)
    with pytest.raises(FormatError, match="more than 64,000,000 pixels"):
        read("cvat", tmp_path / "x.xml", on_error="fail")
    result = {
        "type": "brushlabels",
        "original_width": 100_000,
        "original_height": 100_000,
        "value": {"format": "rle", "rle": [255] * 20, "brushlabels": ["car"]},
    }
    tasks = [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]}]
    (tmp_path / "x.json").write_text(json.dumps(tasks))
    with pytest.raises(FormatError, match="more than 64,000,000 pixels"):
        read("labelstudio", tmp_path / "x.json", on_error="fail")
    rle = {"size": [2**20, 2**20], "counts": [2**40]}
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": rle}],
    }
    (tmp_path / "c.json").write_text(json.dumps(coco))
    with pytest.raises(FormatError, match="annotation 1: an RLE of"):
        read("coco", tmp_path / "c.json", on_error="fail")


@pytest.mark.parametrize("name", ["../../escaped.jpg", "/etc/escaped.jpg", "a/../../escaped.jpg"])
@pytest.mark.parametrize(
    "format_name",
    sorted(name for name, entry in FORMATS.items() if entry.layout.startswith("folder") and name != "mot"),
)
def test_frame_names_never_lead_out_of_an_export(tmp_path, make_frame, name, format_name):
    from dataclasses import replace

    frame = replace(frames(make_frame)[0], name=name)
    image = tmp_path / "stored.jpg"
    image.write_bytes(b"x")
    (tmp_path / "a").mkdir()
    export = LabelExport.of([frame], [label(frame)], CLASSES, "", {frame.id: image})
    try:
        FORMATS[format_name].write(tmp_path / "a" / "out", export)
    except DataError as error:
        assert "outside the folder" in error.message  # noqa: PT017  either is right
        assert list((tmp_path / "a").iterdir()) == []
    else:
        assert name.startswith("/"), "below the folder, the root is a name like any other"
    assert not Path("/etc/escaped.jpg").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "stored.jpg"]
    assert {entry.name for entry in (tmp_path / "a").iterdir()} <= {"out"}


def test_a_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(ProjectError, match="cannot be written"):
        write_folder(tmp_path / "out", [("a.txt", b"x"), ("b.txt", tmp_path / "missing.jpg")])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError):
        write_folder(tmp_path / "file" / "out", [("a.txt", b"x")])
    with pytest.raises(ProjectError, match="something here already"):
        write_folder(tmp_path / "file", [("a.txt", b"x")])


@pytest.mark.parametrize("name", ["=1+2", "+1", "-1", "@SUM(A1)", "\tx", " "])
def test_class_names_that_a_spreadsheet_would_run(name):
    """Tables of the app can be saved as CSV by the browser."""
    with pytest.raises(ConfigError):
        parse_site(f"classes: [{json.dumps(name)}]\n")


def sources():
    return sorted([*(ROOT / "curate").rglob("*.py"), *(ROOT / "app").rglob("*.py")])


def test_nothing_that_runs_code_is_ever_loaded():
    """No pickle in any clothing: torch only with weights_only, numpy only without, and no export as spreadsheet."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                if names == ["UnpicklingError", "pickle"]:  # the name of an error loads nothing
                    continue
                assert not {
                    "pickle",
                    "cPickle",
                    "dill",
                    "cloudpickle",
                    "marshal",
                    "shelve",
                    "joblib",
                    "csv",
                } & set(names), where
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert called not in ("eval", "exec", "os.system", "yaml.load", "yaml.unsafe_load"), where
            assert not called.endswith(
                (".to_csv", ".to_excel", ".to_pickle", ".read_pickle", ".extractall")
            ), where
            if called == "torch.load":
                assert given.get("weights_only") == "True", where
            if called in ("np.load", "numpy.load"):
                assert given.get("allow_pickle") == "False", where
            assert given.get("shell") != "True", where
