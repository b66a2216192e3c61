"""Pascal VOC: one XML file a picture, boxes only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from curate.annotations import Annotation, Frame
from curate.errors import FormatError
from curate.formats._carry import CARRY_KEY, carried, carried_json, with_carried, written_box
from curate.formats._peek import peek_xml
from curate.formats._sources import files_under, load_xml
from curate.formats._values import as_text, comparable_name, shown
from curate.formats._write import FilePerFrame, write_folder
from curate.formats._xml import add_text, is_xml_text, text_value, to_number, value_text, xml_bytes
from curate.formats.labelset import Content, FileLabel, LabelExport, LabelSet, Picture
from curate.formats.report import BadItem, ImportReport

__all__ = ["is_voc", "read_voc", "write_voc"]

_NATIVE = ("difficult", "occluded", "track_id")
_MARKS = ("pose", "truncated")


def is_voc(path: Path) -> bool:
    """A folder with XML files of <annotation>, or one such file."""
    try:
        files = _xml_files(path)
        return bool(files) and peek_xml(files[0]).tag == "annotation"
    except (FormatError, OSError):
        return False


def read_voc(path: Path, report: ImportReport) -> LabelSet:
    """Read VOC files.

    Corners are pixel edges from 0, as labelImg, CVAT and Datumaro write them; in the devkit's own files (database
    "The VOC2007 Database" and its like), which number pixels from 1, the left and upper edge are one less. Kinds
    of bad items: missing_key, wrong_type, not_finite, box_size; a file that is no VOC file: no_voc.

    Args:
        path: A folder (below it, "Annotations" where there is one) or one XML file.
        report: Policy and report.

    Raises:
        FormatError: There is no XML file, or a bad item under the policy "fail".
    """
    files = _xml_files(path)
    if not files:
        raise FormatError("expected XML files of Pascal VOC", file=path)
    folder = path if path.is_dir() else path.parent
    report.file = str(path)
    pictures: list[Picture] = []
    labels: list[FileLabel] = []
    for file in files:
        item = file.relative_to(folder).as_posix()
        try:
            picture, root, start = _picture(file, folder, item)
        except (BadItem, FormatError) as error:
            message = error.message
            report.reject(item, BadItem(getattr(error, "kind", "no_voc"), message))
            continue
        pictures.append(picture)
        for number, element in enumerate(root.findall("object"), start=1):
            where = f"{item}, object {number}"
            try:
                labels.append(_label(element, f"{picture.key}/{number}", picture.key, start, where))
            except BadItem as bad:
                report.reject(where, bad)
    return LabelSet(tuple(pictures), tuple(labels), str(path))


def _xml_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    inner = path / "Annotations"
    return files_under(inner if inner.is_dir() else path, {".xml"})


def _picture(file: Path, folder: Path, item: str) -> tuple[Picture, Element, float]:
    root = load_xml(file, what="a VOC file")
    if root.tag != "annotation":
        raise BadItem("no_voc", f"expected <annotation> of Pascal VOC, got <{shown(root.tag)[1:-1]}>")
    base = folder / "Annotations" if (folder / "Annotations") in file.parents else folder
    key = file.relative_to(base).with_suffix("").as_posix()
    names = [key]
    written = (root.findtext("filename") or "").strip()
    if written:
        names.insert(0, comparable_name(written))
        above = (root.findtext("folder") or "").strip()
        if above:
            names.insert(0, comparable_name(f"{above}/{written}"))
    sides: list[int | None] = []
    for side in ("width", "height"):
        text = (root.findtext(f"size/{side}") or "").strip()
        value = to_number(text, side) if text else 0.0
        sides.append(int(value) if 0 < value < 2**31 else None)
    devkit = (root.findtext("source/database") or "").startswith("The VOC")
    return Picture(key, tuple(names), width=sides[0], height=sides[1], item=item), root, float(devkit)


def _label(element: Element, label_id: str, picture: str, start: float, item: str) -> FileLabel:
    name = as_text((element.findtext("name") or "").strip(), "name")
    box = element.find("bndbox")
    if box is None:
        raise BadItem("missing_key", "<object> lacks <bndbox>")
    x1, y1, x2, y2 = (to_number(box.findtext(key), key) for key in ("xmin", "ymin", "xmax", "ymax"))
    corners = (x1 - start, y1 - start, x2, y2)
    if corners[2] <= corners[0] or corners[3] <= corners[1]:
        raise BadItem("box_size", f"a box needs xmax > xmin and ymax > ymin, got {[x1, y1, x2, y2]}")
    attributes: dict[str, Any] = {}
    for entry in element.iterfind("attributes/attribute"):
        key = as_text((entry.findtext("name") or "").strip(), "an attribute's name")
        attributes[key] = text_value((entry.findtext("value") or "").strip())
    for key in _MARKS:
        text = (element.findtext(key) or "").strip()
        if text and text not in ("0", "Unspecified"):
            attributes.setdefault(key, text_value(text))
    carried_value = attributes.pop(CARRY_KEY, None)
    track = attributes.pop("track_id", None)
    label = FileLabel(
        label_id,
        picture,
        name,
        corners,
        track_id=None if track is None else str(track),
        occluded=_flag(element, "occluded"),
        difficult=_flag(element, "difficult"),
        attributes=attributes,
        item=item,
    )
    return with_carried(label, carried_value)


def _flag(element: Element, key: str) -> bool:
    text = (element.findtext(key) or "0").strip()
    if text not in ("0", "1"):
        raise BadItem("wrong_type", f"{key} must be 0 or 1, got {shown(text)}")
    return text == "1"


def write_voc(path: Path, export: LabelExport) -> None:
    """Write Annotations/<name>.xml for every frame, ImageSets/Main/default.txt and labelmap.txt; edges from 0.

    Raises:
        DataError: Two frames share a file, or XML cannot hold a class name.
        ProjectError: There is something at `path`, or it cannot be written.
    """
    write_folder(path, _files(export))


def _files(export: LabelExport) -> Iterator[tuple[str, Content]]:
    files = FilePerFrame(export, ".xml")
    for frame, labels in export.by_frame(masks=False):
        yield f"Annotations/{files.path(frame)}", xml_bytes(_file(frame, labels, export))
        image = export.image(frame)
        if image is not None:
            yield f"JPEGImages/{frame.name}", image
    stems = (f"{path.removesuffix('.xml')}\n".encode() for path in sorted(files.paths))
    yield "ImageSets/Main/default.txt", stems
    if not any(":" in name for name in export.classes):
        # By this file other programs learn of classes that are not VOC's own twenty.
        rows_of_map = ["# label:color_rgb:parts:actions", *(f"{name}:::" for name in export.classes)]
        yield "labelmap.txt", "".join(f"{row}\n" for row in rows_of_map).encode()


def _file(frame: Frame, annotations: Sequence[Annotation], export: LabelExport) -> Element:
    root = Element("annotation")
    add_text(root, "filename", frame.name)
    size = SubElement(root, "size")
    for key, value in (("width", frame.width), ("height", frame.height), ("depth", 3)):
        add_text(size, key, value)
    add_text(root, "segmented", 0)
    for label in annotations:
        _object(root, label, export.own_id(label))
    return root


def _object(root: Element, label: Annotation, own_id: str) -> None:
    element = SubElement(root, "object")
    add_text(element, "name", label.label)
    own, rest = carried(label, own_id, native=_NATIVE, plain=_plain)
    add_text(element, "truncated", int(own.pop("truncated", 0) or 0))
    add_text(element, "difficult", int(label.difficult))
    add_text(element, "occluded", int(label.occluded))
    box = SubElement(element, "bndbox")
    for key, value in zip(("xmin", "ymin", "xmax", "ymax"), written_box(label.bbox_xyxy), strict=True):
        add_text(box, key, value_text(value))
    pairs = {key: _text(value) for key, value in own.items()}
    if label.track_id is not None:
        if _plain("x", label.track_id) and text_value(label.track_id) in (
            label.track_id,
            _int(label.track_id),
        ):
            pairs["track_id"] = label.track_id
        else:
            rest["track_id"] = label.track_id
    pairs[CARRY_KEY] = carried_json(rest)
    holder = SubElement(element, "attributes")
    for key in sorted(pairs):
        entry = SubElement(holder, "attribute")
        add_text(entry, "name", key)
        add_text(entry, "value", pairs[key])


def _int(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else None


def _plain(key: str, value: Any) -> bool:
    """Text, numbers, true and false that come back as they were."""
    if not is_xml_text(key) or key in (CARRY_KEY, "track_id"):
        return False
    if key in _MARKS:
        return key == "truncated" and value is not True and value == 1 and isinstance(value, int)
    if isinstance(value, str):
        return is_xml_text(value) and text_value(value) == value
    return isinstance(value, bool | int) and abs(value) < 2**53


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
