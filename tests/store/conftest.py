from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from curate.annotations import Annotation, Frame, Issue, IssueType, Polygon, Proposal, ProposalKind
from curate.store import Store

_FILE = Path(__file__).parents[1] / "store" / "backends.py"
_spec = importlib.util.spec_from_file_location("crossguard_test_backends", _FILE)
assert _spec
assert _spec.loader
# One module for all three folders of tests, so that they share one server.
backends = sys.modules.get(_spec.name) or importlib.util.module_from_spec(_spec)
if _spec.name not in sys.modules:
    sys.modules[_spec.name] = backends
    _spec.loader.exec_module(backends)


@pytest.fixture(params=backends.PARAMS)
def url(request, tmp_path):
    return backends.database_url(request.param, request, tmp_path)


@pytest.fixture
def empty(url):
    with Store.open(url) as store:
        yield store


@pytest.fixture
def make_frame():
    def make(number: int, **changes) -> Frame:
        values = {
            "id": f"{number:032x}",
            "name": f"junction_{number:06d}.jpg",
            "camera": "north",
            "clip": "morning.avi",
            "index": number,
            "captured_at": number / 5,
            "wall_time": False,
            "width": 320,
            "height": 240,
            "sha256": f"{number:064x}",
            "path": f"00/{number:032x}.jpg",
            "source": "morning.avi",
        }
        return Frame(**values | changes)

    return make


@pytest.fixture
def make_label(make_frame):
    def make(name: str, frame: int = 0, **changes) -> Annotation:
        square = Polygon(((10.0, 10.0), (30.0, 10.0), (30.0, 40.0), (10.0, 40.0)))
        values = {
            "id": name,
            "frame_id": make_frame(frame).id,
            "label": "person",
            "bbox_xyxy": (10.0, 10.0, 30.0, 40.0),
            "mask": (square,),
            "source": "cheap",
            "score": 0.5,
        }
        return Annotation(**values | changes)

    return make


@pytest.fixture
def make_issue(make_frame):
    def make(name: str, label_id: str | None = "a", frame: int = 0, **changes) -> Issue:
        values = {
            "id": name,
            "type": IssueType.SPURIOUS,
            "frame_id": make_frame(frame).id,
            "annotation_id": label_id,
            "bbox_xyxy": (10.0, 10.0, 30.0, 40.0),
            "label": "person",
            "severity": 0.5,
            "probability": 0.25,
            "explanation": "The place looks like the background (0.02 of it moved).",
            "evidence": {"foreground": 0.02},
            "proposal": Proposal(ProposalKind.DELETE_LABEL),
        }
        return Issue(**values | changes)

    return make


@pytest.fixture
def store(empty, make_frame, make_label):
    """Four frames; labels a to d of the cheap labeller, one on each, and a gold one."""
    empty.set_site(["person", "car"], "cheap")
    empty.add_frames(make_frame(number) for number in range(4))
    empty.add_annotations([make_label(name, number) for number, name in enumerate("abcd")], "cheap")
    empty.add_annotations([make_label("g", 0, source="gold", score=None, track_id="1")], "importer")
    return empty
