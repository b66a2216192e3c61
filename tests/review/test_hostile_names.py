"""Names of strangers are data: in the database, in files of decisions, in what a reviewer may undo."""

from __future__ import annotations

import uuid

import pytest

from curate.annotations import Decision, DecisionKind
from curate.errors import CurateError, FormatError
from curate.review import apply_decisions, decide, export_decisions, undo_last
from curate.store.serialize import decision_from_dict

NAMES = [
    "'; DROP TABLE decisions; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "=HYPERLINK(1)",
    "%s %(x)s {0} $(id)",
    "a\u202eb",
    "x" * 5000,
]


@pytest.mark.parametrize("name", NAMES)
def test_reviewers_notes_and_labels(store, tmp_path, name):
    label = store.annotations()[0]
    made = decide(
        store,
        Decision(
            uuid.uuid4().hex,
            DecisionKind.EDIT,
            name,
            annotation_id=label.id,
            bbox_xyxy=(1, 1, 9, 9),
            note=name,
        ),
    )
    (record,) = store.decisions()
    assert (record.decision.reviewer, record.decision.note) == (name, name)
    with pytest.raises(CurateError):
        undo_last(store, "somebody else")
    undone = undo_last(store, name)
    assert undone.decision.undoes == made.decision.id
    assert store.annotation(label.id).bbox_xyxy == label.bbox_xyxy
    file = tmp_path / "d.jsonl"
    assert export_decisions(store, file) == 2
    assert len(file.read_text().splitlines()) == 2
    assert apply_decisions(store, file).repeated == 2
    with pytest.raises(CurateError):
        decide(
            store,
            Decision(uuid.uuid4().hex, DecisionKind.RELABEL, "ann", annotation_id=label.id, label=name),
            classes=["person"],
        )


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
def test_texts_that_no_database_takes_are_one_clear_error(name):
    with pytest.raises(FormatError, match="cannot be stored"):
        decision_from_dict({"id": "1", "kind": "keep", "reviewer": name})
