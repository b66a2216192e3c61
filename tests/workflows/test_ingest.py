from __future__ import annotations

import io
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.errors import DataError
from curate.synth import SceneConfig, SyntheticScene, render_scene
from curate.workflows.ingest import ingest
from curate.workflows.project import Project


def test_ingesting_twice_changes_nothing(empty_project: Project, video: Path) -> None:
    first = ingest(empty_project, [video])
    assert (first.added, first.known, first.rejected) == (24, 0, ())
    second = ingest(empty_project, [video])
    assert (second.added, second.known) == (0, 24)
    frame = empty_project.store.frame_by_name("synth_000005.jpg")
    assert frame.captured_at == pytest.approx(5.0)
    assert empty_project.frame_image(frame).shape == (240, 320, 3)
    assert frame.sha256.startswith(frame.id)


def test_a_truncated_video_gives_its_good_frames_and_a_reason(
    empty_project: Project, video: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.avi"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    report = ingest(empty_project, [cut])
    assert 0 < report.added < 24
    assert len(report.rejected) == 1
    assert empty_project.store.quarantined()[0].source == str(cut)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing: a decompression bomb in 60 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def test_bad_images_are_put_aside_and_the_rest_goes_on(empty_project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "snaps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(folder / f"{name}.jpg")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    (folder / "bomb.png").write_bytes(png_header(60_000, 60_000))
    whole = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(whole, "JPEG")
    (folder / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    report = ingest(empty_project, [folder])
    assert report.added == 2
    reasons = {Path(source).name: reason for source, _, reason in report.rejected}
    assert set(reasons) == {"empty.jpg", "text.jpg", "bomb.png", "cut.jpg"}
    assert "64,000,000 pixels" in reasons["bomb.png"]
    assert len(empty_project.store.quarantined()) == 4


def test_two_recordings_of_one_name_both_stay(empty_project: Project, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(tmp_path / day / "gate.png")
    for day in ("monday", "tuesday"):
        ingest(empty_project, [tmp_path / day / "gate.png"])
    names = [frame.name for frame in empty_project.store.frames()]
    assert len(names) == 2
    assert len(set(names)) == 2


def test_two_videos_of_one_name_in_one_call(empty_project: Project, video: Path, tmp_path: Path) -> None:
    for day, start in (("monday", 0), ("tuesday", 40)):
        (tmp_path / day).mkdir()
        (tmp_path / day / "cam.avi").write_bytes(
            render(start).write_video(tmp_path / f"{day}.avi").read_bytes()
        )
    report = ingest(empty_project, [tmp_path / "monday" / "cam.avi", tmp_path / "tuesday" / "cam.avi"])
    assert report.added == 8
    assert len({frame.clip for frame in empty_project.store.frames()}) == 2


def render(seed: int) -> SyntheticScene:
    return render_scene(SceneConfig(seed=seed, frames=4, fps=1.0, size=(160, 120)))


def test_nothing_there_is_one_clear_error(empty_project: Project, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ingest(empty_project, [tmp_path / "missing.mp4"])
    hopeless = tmp_path / "hopeless.mp4"
    hopeless.write_bytes(b"\x00" * 100)
    with pytest.raises(DataError, match="no frame could be read") as caught:
        ingest(empty_project, [hopeless])
    assert "hopeless.mp4" in str(caught.value)


@pytest.mark.fault
def test_a_full_disk_leaves_whole_frames_only(tmp_path: Path, video: Path) -> None:
    """The file size limit of a process stands in for a full disk: writes fail with an error in the middle."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "site.yaml").write_text("classes: [person]\nframes: {every_n: 1}\n")
    Project.open(root).store.close()
    program = textwrap.dedent(
        f"""
        import resource, signal
        from curate.errors import CurateError
        from curate.workflows.ingest import ingest
        from curate.workflows.project import Project
        project = Project.open({str(root)!r})
        project.store.frames()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        try:
            ingest(project, [{str(video)!r}])
        except CurateError as error:
            print("clear:", error)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("clear:")
    assert not list((root / ".crossguard" / "frames").rglob("*.tmp"))
    project = Project.open(root)
    assert ingest(project, [video]).added == 24
    project.store.close()
