"""Labels sorted by place, time, light and class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.annotations import Annotation, Frame, replace
from curate.workflows.coverage import mark_covered
from curate.workflows.ingest import ingest
from curate.workflows.project import Project
from curate.workflows.site_coverage import frame_brightness, place_grid, site_coverage, time_bands


def frame(number: int, at: float, clip: str = "a", *, wall: bool = False) -> Frame:
    return Frame(f"{number:032x}", f"{clip}{number}", "c", clip, number, at, wall, 90, 60, "", "", "s")


@pytest.fixture
def project(tmp_path: Path):
    """Six pictures of one recording: two dark, two dim, two bright; the last bright one is not labelled."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.yaml").write_text("classes: [person, car]\n", encoding="utf-8")
    images = tmp_path / "images"
    images.mkdir()
    for number, level in enumerate((20, 30, 80, 85, 150, 160)):
        Image.fromarray(np.full((60, 90, 3), level, np.uint8)).save(images / f"f{number}.png")
    opened = Project.open(tmp_path / "site")
    ingest(opened, [images])
    frames = sorted(opened.store.frames(), key=lambda entry: entry.name)
    labels = [
        Annotation(f"p{n}", frames[n].id, "person", (5.0, 5.0, 15.0, 25.0), source="cheap") for n in range(4)
    ] + [Annotation("c4", frames[4].id, "car", (60.0, 30.0, 85.0, 59.0), source="cheap")]
    opened.store.add_annotations(labels, "import")
    yield opened
    opened.store.close()


def test_every_label_has_its_cell(project: Project) -> None:
    coverage = site_coverage(project)
    assert coverage.lights == ("dark", "dim", "bright")
    rows = coverage.labels.set_index("frame_id")
    assert sorted(rows["light"]) == ["bright", "dark", "dark", "dim", "dim"]
    assert set(rows.loc[rows["label"] == "person", "place"]) == {"far left"}
    assert set(rows.loc[rows["label"] == "car", "place"]) == {"near right"}
    assert not coverage.labels["gold"].any()
    assert sorted(coverage.frames["state"]) == ["labelled"] * 5 + ["unlabelled"]
    assert list(coverage.frames.columns) == ["frame_id", "time", "light", "state"]

    looked = coverage.frames.loc[coverage.frames["state"] == "unlabelled", "frame_id"].tolist()
    mark_covered(project, "cheap", looked)
    project.store.set_frame_excluded(coverage.labels["frame_id"][0], True)
    again = site_coverage(project)
    assert sorted(again.frames["state"]) == ["excluded", *["labelled"] * 5]
    assert len(again.labels) == 4


def test_brightness_is_measured_once_and_a_broken_file_is_unknown(project: Project) -> None:
    frames = project.store.frames()
    first = frame_brightness(project, frames)
    assert np.isfinite(first).all()
    for entry in frames:
        project.frame_path(entry).unlink()
    assert np.array_equal(frame_brightness(project, frames), first)
    (project.cache_dir / "brightness.npz").write_bytes(b"broken")
    assert np.isnan(frame_brightness(project, frames)).all()


def test_an_empty_project_has_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("classes: [person]\n", encoding="utf-8")
    with Project.open(tmp_path).store:
        coverage = site_coverage(Project.open(tmp_path))
    assert coverage.labels.empty
    assert coverage.times == ()
    assert len(coverage.places) == 9


def test_places_lie_over_the_ground_that_is_used() -> None:
    boxes = np.array([[x, y - 10, x + 10, y] for x in (100, 200, 300) for y in (200, 250, 300)], float)
    places, where = place_grid(boxes, (640, 480))
    assert sorted(where.tolist()) == list(range(9))
    assert places[0][0] == "far left"
    assert places[8][0] == "near right"
    assert places[0][1][1] == pytest.approx(200, abs=3)


def test_bands_of_time() -> None:
    one = [frame(n, 10.0 * n) for n in range(16)]
    names, band = time_bands(one)
    assert len(names) == 8
    assert names[0] == "0:00-0:19"
    assert band.tolist() == sorted(band.tolist())
    assert time_bands([])[0] == ()
    several = [frame(n, 0.0, f"clip{n:02d}") for n in range(20)]
    names, band = time_bands(several)
    assert (len(names), band.max()) == (7, 6)
    assert names[0] == "clip00 and 2 more"
    clock = [replace(entry, wall_time=True, captured_at=3600.0 * n) for n, entry in enumerate(one)]
    names, band = time_bands(clock)
    assert names == ("00-03 h", "03-06 h", "06-09 h", "09-12 h", "12-15 h", "15-18 h")
    assert band.tolist() == [n // 3 for n in range(16)]
