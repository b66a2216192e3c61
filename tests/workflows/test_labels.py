"""Labels into a project and out of it: nothing is overwritten, nothing half done, every problem told."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from curate.annotations import Annotation
from curate.errors import ConfigError, ConflictError, DataError, FormatError
from curate.formats.registry import FORMATS
from curate.geometry import Polygon
from curate.store import SourceCount
from curate.workflows.coverage import covered_frames, mark_covered
from curate.workflows.database import check
from curate.workflows.label_export import export_labels
from curate.workflows.labels import import_labels
from curate.workflows.project import Project

BOTH_WAYS = sorted(name for name, entry in FORMATS.items() if entry.read and entry.write)


@pytest.fixture
def labelled(empty_project: Project, video: Path) -> Project:
    """Three labels of "cheap" on two of three frames, the third looked at and empty."""
    from curate.workflows.ingest import ingest

    ingest(empty_project, [video])
    frames = empty_project.store.frames()[:3]
    clip = frames[0].clip
    ring = (Polygon(((10.0, 10.0), (40.5, 10.0), (40.5, 60.25))),)
    labels = [
        Annotation("cheap:1", frames[0].id, "car", (10, 10, 40.5, 60.25), ring, "cheap", score=0.5),
        Annotation("cheap:2", frames[1].id, "car", (12, 10, 42, 60), None, "cheap", 0.5, f"{clip}/4"),
        Annotation("cheap:3", frames[1].id, "person", (80, 20, 90.25, 50), None, "cheap", 0.25),
    ]
    empty_project.store.add_annotations(labels, actor="cheap")
    mark_covered(empty_project, "cheap", [frame.id for frame in frames])
    return empty_project


def everything(project: Project) -> list[Annotation]:
    return project.store.annotations()


def exported(project: Project, folder: Path, name: str) -> Path:
    path = folder / (
        "out" if FORMATS[name].layout.startswith("folder") else f"out.{'xml' if 'cvat' in name else 'json'}"
    )
    export_labels(project, path, format=name, source="cheap")
    return path


def test_a_second_source_never_touches_the_first(labelled: Project, tmp_path: Path) -> None:
    before = labelled.store.annotations(source="cheap")
    for name in BOTH_WAYS:
        to = tmp_path / name
        to.mkdir()
        path, again = exported(labelled, to, name), f"again {name}"
        there = everything(labelled)
        dry = import_labels(labelled, path, format=name, source=again, dry_run=True)
        assert everything(labelled) == there, name
        assert covered_frames(labelled, again) == set(), name
        done = import_labels(labelled, path, format=name, source=again)
        assert replace(dry, dry_run=False) == done
        assert (done.labels, done.new, done.classes) == (3, 3, {"person": 1, "car": 2}), name
        assert labelled.store.annotations(source="cheap") == before, name
        assert len(everything(labelled)) == len(there) + 3, name
        assert covered_frames(labelled, again) == covered_frames(labelled, "cheap"), name
        repeated = import_labels(labelled, path, format=name, source=again)
        assert (repeated.labels, repeated.new) == (3, 0), name


def coco(path: Path, project: Project, *annotations: dict, **keys: object) -> Path:
    frame = project.store.frames()[0]
    data = {
        "images": [{"id": 1, "file_name": frame.name, "width": frame.width, "height": frame.height}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": list(annotations),
        **keys,
    }
    path.write_text(json.dumps(data))
    return path


GOOD = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 20, 20]}
BAD = {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 1, -20, 20]}


def test_changed_labels_under_the_same_ids_are_a_conflict_that_changes_nothing(
    labelled: Project, tmp_path: Path
) -> None:
    first = coco(tmp_path / "a.json", labelled, GOOD)
    import_labels(labelled, first, source="tool")
    before = everything(labelled)
    second = coco(tmp_path / "b.json", labelled, {**GOOD, "id": 9}, {**GOOD, "bbox": [5, 5, 20, 20]})
    with pytest.raises(ConflictError):
        import_labels(labelled, second, source="tool")
    assert everything(labelled) == before


def test_the_three_policies(labelled: Project, tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", labelled, GOOD, BAD)
    before = everything(labelled)
    with pytest.raises(FormatError, match=r"annotation 2.*above 0"):
        import_labels(labelled, path, source="tool")
    assert everything(labelled) == before
    dry = import_labels(labelled, path, source="tool", on_error="quarantine", dry_run=True)
    assert (dry.put_aside, labelled.store.quarantined()) == (1, [])
    skipped = import_labels(labelled, path, source="tool", on_error="skip")
    assert (skipped.labels, skipped.problems, skipped.put_aside) == (1, {"box_size": 1}, 0)
    assert labelled.store.quarantined() == []
    aside = import_labels(labelled, path, source="tool", on_error="quarantine")
    (entry,) = labelled.store.quarantined()
    assert (aside.put_aside, entry.source, entry.item) == (1, str(path), "annotation 2")
    assert "above 0" in entry.reason
    coco(path, labelled, GOOD, {**BAD, "bbox": [1, 1, 20, 25]})
    mended = import_labels(labelled, path, source="tool", on_error="quarantine")
    assert (mended.labels, mended.new, labelled.store.quarantined()) == (2, 1, [])


SQUARE = [[10, 10, 30, 10, 30, 30]]


@pytest.mark.parametrize(
    ("entries", "keys", "words"),
    [
        ([{**GOOD, "category_id": 9}], {}, "category_id 9"),
        ([{**GOOD, "image_id": 9}], {}, "image_id 9"),
        ([GOOD], {"images": [{"id": 1, "file_name": "nowhere.jpg"}]}, "not among the ingested frames"),
        ([{**GOOD, "bbox": [float("nan"), 1, 5, 5]}], {}, "finite"),
        ([{**GOOD, "bbox": [1, 1, -5, 5]}], {}, "above 0"),
        ([{**GOOD, "segmentation": [[10, 10, 30, 30]]}], {}, "at least three points"),
        ([GOOD, {**GOOD, "bbox": [5, 5, 9, 9]}], {}, "two annotations with the id 1"),
        ([GOOD], {"images": [{"id": 1, "file_name": "../../x.jpg"}]}, '".."'),
        ([{**GOOD, "segmentation": {"size": [5, 5], "counts": [25]}}], {}, "the RLE is 5 x 5"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_lost(
    labelled: Project, tmp_path: Path, entries: list[dict], keys: dict, words: str
) -> None:
    before = everything(labelled)
    path = coco(tmp_path / "bad.json", labelled, {**GOOD, "id": 7, "segmentation": SQUARE}, *entries, **keys)
    with pytest.raises(FormatError) as caught:
        import_labels(labelled, path, source="cheap")
    assert words in caught.value.message
    assert (caught.value.file, bool(caught.value.item), bool(caught.value.hint)) == (str(path), True, True)
    assert everything(labelled) == before
    assert labelled.store.quarantined() == []


@pytest.mark.fault
def test_a_full_disk_in_an_import_loses_nothing(labelled: Project, tmp_path: Path) -> None:
    """The file size limit of a process stands in for a full disk."""
    frame = labelled.store.frames()[0]
    many = [{**GOOD, "id": n, "bbox": [1, 1, 5 + n % 50, 5], "note": "x" * 200} for n in range(3000)]
    path = coco(tmp_path / "many.json", labelled, *many)
    before = everything(labelled)
    labelled.store.close()
    program = f"""
import resource, signal
from pathlib import Path
from curate.errors import CurateError
from curate.workflows.labels import import_labels
from curate.workflows.project import Project
project = Project.open(Path({str(labelled.root)!r}))
project.store.frames()
size = max(file.stat().st_size for file in project.root.rglob("crossguard.db*"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, size + 50_000))
try:
    import_labels(project, Path({str(path)!r}), format="coco", source="tool")
except CurateError as error:
    print("clear:", error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("clear:")
    assert everything(labelled) == before
    assert import_labels(labelled, path, format="coco", source="tool").new == 3000
    assert frame.id in covered_frames(labelled, "tool")


@pytest.mark.parametrize("at", [1, 1500, 2999])
def test_a_kill_in_an_import_leaves_nothing_of_it(labelled: Project, tmp_path: Path, at: int) -> None:
    """SIGKILL as the label passes; then the same command does all of it."""
    path = coco(tmp_path / "many.json", labelled, *({**GOOD, "id": number} for number in range(3000)))
    before = everything(labelled)
    labelled.store.close()
    program = f"""
import os, signal
from pathlib import Path
from curate.workflows import labels
from curate.workflows.project import Project
labels._BEFORE = 500
counted = labels._counted
def killed(annotations, counts):
    for number, annotation in enumerate(counted(annotations, counts)):
        if number == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        yield annotation
labels._counted = killed
labels.import_labels(Project.open(Path({str(labelled.root)!r})), Path({str(path)!r}), source="tool")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert everything(labelled) == before
    assert labelled.store.sources() == [SourceCount("cheap", 3, 2)]
    assert check(labelled).clean
    assert import_labels(labelled, path, source="tool").new == 3000


def test_a_bad_item_far_down_takes_back_what_was_written_before_it(
    labelled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are written as the file is read: all of it, or none."""
    monkeypatch.setattr("curate.workflows.labels._BEFORE", 500)
    many = [{**GOOD, "id": number} for number in range(2500)]
    path = coco(tmp_path / "many.json", labelled, *many, {**GOOD, "id": 7, "bbox": [2, 2, 9, 9]})
    before = everything(labelled)
    with pytest.raises(FormatError, match="two annotations with the id 7"):
        import_labels(labelled, path, format="coco", source="tool")
    assert everything(labelled) == before
    trial = import_labels(labelled, path, format="coco", source="tool", on_error="skip", dry_run=True)
    assert (trial.new, trial.problems) == (2500, {"duplicate_id": 1})
    assert everything(labelled) == before
    assert import_labels(labelled, path, format="coco", source="tool", on_error="skip").new == 2500


def test_many_frames_are_looked_up_some_at_a_time(
    labelled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a project of a million frames: the same labels, by exact names, tails of names and frame numbers."""
    path = coco(tmp_path / "a.json", labelled, GOOD)
    told = json.loads(path.read_text())
    told["images"][0]["file_name"] = f"job_7/{told['images'][0]['file_name']}"
    path.write_text(json.dumps(told))
    few = import_labels(labelled, path, format="coco", source="few")
    monkeypatch.setattr("curate.workflows.frame_names._FEW", 0)
    many = import_labels(labelled, path, format="coco", source="many")
    assert (many.frames, many.labels, many.new) == (few.frames, few.labels, few.new)
    frames = labelled.store.frames()
    mot = tmp_path / "mot" / "gt"
    mot.mkdir(parents=True)
    (mot / "labels.txt").write_text("person\n")
    (mot / "gt.txt").write_text(f"{frames[0].index + 1},1,2,2,9,9,1,1,1\n")
    counted = import_labels(labelled, mot.parent, format="mot", source="counted", clip=frames[0].clip)
    assert counted.labels == 1


def test_classes_are_mapped_left_out_and_checked(labelled: Project, tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", labelled, GOOD, categories=[{"id": 1, "name": "vehicle"}])
    with pytest.raises(FormatError, match='--map "vehicle=CLASS"'):
        import_labels(labelled, path, source="tool")
    with pytest.raises(ConfigError, match="not a class of the site"):
        import_labels(labelled, path, source="tool", label_map={"vehicle": "lorry"})
    assert import_labels(labelled, path, source="tool", label_map={"vehicle": None}).labels == 0
    assert import_labels(labelled, path, source="tool", label_map={"vehicle": "car"}).classes == {"car": 1}


def test_a_file_of_which_nothing_fits_is_refused(labelled: Project, tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", labelled, BAD)
    with pytest.raises(DataError, match="no label of it fits"):
        import_labels(labelled, path, source="tool", on_error="quarantine")
    assert labelled.store.quarantined() == []
    empty = import_labels(labelled, coco(tmp_path / "b.json", labelled), source="tool")
    assert (empty.labels, empty.frames) == (0, 1), "an empty picture is something to know"


HOSTILE = ["'; DROP TABLE frames; --", "~null", "%s{0}", "{{7*7}}", "a&b;", "[x]: 'y"]
"""Names that site.yaml allows; slashes, angle brackets and control characters it refuses."""
WORSE = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "a\u202eb",
    "'; DROP TABLE x; --",
    "~",
]


def test_hostile_names_stay_names(empty_project: Project, video: Path, tmp_path: Path) -> None:
    from curate.workflows.ingest import ingest

    site = empty_project.root / "site.yaml"
    site.write_text(f"classes: {json.dumps(HOSTILE)}\n")
    empty_project.store.close()
    project = Project.open(empty_project.root)
    ingest(project, [video])
    frame = project.store.frames()[0]
    labels = [
        Annotation(
            f"{source}:{n}", frame.id, text, (10, 10, 40, 60 - n), None, source, 0.5, f"{frame.clip}/{n}"
        )
        for n, (text, source) in enumerate(zip(HOSTILE, WORSE, strict=True))
    ]
    project.store.add_annotations(labels, actor=WORSE[0])
    for name in BOTH_WAYS:
        for number, (text, source) in enumerate(zip(HOSTILE, WORSE, strict=True)):
            to = tmp_path / "out" / f"{name} {number}"
            to.mkdir(parents=True)
            path = to / "out" if FORMATS[name].layout.startswith("folder") else to / "out.json"
            assert export_labels(project, path, format=name, source=source) == (1, 1)
            again = f"{name} {source}"
            assert import_labels(project, path, format=name, source=again).classes == {text: 1}, (name, text)
            (back,) = project.store.annotations(source=again)
            assert (back.label, back.source) == (text, again)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "site"]
    assert len(project.store.frames()) > 1
    project.store.close()


def test_hostile_class_names_of_a_file_are_named_as_they_are(labelled: Project, tmp_path: Path) -> None:
    for number, text in enumerate(WORSE):
        path = coco(tmp_path / f"{number}.json", labelled, GOOD, categories=[{"id": 1, "name": text}])
        with pytest.raises(FormatError) as caught:
            import_labels(labelled, path, source="tool")
        assert text in caught.value.message
        done = import_labels(labelled, path, source=f"tool{number}", label_map={text: "car"})
        assert done.classes == {"car": 1}


def test_the_commands(labelled: Project, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from curate.cli.main import app

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "-C", str(labelled.root)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    out = tmp_path / "out"
    told = json.loads(run("export", "yolo", str(out), "--source", "cheap", "--images", "--json"))
    assert (told["frames"], told["labels"]) == (3, 3)
    assert "masks" in told["lost"]
    assert len(list(out.rglob("*.jpg"))) == 3
    dry = json.loads(
        run("import", "auto", str(out), "--source", "b", "--dry-run", "--map", "person=car", "--json")
    )
    assert (dry["format"], dry["labels"], dry["new"], dry["dry_run"]) == ("yolo", 3, 3, True)
    assert dry["classes"] == {"car": 3}
    assert "b" not in {entry.source for entry in labelled.store.sources()}
    assert "2 labels on 3 frames" in run("import", "yolo", str(out), "--source", "b", "--map", "person=")
    assert len(labelled.store.annotations(source="b")) == 2
    listed = json.loads(CliRunner().invoke(app, ["formats", "--json"]).output)
    assert set(listed) == set(FORMATS)
    assert listed["voc"]["keeps"]["polygons"] is False
    shown = CliRunner().invoke(app, ["export", "--help"]).output
    assert all(name in shown for name, entry in FORMATS.items() if entry.write)
    wrong = CliRunner().invoke(app, ["import", "nonsense", str(out), "-C", str(labelled.root)])
    assert isinstance(wrong.exception, ConfigError)


def test_tables_of_text_hold_no_formulas() -> None:
    """There is no export of spreadsheets; MOT's lines, the only comma-separated ones, hold numbers alone."""
    golden = Path(__file__).parents[1] / "formats" / "data" / "golden" / "mot" / "gt" / "gt.txt"
    for row in csv.reader(io.StringIO(golden.read_text())):
        assert all(float(cell) >= -1 for cell in row)
