"""What is fuzzed: each target takes bytes of a stranger and must end in a result or one clear `CurateError`.

`tests/fuzz/test_targets.py` runs them in the suite, bounded; `python tests/fuzz/run.py` runs them under atheris for as
long as wanted. A target returns the error, or None when the bytes were fine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from crossguard_app.presenters.sync import take_in
from curate.annotations import Annotation, Frame, Issue, IssueType, Proposal, ProposalKind
from curate.config import parse_site
from curate.config.schema import SiteConfig
from curate.errors import CurateError
from curate.formats._place import place_labels
from curate.formats.images import decode_image, encode_like
from curate.formats.lookup import FrameLookup
from curate.formats.registry import ReadOptions, detect_format, open_labels, read_labels
from curate.formats.report import ImportReport
from curate.review import apply_decisions
from curate.store import Store

__all__ = ["TARGETS", "seeds"]

GOLDEN = Path(__file__).parents[1] / "formats" / "data" / "golden"
_SHARED_MEMORY = Path("/dev/shm")
_SPLIT = b"\n\x1e\n"
"""Between the files of a folder."""


def _frames() -> list[Frame]:
    names = ("clip_a.jpg", "sub/clip b.jpg", "clip_c.jpg")
    return [
        Frame(
            f"{number + 1:032x}",
            name,
            "cam",
            "clip",
            5 * number,
            float(number),
            False,
            64,
            48,
            "0" * 64,
            name,
            "v",
        )
        for number, name in enumerate(names)
    ]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    where = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


def _caught(work: Callable[[], Any]) -> CurateError | None:
    """The clear error, or None; anything else goes through as a crash."""
    try:
        work()
    except CurateError as error:
        if not error.message.strip() or "Traceback" in error.message:
            raise AssertionError("an error without a sentence") from error
        return error
    return None


def _importer(name: str, *files: str) -> Callable[[bytes], CurateError | None]:
    """Reads the bytes as the file or files of a format, under each policy, and places what comes out."""

    def target(data: bytes) -> CurateError | None:
        with _folder() as folder:
            for file, content in zip(files, data.split(_SPLIT), strict=False):
                path = folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            path = folder if len(files) > 1 and name != "coco-results" else folder / files[0]
            lookup = FrameLookup.of(_frames())
            first: CurateError | None = None
            for policy in ("fail", "quarantine"):
                report = ImportReport(policy)

                def work(report: ImportReport = report) -> None:
                    with open_labels(name, path, ReadOptions(lookup), report) as (_, labels):
                        placed = place_labels(labels, lookup, "s", report=report)
                    _check(placed.annotations)

                error = _caught(work)
                if error is not None and error.file is None and error.item is None:
                    raise AssertionError(f"an error that names neither file nor item: {error}")
                first = first or error
            return first

    return target


def _check(annotations: list[Annotation]) -> None:
    """What came through is fit to be stored."""
    ids = [annotation.id for annotation in annotations]
    assert len(set(ids)) == len(ids)
    for annotation in annotations:
        x1, y1, x2, y2 = annotation.bbox_xyxy
        assert 0 <= x1 < x2 <= 64
        assert 0 <= y1 < y2 <= 48
        json.dumps([annotation.attributes, annotation.label, annotation.id], allow_nan=False).encode("ascii")
        (annotation.label + annotation.id + (annotation.track_id or "")).encode()


def _archive(data: bytes) -> CurateError | None:
    with _folder() as folder:
        path = folder / "x.zip"
        path.write_bytes(data)
        lookup = FrameLookup.of(_frames())
        error = _caught(lambda: read_labels("voc", path, ReadOptions(lookup), ImportReport("skip")))
        if {entry.name for entry in folder.parent.iterdir()} & {"escaped.xml", "escaped.txt"}:
            raise AssertionError("the archive wrote outside its folder")
        return error


def _detection(data: bytes) -> CurateError | None:
    with _folder() as folder:
        errors = []
        for suffix in (".json", ".xml", ".txt", ".yaml"):
            path = folder / f"x{suffix}"
            path.write_bytes(data)
            errors.append(_caught(lambda path=path: detect_format(path)))
        return errors[0]


def _site(data: bytes) -> CurateError | None:
    text = data.decode("utf-8", "replace")

    def work() -> None:
        assert isinstance(parse_site(text), SiteConfig)

    return _caught(work)


def _image(data: bytes) -> CurateError | None:
    def work() -> None:
        image = decode_image(data, max_pixels=1_000_000)
        again = decode_image(encode_like(data, image))  # As blurring at ingest stores it.
        assert again.shape == image.shape

    return _caught(work)


class _Site:
    """As much of a project as decisions need."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.config = parse_site("classes: [person, car]\n")


class _TakeBack(Exception):
    """Ends a transaction without a trace."""


@cache
def _project() -> _Site:
    store = Store.open(Path(tempfile.mkdtemp()) / "fuzz.db")
    frames = _frames()
    store.add_frames(frames)
    labels = [Annotation(f"l{n}", frames[n].id, "car", (3, 4, 20, 30), source="import") for n in range(3)]
    store.add_annotations(labels, actor="import")
    proposal = Proposal(ProposalKind.EDIT, bbox_xyxy=(4, 4, 21, 30))
    store.upsert_issues(
        [
            Issue(
                f"i{n}",
                IssueType.BAD_LOCATION,
                frames[n].id,
                f"l{n}",
                (3, 4, 20, 30),
                "car",
                0.5,
                0.5,
                "x",
                {},
                proposal,
            )
            for n in range(3)
        ]
    )
    store.set_site(["person", "car"], "import")
    return _Site(store)


def _rolled_back(work: Callable[[], Any]) -> None:
    """Inside a transaction that is taken back, so that runs do not depend on each other."""
    try:
        with _project().store.begin():
            work()
            raise _TakeBack
    except _TakeBack:
        pass


def _decisions(data: bytes) -> CurateError | None:
    with _folder() as folder:
        path = folder / "decisions.jsonl"
        path.write_bytes(data)
        store = _project().store
        errors = [
            _caught(lambda keep=keep: _rolled_back(lambda: apply_decisions(store, path, keep_going=keep)))
            for keep in (False, True)
        ]
        return errors[0]


def _operations(data: bytes) -> CurateError | None:
    """What the browser sends is JSON that any program may send in its place."""
    try:
        outbox = json.loads(data)
    except (ValueError, RecursionError):
        return None
    project: Any = _project()

    def work() -> None:
        result = take_in(project, "ann", outbox)
        assert len(result.client) <= 64
        if result.trouble or result.refused:
            # What falls with its batch has no words of its own: one of the batch has them.
            words = [entry.message for entry in result.refused if entry.message]
            raise CurateError(result.trouble or "; ".join(words))

    return _caught(lambda: _rolled_back(work))


TARGETS: dict[str, Callable[[bytes], CurateError | None]] = {
    "coco": _importer("coco", "x.json"),
    "coco-results": _importer("coco-results", "out.json", "out.images.json"),
    "yolo": _importer("yolo", "data.yaml", "labels/train/clip_a.txt", "labels/train/clip_c.txt"),
    "voc": _importer("voc", "Annotations/clip_a.xml", "Annotations/clip_c.xml"),
    "cvat": _importer("cvat", "x.xml"),
    "cvat-video": _importer("cvat-video", "x.xml"),
    "labelstudio": _importer("labelstudio", "x.json"),
    "labelme": _importer("labelme", "clip_a.json", "clip_c.json"),
    "datumaro": _importer("datumaro", "annotations/default.json", "annotations/more.json"),
    "mot": _importer("mot", "gt/gt.txt", "gt/labels.txt", "seqinfo.ini"),
    "archive": _archive,
    "detection": _detection,
    "image": _image,
    "site": _site,
    "decisions": _decisions,
    "operations": _operations,
}
"""Name -> target."""

_GOLDEN_FILES: dict[str, tuple[str, ...]] = {
    "coco": ("out.json",),
    "coco-results": ("out.json", "out.images.json"),
    "yolo": ("data.yaml", "labels/train/clip_a.txt", "labels/train/clip_c.txt"),
    "voc": ("Annotations/clip_a.xml", "Annotations/clip_c.xml"),
    "cvat": ("out.xml",),
    "cvat-video": ("out.xml",),
    "labelstudio": ("out.json",),
    "labelme": ("clip_a.json", "clip_c.json"),
    "datumaro": ("annotations/default.json",),
    "mot": ("gt/gt.txt", "gt/labels.txt", "seqinfo.ini"),
}


def seeds(name: str) -> list[bytes]:
    """Good inputs to start from."""
    if name in _GOLDEN_FILES:
        found = [_SPLIT.join((GOLDEN / name / file).read_bytes() for file in _GOLDEN_FILES[name])]
        if name == "yolo":
            found.append(
                _SPLIT.join((GOLDEN / "yolo-seg" / file).read_bytes() for file in _GOLDEN_FILES[name])
            )
        return found
    if name == "detection":
        return [seed for other in _GOLDEN_FILES for seed in seeds(other)]
    return _OTHER_SEEDS[name]()


def _archive_seeds() -> list[bytes]:
    found = []
    for member in ("Annotations/clip_a.xml", "../escaped.xml"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(GOLDEN / "voc" / "Annotations" / "clip_a.xml", member)
        found.append(buffer.getvalue())
    return found


def _image_seeds() -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def _site_seeds() -> list[bytes]:
    from curate.config import template

    texts = [value for value in vars(template).values() if isinstance(value, str) and "classes:" in value]
    return [text.encode() for text in texts] + [
        b"classes: [person, car]\nframes: {every_n: 1}\nsplit: {folds: 2}\n",
        b"classes: [person]\nframes: {url: 's3://bucket/a/b', cache_mb: 100}\n",
        b"classes: [person]\nprivacy: {blur: heads_and_plates}\n",
    ]


def _decision_rows() -> list[dict[str, Any]]:
    box = [3.0, 4.0, 20.0, 31.0]
    ring = {"polygons": [{"exterior": [[3, 4], [20, 4], [20, 31]]}]}
    return [
        {"id": "a1", "kind": "apply", "reviewer": "ann", "issue_id": "i0"},
        {
            "id": "a2",
            "kind": "edit",
            "reviewer": "ann",
            "annotation_id": "l1",
            "bbox_xyxy": box,
            "expected_revision": 0,
        },
        {
            "id": "a3",
            "kind": "add",
            "reviewer": "ann",
            "frame_id": f"{1:032x}",
            "label": "car",
            "bbox_xyxy": box,
            "mask": ring,
            "flags": {"occluded": True},
        },
        {"id": "a4", "kind": "delete_label", "reviewer": "ann", "annotation_id": "l2", "note": "x"},
        {"id": "a5", "kind": "exclude_frame", "reviewer": "ann", "frame_id": f"{2:032x}"},
        {"id": "a6", "kind": "undo", "reviewer": "ann", "undoes": "a4"},
        {
            "id": "a7",
            "kind": "relabel",
            "reviewer": "ann",
            "issue_id": "i1",
            "label": "person",
            "group": True,
        },
    ]


def _decision_seeds() -> list[bytes]:
    return ["".join(json.dumps(row) + "\n" for row in _decision_rows()).encode()]


def _operation_seeds() -> list[bytes]:
    rows = [
        {"n": number, **{key: value for key, value in row.items() if key != "reviewer"}}
        for number, row in enumerate(_decision_rows(), start=1)
    ]
    rows.append({"n": 9, "id": "b1", "kind": "seen", "frame_id": f"{3:032x}", "source": "gold", "batch": "b"})
    return [json.dumps({"client": "browser", "operations": rows}).encode()]


_OTHER_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "archive": _archive_seeds,
    "image": _image_seeds,
    "site": _site_seeds,
    "decisions": _decision_seeds,
    "operations": _operation_seeds,
}
