"""Ultralytics YOLO, detection and segmentation: one text file a picture, coordinates as shares of its sides."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from curate.annotations import Annotation, Frame
from curate.errors import DataError, FormatError
from curate.formats._carry import written_box
from curate.formats._items import IMAGE_SUFFIXES
from curate.formats._masks import valid_polygons
from curate.formats._sources import files_under, load_yaml, read_text
from curate.formats._values import as_text, shown
from curate.formats._write import FilePerFrame, write_folder
from curate.formats.labelset import Content, FileLabel, LabelExport, LabelSet, Picture
from curate.formats.report import BadItem, ImportReport
from curate.geometry import Rle
from curate.geometry.polygons import mask_to_polygons
from curate.geometry.rle import rle_to_mask
from curate.types import Point, Ring

__all__ = ["is_yolo", "read_yolo", "write_yolo_detect", "write_yolo_segment"]

_DIGITS = 8
"""1e-8 of a side: far below 0.01 px on any picture."""
_MAX_CLASSES = 100_000


def is_yolo(path: Path) -> bool:
    """A folder with a data.yaml (or another YAML file) that has `names`, or such a file itself."""
    try:
        return bool(_names(_declaration(path)))
    except (FormatError, OSError):
        return False


def read_yolo(path: Path, report: ImportReport) -> LabelSet:
    """Read a YOLO folder: data.yaml, and every label file below a folder "labels" (or anywhere, where there is none).

    A line of five numbers is a box, a longer one a polygon, one number more at its end a score; a file without
    lines is an empty picture, and so is an image beside that has no label file. Kinds of bad items: wrong_type,
    not_finite, unknown_category, box_size, polygon.

    Args:
        path: The folder, or its data.yaml.
        report: Policy and report.

    Raises:
        FormatError: No declaration of class names, a broken one, or a bad item under the policy "fail".
    """
    declaration = _declaration(path)
    names = _names(declaration)
    folder = declaration.parent
    report.file = str(path)
    pictures: list[Picture] = []
    labels: list[FileLabel] = []
    text_files = _label_files(folder)
    for file, stem in text_files:
        pictures.append(Picture(stem, (stem,), item=file.relative_to(folder).as_posix()))
        labels += _read_file(file, stem, names, file.relative_to(folder).as_posix(), report)
    known = {stem for _, stem in text_files}
    for image in files_under(folder, IMAGE_SUFFIXES):
        stem = _stem_below(image.relative_to(folder), "images")
        if stem not in known:
            pictures.append(Picture(stem, (stem,), item=image.relative_to(folder).as_posix()))
    return LabelSet(tuple(pictures), tuple(labels), str(path))


def _declaration(path: Path) -> Path:
    if path.is_dir():
        candidates = [path / "data.yaml", *sorted(path.glob("*.yaml")), *sorted(path.glob("*.yml"))]
        # An archive made of a folder has that folder around it.
        inner = sorted(path.glob("*/data.yaml"))
        candidates += inner if len(inner) == 1 else []
        for candidate in candidates:
            if candidate.is_file():
                return candidate
        raise FormatError("expected a data.yaml with the class names", file=path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise FormatError("expected a YOLO folder or its data.yaml", file=path)
    return path


def _names(path: Path) -> dict[int, str]:
    """Class number -> name, from a list or a mapping."""
    data = load_yaml(path, what="data.yaml")
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or len(names) > _MAX_CLASSES:
        raise FormatError(f'expected class names under "names", got {shown(names)}', file=path)
    result: dict[int, str] = {}
    for key, name in names.items():
        number = int(key) if isinstance(key, str) and re.fullmatch(r"[0-9]{1,6}", key) else key
        if not isinstance(number, int) or isinstance(number, bool):
            raise FormatError(f"a class number must be a whole number, got {shown(key)}", file=path)
        try:
            # YAML reads `1` or `yes` as something else than text.
            result[number] = as_text(name if isinstance(name, str) else str(name).lower(), "a class name")
        except BadItem as bad:
            raise FormatError(bad.message, file=path) from bad
    return result


def _label_files(folder: Path) -> list[tuple[Path, str]]:
    files = [file for file in files_under(folder, {".txt"}) if file.name not in ("classes.txt", "README.txt")]
    inside = [file for file in files if "labels" in file.relative_to(folder).parts[:-1]]
    if inside:
        return [(file, _stem_below(file.relative_to(folder), "labels")) for file in inside]
    # Lists of images (train.txt) lie at the top.
    below = [file for file in files if file.parent != folder]
    return [(file, file.relative_to(folder).with_suffix("").as_posix()) for file in below]


def _stem_below(path: Path, name: str) -> str:
    """The picture's name without suffix: the path below the innermost folder `name` and its split."""
    parts = path.parts
    at = max((place for place, part in enumerate(parts[:-1]) if part == name), default=-1)
    below = parts[at + 1 :]
    if at >= 0 and len(below) > 1 and below[0] in ("train", "val", "test", "valid"):
        below = below[1:]
    return PurePosixPath(*below).with_suffix("").as_posix()


def _read_file(
    file: Path, stem: str, names: Mapping[int, str], shown_name: str, report: ImportReport
) -> list[FileLabel]:
    result = []
    text = read_text(file, what="a YOLO label file")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        item = f"{shown_name}, line {number}"
        try:
            result.append(_read_line(words, f"{stem}/{number}", stem, names, item, report))
        except BadItem as bad:
            report.reject(item, bad)
    return result


def _read_line(
    words: list[str], label_id: str, stem: str, names: Mapping[int, str], item: str, report: ImportReport
) -> FileLabel:
    if not re.fullmatch(r"[0-9]{1,6}(\.0*)?", words[0]):
        raise BadItem("wrong_type", f"a line begins with the number of a class, got {shown(words[0])}")
    category = int(float(words[0]))
    if category not in names:
        raise BadItem(
            "unknown_category", f"class {category} is not among the {len(names)} names of data.yaml"
        )
    values = [_share(word) for word in words[1:]]
    label = FileLabel(label_id, stem, names[category], relative=True, item=item)
    if len(values) >= 5 and len(values) % 2:
        label, values = replace(label, score=min(max(values[-1], 0.0), 1.0)), values[:-1]
    if len(values) == 4:
        return replace(label, bbox_xyxy=_box(values))
    if len(values) < 6 or len(values) % 2:
        raise BadItem(
            "wrong_type", f"expected a class and 4 numbers or at least 3 points, got {len(values)} numbers"
        )
    points = list(zip(values[::2], values[1::2], strict=True))
    if points[0] == points[-1]:
        points.pop()
    if len(points) < 3:
        raise BadItem("polygon", f"a polygon needs at least three points, got {len(points)}")
    return replace(label, mask=valid_polygons([tuple(points)], item, report))


def _share(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise BadItem("wrong_type", f"expected numbers, got {shown(word)}") from None
    if not math.isfinite(value):
        raise BadItem("not_finite", f"numbers must be finite, got {shown(word)}")
    if not -0.1 <= value <= 1.1:
        raise BadItem("wrong_type", f"coordinates are shares of the picture in 0..1, got {shown(word)}")
    return value


def _box(values: list[float]) -> tuple[float, float, float, float]:
    x, y, width, height = values
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if width <= 0 or height <= 0 or box[2] <= box[0] or box[3] <= box[1]:
        raise BadItem("box_size", f"a box needs a width and a height above 0, got {width:g} and {height:g}")
    return box


def write_yolo_detect(path: Path, export: LabelExport) -> None:
    """Write a detection folder: data.yaml, labels/train/<name>.txt, an empty file for an empty frame.

    Raises:
        DataError: Two frames share a label file, or a class is not among the classes.
        ProjectError: There is something at `path`, or it cannot be written.
    """
    _write(path, export, polygons=False)


def write_yolo_segment(path: Path, export: LabelExport) -> None:
    """Write a segmentation folder: as `write_yolo_detect`, a polygon a line.

    A label without a mask becomes the rectangle of its box; holes and several parts become one ring with bridges
    of no width, which readers that fill by even and odd, this one among them, undo to the pixel.

    Raises:
        DataError: See `write_yolo_detect`.
        ProjectError: See `write_yolo_detect`.
    """
    _write(path, export, polygons=True)


def _write(path: Path, export: LabelExport, *, polygons: bool) -> None:
    write_folder(path, _files(export, polygons))


def _files(export: LabelExport, polygons: bool) -> Iterator[tuple[str, Content]]:
    numbers = {name: number for number, name in enumerate(export.classes)}
    files = FilePerFrame(export, ".txt")
    for frame, labels in export.by_frame(masks=polygons):
        lines = [_line(label, frame, numbers, polygons) for label in labels]
        yield f"labels/train/{files.path(frame)}", "".join(f"{line}\n" for line in lines).encode("ascii")
        image = export.image(frame)
        if image is not None:
            yield f"images/train/{frame.name}", image
    # No "path": Ultralytics takes "." for the folder that it was started in; without, for the file's own.
    declaration = {
        "train": "images/train",
        "val": "images/train",
        "names": {number: name for name, number in numbers.items()},
    }
    yield "data.yaml", yaml.safe_dump(declaration, sort_keys=False, allow_unicode=True).encode()


def _line(label: Annotation, frame: Frame, numbers: Mapping[str, int], polygons: bool) -> str:
    x1, y1, x2, y2 = written_box(label.bbox_xyxy)
    if polygons:
        ring = _bridged(label) if label.mask else ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
        values = [value for x, y in ring for value in (x / frame.width, y / frame.height)]
    else:
        values = [
            (x1 + x2) / 2 / frame.width,
            (y1 + y2) / 2 / frame.height,
            (x2 - x1) / frame.width,
            (y2 - y1) / frame.height,
        ]
    numbers_text = (f"{min(max(value, 0.0), 1.0):.{_DIGITS}f}".rstrip("0").rstrip(".") for value in values)
    return " ".join([str(numbers[label.label]), *numbers_text])


def _bridged(label: Annotation) -> Ring:
    """All rings of a mask as one: outer rings one way round, holes the other, joined where they are nearest."""
    mask = mask_to_polygons(rle_to_mask(label.mask)) if isinstance(label.mask, Rle) else label.mask
    rings: list[list[Point]] = []
    for part in sorted(mask or (), key=lambda part: -(_signed_area(part.exterior) ** 2)):
        rings.append(_turned(part.exterior, 1))
        rings += [_turned(hole, -1) for hole in part.holes]
    if not rings:
        raise DataError("its mask is empty", item=f"annotation {label.id}")
    joined = rings[0]
    for ring in rings[1:]:
        a, b = np.asarray(joined), np.asarray(ring)
        distances = ((a[:, None] - b[None]) ** 2).sum(-1)
        i, j = np.unravel_index(int(distances.argmin()), distances.shape)
        joined = [*joined[: i + 1], *ring[j:], *ring[: j + 1], *joined[i:]]
    return tuple(joined)


def _turned(ring: Ring, sign: int) -> list[Point]:
    return list(ring) if _signed_area(ring) * sign > 0 else list(ring[::-1])


def _signed_area(ring: Ring) -> float:
    x, y = np.asarray(ring, float).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
