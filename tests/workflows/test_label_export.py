"""Exports read the store in runs: the same bytes as from memory, one view of the database, nothing held."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from curate.annotations import Annotation, Frame
from curate.errors import ConfigError, DataError
from curate.formats import FORMATS, LabelExport
from curate.versions import get_version, load_version_annotations
from curate.workflows.coverage import mark_covered
from curate.workflows.label_export import export_coco, export_labels
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot

WRITTEN = sorted(name for name, entry in FORMATS.items() if entry.write is not None)


def _files(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def _target(folder: Path, name: str) -> Path:
    folder.mkdir()
    return folder / ("out.json" if not FORMATS[name].layout.startswith("folder") else "out")


@pytest.mark.parametrize("from_version", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_the_store_gives_what_memory_gives(project, tmp_path, name, from_version):
    store = project.store
    scored = [
        replace(label, id=f"{label.id}-s", score=0.5, attributes={"n": number})
        for number, label in enumerate(store.annotations(source="cheap"))
    ]
    store.add_annotations(scored, "cheap")
    if from_version:
        version = get_version(store, snapshot(project, note="", created_by="ann").id)
        frames = store.frames(ids=list(version.manifest.splits))
        labels = load_version_annotations(store, version)
        chosen, prefix = {"version": version.id}, ""
    else:
        covered = store.labelled_frame_ids("cheap")
        frames = [frame for frame in store.frames() if frame.id in covered]
        labels = store.annotations(source="cheap")
        chosen, prefix = {"source": "cheap"}, "cheap:"
    counts = export_labels(project, _target(tmp_path / "a", name), format=name, images=True, **chosen)
    images = {frame.id: project.frame_path(frame) for frame in frames}
    export = LabelExport.of(frames[::-1], labels[::-1], project.config.classes, prefix, images)
    FORMATS[name].write(_target(tmp_path / "b", name), export)
    assert counts == (len(frames), len(labels))
    assert _files(tmp_path / "a" / "out") == _files(tmp_path / "b" / "out")
    assert _files(tmp_path / "a" / "out.json") == _files(tmp_path / "b" / "out.json")


def test_what_does_not_go_out(project, tmp_path):
    clip = project.store.clips()[0]
    with pytest.raises(DataError, match="looked at no frame"):
        export_labels(project, tmp_path / "x.json", source="nobody")
    with pytest.raises(DataError, match="no frame to export"):
        export_labels(project, tmp_path / "x.json", source="cheap", clip=f"{clip}-not")
    with pytest.raises(ConfigError, match="a version or a source"):
        export_labels(project, tmp_path / "x.json", source="cheap", version="x")
    frames = sorted(project.store.labelled_frame_ids("cheap"))[:2]
    assert export_coco(project, tmp_path / "two.json", source="cheap", frame_ids=frames)[0] == 2


@pytest.mark.slow
def test_memory_does_not_grow_with_the_labels(tmp_path):
    """Twenty thousand labels go out in less than their own size."""
    (tmp_path / "site.yaml").write_text("classes: [person]\n")
    project = Project.open(tmp_path)
    frames = [
        Frame(
            f"{n:032x}",
            f"{n:05d}.jpg",
            "c",
            "clip",
            n,
            n / 2,
            False,
            640,
            480,
            f"{n:064x}",
            f"x/{n}.jpg",
            "v",
        )
        for n in range(2000)
    ]
    project.store.add_frames(frames)
    mark_covered(project, "cheap", [frame.id for frame in frames])
    peaks = []
    for upto in (200, 2000):
        project.store.add_annotations(
            (
                Annotation(f"cheap:{n}-{k}", frame.id, "person", (k, k, k + 20, k + 30), source="cheap")
                for n, frame in enumerate(frames[:upto])
                for k in range(10)
            ),
            "cheap",
        )
        tracemalloc.start()
        assert export_coco(project, tmp_path / "out.json", source="cheap")[1] == upto * 10
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    project.store.close()
    assert peaks[1] < 2 * peaks[0] + 2_000_000
