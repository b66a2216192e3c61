import json

import pytest

from curate.annotations import Polygon, replace
from curate.errors import ConflictError, DataError, FormatError, NotFoundError, ProjectError
from curate.review import apply_decisions, decide, export_decisions, undo_last
from curate.review.conflict import LabelChanged
from curate.review.files import FailedLine
from curate.store import Store

SQUARE = (Polygon(((60.0, 60.0), (80.0, 60.0), (80.0, 90.0))),)


@pytest.fixture
def other(queue, tmp_path):
    """A second store with the same labels and issues, nothing decided."""
    with Store.open(tmp_path / "other.db") as store:
        store.set_site(["person", "car"], "cheap")
        store.add_frames(queue.frames())
        store.add_annotations(queue.annotations(), "cheap")
        store.upsert_issues(status.issue for status in queue.issue_statuses())
        yield store


def _picture(store):
    labels = store.annotations()
    return labels, [status.issue for status in store.issue_statuses()], store.frames()


def test_decisions_replayed_elsewhere_give_the_same_labels(queue, other, new, make_frame, tmp_path):
    decide(queue, new("apply", issue_id="g1", group=True))
    decide(queue, new("apply", issue_id="add"))
    decide(queue, new("add", frame_id=make_frame(3).id, label="car", mask=SQUARE))
    decide(queue, new("edit", annotation_id="d", flags={"ignore": True}, reviewer="bob", note="zu dunkel"))
    undo_last(queue, "ann")
    decide(queue, new("exclude_frame", issue_id="frame"))
    file = tmp_path / "decisions.jsonl"
    assert export_decisions(queue, file) == 6
    report = apply_decisions(other, file)
    assert (report.applied, report.repeated, report.failed) == (6, 0, ())
    assert _picture(other) == _picture(queue)
    report = apply_decisions(other, file)
    assert (report.applied, report.repeated) == (0, 6)
    assert _picture(other) == _picture(queue)
    again = tmp_path / "again.jsonl"
    export_decisions(other, again)
    assert again.read_bytes() == file.read_bytes()


def test_one_decision_a_line_with_its_mask(queue, new, tmp_path):
    decide(queue, new("edit", annotation_id="d", mask=SQUARE))
    export_decisions(queue, tmp_path / "d.jsonl")
    (line,) = (tmp_path / "d.jsonl").read_text().splitlines()
    assert json.loads(line)["mask"] == {"polygons": [{"exterior": [[60, 60], [80, 60], [80, 90]]}]}
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name] == []


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("{", "line 3: not JSON"),
        ("[]", "line 3, decision: expected a JSON object"),
        ('{"id": "x", "kind": "keep"}', "line 3, decision: key 'reviewer' is missing"),
        ('{"id": "x", "kind": "keep", "reviewer": "a", "created_at": NaN}', "line 3: NaN"),
        ('{"id": "x", "kind": "edit", "reviewer": "a", "bbox_xyxy": [1]}', "line 3, decision, bbox_xyxy"),
        ("[" * 100_000, "line 3: nested"),
    ],
)
def test_a_broken_line_is_named_and_nothing_applied(queue, tmp_path, broken, message):
    good = '{"id": "1", "kind": "keep", "reviewer": "ann", "issue_id": "look"}'
    (tmp_path / "d.jsonl").write_text(f"{good}\n\n{broken}\n")
    for keep_going in (False, True):
        with pytest.raises(FormatError, match=rf"d\.jsonl, {message}"):
            apply_decisions(queue, tmp_path / "d.jsonl", keep_going=keep_going)
    assert queue.decisions() == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ('{"id": "2", "kind": "keep", "reviewer": "ann", "issue_id": "nowhere"}', NotFoundError),
        ('{"id": "2", "kind": "keep", "reviewer": "ann", "issue_id": "look"}', ConflictError),
        ('{"id": "2", "kind": "relabel", "reviewer": "ann", "annotation_id": "a", "label": "x"}', DataError),
    ],
)
def test_all_or_nothing_unless_told_otherwise(queue, tmp_path, bad, error):
    first = '{"id": "1", "kind": "keep", "reviewer": "ann", "issue_id": "look"}'
    last = '{"id": "3", "kind": "apply", "reviewer": "ann", "issue_id": "add"}'
    (tmp_path / "d.jsonl").write_text("\n".join((first, bad, last)))
    with pytest.raises(error, match=r"d\.jsonl, line 2"):
        apply_decisions(queue, tmp_path / "d.jsonl")
    assert queue.decisions() == []
    assert queue.issue("look").state.value == "open"
    report = apply_decisions(queue, tmp_path / "d.jsonl", keep_going=True)
    assert report.applied == 2
    ((line, decision_id, reason),) = [(f.line, f.decision_id, f.reason) for f in report.failed]
    assert (line, decision_id) == (2, "2")
    assert reason
    assert isinstance(report.failed[0], FailedLine)


def test_a_line_about_a_label_that_changed_names_both_sides(queue, new, tmp_path):
    decide(queue, new("edit", annotation_id="a", bbox_xyxy=(1, 1, 40, 40), reviewer="bob"))
    line = {"id": "late", "kind": "edit", "reviewer": "ann", "annotation_id": "a", "expected_revision": 0}
    (tmp_path / "d.jsonl").write_text(json.dumps(line | {"bbox_xyxy": [1, 1, 50, 50]}) + "\n")
    with pytest.raises(LabelChanged) as caught:
        apply_decisions(queue, tmp_path / "d.jsonl")
    assert (caught.value.file, caught.value.theirs.actor) == (str(tmp_path / "d.jsonl"), "bob")
    assert caught.value.item.startswith("line 1")


def test_files_that_cannot_be_read_or_written(queue, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        apply_decisions(queue, tmp_path / "missing.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="UTF-8"):
        apply_decisions(queue, tmp_path / "binary.jsonl")
    with pytest.raises(ProjectError, match="cannot be written"):
        export_decisions(queue, tmp_path / "missing" / "d.jsonl")


def test_more_decisions_than_a_page(store, new, make_label, tmp_path):
    with store.begin():
        for number in range(1003):
            decide(store, replace(new("keep", annotation_id="a"), id=f"{number:04d}"))
    assert export_decisions(store, tmp_path / "d.jsonl") == 1003
    ids = [json.loads(line)["id"] for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert ids == [f"{number:04d}" for number in range(1003)]
