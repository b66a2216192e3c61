from __future__ import annotations

import importlib.util
import io
import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from curate.annotations import Frame

# A module of its own, so that tests of formats share their examples although test folders are no packages.
if "crossguard_format_examples" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "crossguard_format_examples", Path(__file__).with_name("examples.py")
    )
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[_spec.name] = _module
    _spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def picture():
    """Makes a (height, width, 3) picture with soft colours; another number, another picture."""

    def make(number=0, width=64, height=48):
        y, x = np.mgrid[0:height, 0:width]
        return np.stack([x * 3 % 256, y * 5 % 256, np.full_like(x, number * 5 % 256)], -1).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def encoded(picture):
    """Makes the bytes of an image file."""

    def make(kind="JPEG", number=0, mode="RGB", **options):
        buffer = io.BytesIO()
        Image.fromarray(picture(number)).convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def write_video(picture):
    """Makes a video with the given presentation times in seconds; `ticks` a second is what it can tell."""

    def make(path, times, *, codec="mjpeg", size=(64, 48), options=None, ticks=1000):
        with av.open(str(path), "w", options=options or {}) as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.time_base = Fraction(1, ticks)
            for number, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
                frame.pts, frame.time_base = round(time * ticks), Fraction(1, ticks)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture(scope="session")
def make_frame():
    """Makes a `Frame` with a name, of 640 x 480 unless told otherwise."""

    def make(name, number=0, width=640, height=480, clip="clip"):
        digest = f"{number + 1:064x}"
        return Frame(
            digest[-32:], name, "cam", clip, number, number / 10, False, width, height, digest, "x", "v"
        )

    return make


@pytest.fixture
def coco_file(tmp_path):
    """Writes a COCO file of one image, one category and the given annotations; returns its path."""

    def write(*annotations, **keys):
        data = {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
            "categories": [{"id": 1, "name": "car"}],
            "annotations": list(annotations),
            **keys,
        }
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(data))
        return path

    return write
