"""Blurring before storing: what is changed, what is not, that it is known again, and that a purge reaches both."""

import hashlib
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.bench.blur import bench_blur
from curate.cli.main import app
from curate.errors import DataError
from curate.formats.media import decode_image, encode_like, read_video
from curate.tables import Detections
from curate.workflows.backup import backup, restore
from curate.workflows.blur import Blurrer, blur_regions, regions_to_blur
from curate.workflows.database import check
from curate.workflows.ingest import ingest
from curate.workflows.project import Project
from curate.workflows.purge import plan_purge, purge

SAMPLE = Path(__file__).parents[2] / "sample_data"
SITE = "classes: [person, car]\nframes: {every_n: 100}\nprivacy: {blur: heads_and_plates}\ntrain: {device: cpu}\n"


@pytest.fixture(scope="module")
def street():
    """Every hundredth picture of the real junction: people and two parked vehicles."""
    return list(read_video(SAMPLE / "junction.avi", every_n=100))


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    root = tmp_path_factory.mktemp("blurred") / "site"
    root.mkdir()
    (root / "site.yaml").write_text(SITE)
    project = Project.open(root)
    report = ingest(project, [SAMPLE / "junction.avi"])
    project.store.close()
    return root, report


@pytest.fixture
def blurred(ingested, tmp_path):
    shutil.copytree(ingested[0], tmp_path / "blurred")
    project = Project.open(tmp_path / "blurred")
    yield project
    project.store.close()


def _site(project: Project, blur: str) -> Project:
    """The same project, its site.yaml changed."""
    project.store.close()
    text = SITE.replace("heads_and_plates", blur)
    (project.root / "site.yaml").write_text(text)
    return Project.open(project.root)


def test_the_parts_that_are_meant():
    found = Detections(
        np.array([[100.0, 100, 140, 200], [200, 100, 300, 150], [0, 0, 10, 10], [5, 5, 9, 9]]),
        np.array([0.9, 0.05, 0.04, 0.01]),
        np.array([0, 1, 0, 2]),
    )
    heads = regions_to_blur(found, "heads_and_plates", 160, 310)
    assert heads.tolist() == [[96, 90, 144, 135], [190, 120, 310, 155]]
    whole = regions_to_blur(found, "people_and_vehicles", 160, 310)
    assert whole.tolist() == [[96, 90, 144, 160], [190, 95, 310, 155]]


def test_nothing_is_left_inside_and_nothing_is_touched_outside():
    """Two pictures that differ only in detail finer than a cell become one and the same."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (80, 120, 3), np.uint8)
    region = np.array([[20.0, 10, 60, 50]])
    result = blur_regions(image, region)
    outside = np.ones((80, 120), bool)
    outside[10:50, 20:60] = False
    assert (result[outside] == image[outside]).all()
    inside = result[10:50, 20:60].astype(float)
    assert inside.std() < 0.1 * image[10:50, 20:60].std()
    shuffled = image.copy()
    for y in range(10, 50, 10):
        for x in range(20, 60, 10):
            cell = shuffled[y : y + 10, x : x + 10].reshape(100, 3)
            shuffled[y : y + 10, x : x + 10] = rng.permutation(cell).reshape(10, 10, 3)
    assert (shuffled != image).any()
    assert (blur_regions(shuffled, region) == result).all()
    for tiny in ([[0.0, 0, 0.4, 0.4]], [[119, 79, 120, 80]], np.zeros((0, 4))):
        assert blur_regions(image, np.array(tiny, float)).shape == image.shape


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 71}), ("PNG", {})])
def test_the_file_is_as_it_was_but_for_the_pixels(kind, options):
    rng = np.random.default_rng(1)
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((128, 96)))
    exif = Image.Exif()
    exif[0x010E] = "who stood there"
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, kind, exif=exif, **options)
    original = buffer.getvalue()
    assert b"who stood there" in original
    pixels = decode_image(original)
    changed = pixels.copy()
    changed[32:64, 32:64] = 0
    data = encode_like(original, changed)
    assert b"who stood there" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.info.get("exif"), image.size) == (kind, None, (128, 96))
    again = decode_image(data).astype(int)
    assert again[36:60, 36:60].max() < 12
    far = np.ones((96, 128), bool)
    far[16:80, 16:80] = False  # Blocks of 16 pixels that hold nothing that changed.
    difference = np.abs(again - pixels)[far]
    assert difference.mean() <= (0 if kind == "PNG" else 2)
    assert difference.max() <= (0 if kind == "PNG" else 20)


def test_what_is_stored_is_blurred_and_told(ingested, blurred, street):
    report = ingested[1]
    assert (report.added, report.known, report.rejected) == (len(street), 0, ())
    assert report.blurred == len(street)
    assert report.regions > len(street)
    origins = {origin.clear_sha256: origin for origin in blurred.store.frame_origins()}
    assert sum(origin.blur["regions"] for origin in origins.values()) == report.regions
    blurrer = Blurrer("heads_and_plates", "cpu", 10**8)
    for item in street:
        origin = origins[hashlib.sha256(item.data).hexdigest()]
        assert {**blurrer.way, "regions": origin.blur["regions"]} == origin.blur
        assert origin.blur["model"].startswith("nanodet")
        clear = decode_image(item.data)
        stored = blurred.frame_image(blurred.store.frame(origin.frame_id)).astype(int)
        inside, near = np.zeros(clear.shape[:2], bool), np.zeros(clear.shape[:2], bool)
        for x1, y1, x2, y2 in blurrer.regions(clear).astype(int):
            inside[y1:y2, x1:x2] = True
            near[max(0, y1 - 17) : y2 + 18, max(0, x1 - 17) : x2 + 18] = True
        difference = np.abs(stored - clear).max(2)
        assert difference[inside].mean() > 3 * max(1.0, difference[~near].mean())
        assert difference[~near].mean() < 1, "coded once more with the same tables, no more"
        assert difference[~near].max() <= 32
    (entry,) = [entry for entry in blurred.store.audit_log() if entry.action == "frames.add"]
    assert entry.detail["blurred"] == [{**blurrer.way, "frames": len(street), "regions": report.regions}]
    assert check(blurred).clean


def test_the_clear_picture_is_nowhere(blurred, street):
    held = [path.read_bytes() for path in blurred.root.rglob("*") if path.is_file()]
    for item in street:
        assert not any(item.data in content or item.data[2000:2400] in content for content in held)


@pytest.mark.parametrize("later", ["heads_and_plates", "none", "people_and_vehicles"])
def test_the_same_footage_again_is_known_whatever_the_setting_says_by_then(blurred, later):
    before = [(frame.id, frame.name) for frame in blurred.store.frames()]
    project = _site(blurred, later)
    report = ingest(project, [SAMPLE / "junction.avi"])
    assert (report.added, report.known, report.blurred) == (0, len(before), 0)
    assert [(frame.id, frame.name) for frame in project.store.frames()] == before
    assert len(list((project.state_dir / "frames").rglob("*.jpg"))) == len(before)


def test_a_second_name_of_a_blurred_picture_is_an_alias(blurred, street, tmp_path):
    (tmp_path / "copy.jpg").write_bytes(street[0].data)
    report = ingest(blurred, [tmp_path / "copy.jpg"])
    assert (report.added, report.known) == (0, 1)
    assert blurred.store.frame_by_name("copy.jpg").name == street[0].name


def test_what_came_in_before_the_setting_stays_clear_and_is_told(tmp_path, street):
    root = tmp_path / "late"
    root.mkdir()
    (root / "site.yaml").write_text(SITE.replace("heads_and_plates", "none"))
    project = Project.open(root)
    (tmp_path / "one.jpg").write_bytes(street[0].data)
    (tmp_path / "two.jpg").write_bytes(street[1].data)
    assert ingest(project, [tmp_path / "one.jpg"]).blurred == 0
    project.store.close()
    (root / "site.yaml").write_text(SITE)
    told = CliRunner().invoke(
        app, ["ingest", str(tmp_path / "one.jpg"), str(tmp_path / "two.jpg"), "--project", str(root)]
    )
    assert told.exit_code == 0, told.output
    text = " ".join(told.output.split())
    assert "1 new frames, 1 known already" in text
    assert "1 pictures blurred before they were stored (heads and plates)" in text
    assert "does not see stays clear" in text
    assert "1 known frames are stored clear" in text


def test_a_purge_buries_the_clear_picture_too(blurred, street, tmp_path):
    saved = backup(blurred, tmp_path / "week.zip", frames=True)
    gone = blurred.store.frame_by_name(street[0].name)
    clear = hashlib.sha256(street[0].data).hexdigest()
    purge(blurred, plan_purge(blurred, names=[gone.name]), reason="request 7")
    assert blurred.store.tombstones("clear") == {clear}
    assert clear not in {origin.clear_sha256 for origin in blurred.store.frame_origins()}
    with zipfile.ZipFile(saved.path) as archive:
        assert clear.encode() not in archive.read("tables/frame_origins.jsonl")
    for setting in ("heads_and_plates", "none"):
        blurred = _site(blurred, setting)
        report = ingest(blurred, [SAMPLE / "junction.avi"])
        assert [reason for _, _, reason in report.rejected] == ["it was purged and stays so"]
        assert report.added == 0
    restore(blurred, saved.path, replace=True)
    assert blurred.store.tombstones("clear") == {clear}
    assert ingest(blurred, [SAMPLE / "junction.avi"]).added == 0
    assert check(blurred).clean


def test_the_measurement_wants_clear_pictures(blurred, project):
    label = project.store.annotations(source="cheap")[0]
    result = bench_blur(project, source="cheap")
    assert result.frames == len(project.store.labelled_frame_ids("cheap"))
    assert sum(number for _, number, _ in result.counts) <= len(project.store.annotations(source="cheap"))
    assert "people" in result.markdown
    frame = blurred.store.frames()[0]
    from dataclasses import replace

    blurred.store.add_annotations([replace(label, frame_id=frame.id)], "cheap")
    with pytest.raises(DataError, match="blurred when they came in"):
        bench_blur(blurred, source="cheap")
