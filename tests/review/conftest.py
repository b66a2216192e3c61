from __future__ import annotations

import importlib.util
import uuid
from pathlib import Path

import pytest

from curate.annotations import Decision, DecisionKind, IssueType, Polygon, Proposal, ProposalKind

# The store's fixtures serve here too.
_spec = importlib.util.spec_from_file_location(
    "crossguard_store_fixtures", Path(__file__).parents[1] / "store" / "conftest.py"
)
assert _spec
assert _spec.loader
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)

url, empty, store = _shared.url, _shared.empty, _shared.store
make_frame, make_label, make_issue = _shared.make_frame, _shared.make_label, _shared.make_issue


@pytest.fixture
def new():
    """A decision with an id of its own."""

    def make(kind: str, **values) -> Decision:
        return Decision(uuid.uuid4().hex, DecisionKind(kind), values.pop("reviewer", "ann"), **values)

    return make


@pytest.fixture
def queue(store, make_issue):
    """One issue for each kind of proposal, and a group of three."""
    moved = Proposal(ProposalKind.EDIT, bbox_xyxy=(50, 50, 90, 100))
    square = Polygon(((60.0, 60.0), (80.0, 60.0), (80.0, 90.0)))
    store.upsert_issues(
        [
            make_issue("delete", "a", 0, severity=0.9),
            make_issue("edit", "a", 0, type=IssueType.BAD_LOCATION, proposal=moved),
            make_issue("mask", "b", 1, proposal=Proposal(ProposalKind.EDIT, mask=(square,))),
            make_issue("relabel", "b", 1, proposal=Proposal(ProposalKind.RELABEL, "car")),
            make_issue(
                "add",
                None,
                2,
                type=IssueType.MISSING,
                proposal=Proposal(ProposalKind.ADD, "car", (100, 100, 140, 130)),
            ),
            make_issue("frame", None, 3, label=None, proposal=Proposal(ProposalKind.EXCLUDE_FRAME)),
            make_issue("look", "d", 3, proposal=Proposal(ProposalKind.NONE)),
            *(make_issue(f"g{n}", name, n, group_id="place") for n, name in enumerate("abc")),
        ]
    )
    return store
