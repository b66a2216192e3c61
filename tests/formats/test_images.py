from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.errors import ImageError
from curate.formats.media import MediaItem, Rejected, decode_image, read_images
from curate.formats.times import time_from_name


def png_header(width, height):
    """A PNG that says it is huge; nothing behind the header."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def only(items):
    items = list(items)
    assert len(items) == 1, items
    return items[0]


def test_a_folder_is_read_in_natural_order_with_relative_names(tmp_path, encoded):
    for number, name in enumerate(["b/f10.jpg", "b/f9.jpg", "a/2.png", "f1.webp", ".hidden.jpg"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded({".png": "PNG", ".webp": "WEBP"}.get(path.suffix, "JPEG"), number))
    (tmp_path / "notes.txt").write_text("not an image")
    items = list(read_images(tmp_path))
    assert [item.name for item in items] == ["a/2.png", "b/f9.jpg", "b/f10.jpg", "f1.webp"]
    assert [(item.clip, item.index) for item in items] == [("a", 0), ("b", 0), ("b", 1), (tmp_path.name, 0)]
    assert [(item.captured_at, item.wall_time) for item in items] == [
        (0, False),
        (0, False),
        (1, False),
        (0, False),
    ]
    assert all((item.width, item.height) == (64, 48) for item in items)


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png")])
def test_a_plain_image_is_stored_as_it_is(tmp_path, encoded, kind, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(encoded(kind))
    item = only(read_images(path))
    assert item.data == path.read_bytes()
    assert item.extension == suffix[1:]
    assert item.name == path.name


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("BMP", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "CMYK")],
)
def test_other_images_are_stored_as_rgb_jpeg(tmp_path, encoded, picture, kind, mode):
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(encoded(kind, 0, mode))
    item = only(read_images(path))
    assert item.extension == "jpg"
    image = decode_image(item.data)
    assert image.dtype == np.uint8
    assert image.shape == (48, 64, 3)
    assert np.abs(image.astype(int) - picture()).mean() < 12


def test_sixteen_bits_are_scaled_not_cut_off():
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 0x7FFF, 0xFFFF]], np.uint16)).save(buffer, "PNG")
    assert decode_image(buffer.getvalue())[0, :, 0].tolist() == [0, 127, 255]


def test_the_orientation_of_exif_is_applied_once(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: a quarter turn clockwise puts it right
    path = tmp_path / "x.jpg"
    Image.fromarray(picture()).save(path, exif=exif, quality=95)
    item = only(read_images(path))
    assert (item.width, item.height) == (48, 64)
    assert np.abs(decode_image(item.data).astype(int) - np.rot90(picture(), -1)).mean() < 5
    np.testing.assert_array_equal(decode_image(path).shape, (64, 48, 3))


def test_the_capture_time_of_exif_goes_before_the_name(tmp_path, picture):
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: "2019:07:02 09:01:45", 0x9291: "25"})
    path = tmp_path / "20200101000000.jpg"
    Image.fromarray(picture()).save(path, exif=exif)
    item = only(read_images(path))
    assert item.wall_time
    assert item.captured_at == 1562058105.25
    exif.get_ifd(0x8769)[0x9011] = "+02:00"
    Image.fromarray(picture()).save(path, exif=exif)
    assert only(read_images(path)).captured_at == 1562058105.25 - 7200


@pytest.mark.parametrize(
    ("stem", "seconds"),
    [
        ("2019-07-02_09-01-45", 1562058105),
        ("17_2019-07-02_09-01-45.122302_00001.03601", 1562058105.122302),
        ("20190702090145", 1562058105),
        ("cam3_20190702_090145", 1562058105),
        ("20190702T090145250", 1562058105.25),
        ("2019-07-02T09:01:45", 1562058105),
        ("2019.07.02 09.01.45", 1562058105),
        ("frame_000120", None),
        ("20191302090145", None),
        ("2019-07-02", None),
        ("920190702090145", None),
        ("IMG_20190702", None),
    ],
)
def test_times_in_file_names(stem, seconds):
    assert time_from_name(stem) == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


def test_files_globs_and_folders_mix_and_nothing_comes_twice(tmp_path, encoded):
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded())
    items = list(read_images([tmp_path / "a", str(tmp_path / "a" / "*.jpg"), tmp_path / "b" / "1.jpg"]))
    assert [item.name for item in items] == ["a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert [item.name for item in read_images(str(tmp_path / "**" / "1.*"))] == ["a/1.jpg", "b/1.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("zero.jpg", b"", "empty"),
        ("text.jpg", b"this is no picture", "not an image"),
        ("bomb.png", png_header(60_000, 60_000), "more than the allowed"),
        ("large.png", png_header(9_000, 9_000), "9000 x 9000 is more than the allowed 64,000,000"),
        ("hollow.png", png_header(100, 100), "broken or cut short"),
    ],
)
def test_a_bad_file_is_rejected_with_its_reason_and_the_rest_goes_on(
    tmp_path, encoded, name, content, reason
):
    (tmp_path / "good.jpg").write_bytes(encoded())
    (tmp_path / name).write_bytes(content)
    items = list(read_images(tmp_path))
    rejected = only(item for item in items if isinstance(item, Rejected))
    assert rejected.source == str(tmp_path / name)
    assert reason in rejected.reason
    assert [item.name for item in items if isinstance(item, MediaItem)] == ["good.jpg"]


def test_a_truncated_jpeg_is_rejected(tmp_path, encoded):
    data = encoded(quality=95)
    (tmp_path / "x.jpg").write_bytes(data[: len(data) // 2])
    assert "cut short" in only(read_images(tmp_path)).reason
    with pytest.raises(ImageError, match="cut short"):
        decode_image(data[: len(data) // 2])


def test_paths_that_hold_no_image(tmp_path, encoded):
    (tmp_path / "empty").mkdir()
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "x.jpg")
    (tmp_path / "x.txt").write_text("text")
    reasons = {
        "missing.jpg": "no such file",
        "empty": "holds no image",
        "pipes": "not a regular file",
        "pipes/x.jpg": "not a regular file",
        "x.txt": 'ends in ".txt"',
        "*.gif": "matches no image",
    }
    for name, reason in reasons.items():
        assert reason in only(read_images(tmp_path / name)).reason, name
    with pytest.raises(ImageError, match="folder"):
        decode_image(tmp_path)
    with pytest.raises(ImageError, match="empty"):
        decode_image(b"")


def test_links_are_followed_inside_the_folder_only(tmp_path, encoded):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "outside.jpg").write_bytes(encoded())
    (folder / "a.jpg").write_bytes(encoded())
    (folder / "b.jpg").symlink_to(folder / "a.jpg")
    (folder / "c.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "d.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    items = list(read_images(folder))
    assert [item.name for item in items if isinstance(item, MediaItem)] == ["a.jpg", "b.jpg"]
    reasons = {item.source[-5:]: item.reason for item in items if isinstance(item, Rejected)}
    assert "out of the folder" in reasons["c.jpg"]
    assert "nowhere" in reasons["d.jpg"]
    assert only(read_images(folder / "c.jpg")).name == "c.jpg"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_rejected(tmp_path, encoded):
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded())
    path.chmod(0)
    assert "Permission denied" in only(read_images(path)).reason


def test_a_file_that_vanishes_or_cannot_be_opened_is_rejected(tmp_path, encoded):
    (tmp_path / "a.jpg").write_bytes(encoded())
    (tmp_path / "b.jpg").write_bytes(encoded())
    items = read_images(tmp_path)
    assert isinstance(next(items), MediaItem)
    (tmp_path / "b.jpg").unlink()
    assert "no such file" in only(items).reason


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]), st.integers(0, 10_000), st.binary(max_size=6))
def test_damaged_bytes_give_a_picture_or_an_image_error(encoded, kind, place, damage):
    data = bytearray(encoded(kind))
    place %= len(data)
    data[place : place + len(damage)] = damage
    try:
        image = decode_image(bytes(data), max_pixels=100_000)
    except ImageError:
        return
    assert image.ndim == 3
