from __future__ import annotations

import av
import numpy as np
import pytest

from curate.errors import ConfigError
from curate.formats.media import MediaItem, Rejected, decode_image, read_video


def split(items):
    items = list(items)
    good = [item for item in items if isinstance(item, MediaItem)]
    bad = [item for item in items if isinstance(item, Rejected)]
    assert items == good + bad, "what is wrong comes last"
    return good, bad


@pytest.fixture(scope="module")
def steady(write_video, tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "steady.mkv", [i / 10 for i in range(40)])


def test_every_frame_by_default_and_the_pictures_are_right(steady, picture):
    good, bad = split(read_video(steady))
    assert bad == []
    assert [item.index for item in good] == list(range(40))
    assert good[12].name == "steady_000012.jpg"
    assert (good[12].clip, good[12].wall_time, good[12].extension) == ("steady", False, "jpg")
    assert good[12].captured_at == pytest.approx(1.2, abs=1e-3)
    assert np.abs(decode_image(good[12].data).astype(int) - picture(12)).mean() < 6


def test_every_n_and_every_seconds(steady):
    assert [item.index for item in split(read_video(steady, every_n=7))[0]] == [0, 7, 14, 21, 28, 35]
    assert [item.index for item in split(read_video(steady, every_seconds=0.5))[0]] == list(range(0, 40, 5))
    assert [item.index for item in split(read_video(steady, every_seconds=0.1))[0]] == list(range(40))
    assert len(split(read_video(steady, every_seconds=1e-9))[0]) == 40
    # every_n goes first
    assert len(split(read_video(steady, every_seconds=1.0, every_n=20))[0]) == 2


def test_a_changing_frame_rate_is_read_by_the_clock(write_video, tmp_path):
    times = [0, 0.1, 0.2, 0.9, 1.1, 1.2, 5.0, 5.1, 6.05]
    path = write_video(tmp_path / "vfr.mkv", times)
    good, bad = split(read_video(path, every_seconds=1))
    assert bad == []
    # The first frame at or after each whole second, once; none is made up for the gap from 2 to 5.
    assert [item.captured_at for item in good] == pytest.approx([0, 1.1, 5.0, 6.05], abs=2e-3)
    assert [item.index for item in good] == [0, 4, 6, 8]


def test_a_time_in_the_file_name_is_the_start(write_video, tmp_path):
    path = write_video(tmp_path / "cam_2019-07-02_09-01-45.mkv", [0, 1, 2])
    good, _ = split(read_video(path))
    assert all(item.wall_time for item in good)
    assert [item.captured_at for item in good] == pytest.approx(
        [1562058105, 1562058106, 1562058107], abs=2e-3
    )


def test_reading_twice_gives_the_same_bytes(steady):
    assert list(read_video(steady, every_n=10)) == list(read_video(steady, every_n=10))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("x.mp4", "mpeg4", {"movflags": "faststart"}),
        ("x.mkv", "mjpeg", None),
        ("x.avi", "mjpeg", None),
        ("h264.mp4", "libx264", {"movflags": "faststart"}),
    ],
)
def test_a_truncated_video_gives_its_good_frames_then_one_reason(write_video, tmp_path, name, codec, options):
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no encoder {codec}")
    ticks = 10 if name.endswith("avi") else 1000
    path = write_video(
        tmp_path / name, [i / 10 for i in range(60)], codec=codec, options=options, ticks=ticks
    )
    whole, bad = split(read_video(path))
    assert len(whole) == 60
    assert bad == []
    data = path.read_bytes()
    start = max(data.find(b"mdat"), 0)
    path.write_bytes(data[: start + (len(data) - start) * 6 // 10])
    good, bad = split(read_video(path))
    assert len(bad) == 1
    assert "cut short" in bad[0].reason
    assert bad[0].source == str(path)
    assert bad[0].item == f"frame {good[-1].index}"
    # The good frames are byte for byte those of the whole file, under the same names.
    assert 10 < len(good) < 60
    assert good == whole[: len(good)]


def test_an_avi_with_dropped_frames_is_whole(write_video, tmp_path):
    path = write_video(tmp_path / "x.avi", [0, 0.1, 0.2, 1.5, 1.6, 3.0])
    good, bad = split(read_video(path))
    assert bad == []
    assert [item.captured_at for item in good] == pytest.approx([0, 0.1, 0.2, 1.5, 1.6, 3.0], abs=2e-3)


def test_damage_in_the_middle_costs_only_what_is_damaged(write_video, tmp_path):
    path = write_video(tmp_path / "x.avi", [i / 10 for i in range(30)], ticks=10)
    whole, _ = split(read_video(path))
    data = bytearray(path.read_bytes())
    start = len(data) // 2
    data[start : start + 600] = bytes(600)
    path.write_bytes(bytes(data))
    good, _ = split(read_video(path))
    assert len(good) >= 20
    same = {item.name: item for item in whole}
    assert sum(item == same.get(item.name) for item in good) >= 20


def test_what_is_no_video(tmp_path, write_video, encoded, steady):
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    data = steady.read_bytes()
    (tmp_path / "head.mkv").write_bytes(data[:40])
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    reasons = {
        "missing.mp4": "no such file",
        ".": "this is a folder",
        "zero.mp4": "empty",
        "text.mp4": "not a video",
        "head.mkv": "not a video",
        "sound.wav": "no video stream",
    }
    for name, reason in reasons.items():
        good, bad = split(read_video(tmp_path / name))
        assert good == []
        assert len(bad) == 1
        assert reason in bad[0].reason, name


def test_a_picture_too_large_is_refused_before_it_is_decoded(steady):
    good, bad = split(read_video(steady, max_pixels=1000))
    assert good == []
    assert "64 x 48 is more than the allowed 1,000 pixels" in bad[0].reason


@pytest.mark.parametrize("options", [{"every_n": 0}, {"every_seconds": 0}, {"every_seconds": float("nan")}])
def test_impossible_steps_are_errors_at_once(steady, options):
    with pytest.raises(ConfigError, match="every_"):
        read_video(steady, **options)
