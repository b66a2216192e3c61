import pytest

from curate.annotations import replace
from curate.errors import ConflictError, NotFoundError
from curate.review import decide, redo_last, undo_last


def _picture(store):
    """Everything that a user sees, without revision numbers."""
    labels = [replace(label, revision=0) for label in store.annotations()]
    states = {status.issue.id: status.issue.state for status in store.issue_statuses()}
    return labels, states, store.frames()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("apply", {"issue_id": "delete"}),
        ("apply", {"issue_id": "edit"}),
        ("apply", {"issue_id": "add"}),
        ("apply", {"issue_id": "frame"}),
        ("apply", {"issue_id": "g1", "group": True}),
        ("keep", {"issue_id": "look"}),
        ("skip", {"issue_id": "look"}),
        ("edit", {"annotation_id": "d", "flags": {"ignore": True}}),
        ("relabel", {"issue_id": "relabel", "label": "car"}),
        ("delete_label", {"annotation_id": "g"}),
        ("exclude_frame", {"issue_id": "delete"}),
    ],
)
def test_undo_redo_undo(queue, new, kind, values):
    before = _picture(queue)
    decide(queue, new(kind, **values))
    after = _picture(queue)
    assert after != before
    for _ in range(3):
        undo_last(queue, "ann")
        assert _picture(queue) == before
        redo_last(queue, "ann")
        assert _picture(queue) == after


def test_history_grows_and_nothing_in_it_changes(queue, new):
    decide(queue, new("apply", issue_id="edit"))
    history = queue.revisions("a")
    undo = undo_last(queue, "ann")
    assert queue.revisions("a")[:2] == history
    last = queue.last_revision("a")
    assert (last.annotation.revision, last.content_of, last.decision_id) == (2, 0, undo.decision.id)


def test_undo_goes_back_step_by_step_and_redo_forth(queue, new):
    pictures = [_picture(queue)]
    for name in ("delete", "relabel", "add"):
        decide(queue, new("apply", issue_id=name))
        pictures.append(_picture(queue))
    for picture in pictures[2::-1]:
        undo_last(queue, "ann")
        assert _picture(queue) == picture
    with pytest.raises(NotFoundError, match="left to undo"):
        undo_last(queue, "ann")
    for picture in pictures[1:]:
        redo_last(queue, "ann")
        assert _picture(queue) == picture
    with pytest.raises(NotFoundError, match="left to redo"):
        redo_last(queue, "ann")


def test_a_new_decision_ends_the_redo(queue, new):
    decide(queue, new("apply", issue_id="add"))
    undo_last(queue, "ann")
    decide(queue, new("keep", issue_id="look"))
    with pytest.raises(NotFoundError):
        redo_last(queue, "ann")


def test_everybody_undoes_their_own_unless_they_name_it(queue, new):
    kept = decide(queue, new("keep", issue_id="look", reviewer="bob"))
    decide(queue, new("apply", issue_id="relabel"))
    undo_last(queue, "bob")
    assert queue.issue("look").state.value == "open"
    assert queue.annotation("b").label == "car"
    with pytest.raises(ConflictError, match="bob undid this already"):
        decide(queue, new("undo", undoes=kept.decision.id))


def test_what_later_decisions_build_on_stays(queue, new):
    first = decide(queue, new("apply", issue_id="relabel"))
    decide(queue, new("edit", annotation_id="b", bbox_xyxy=(1, 2, 3, 4), reviewer="bob"))
    with pytest.raises(
        ConflictError, match=r"bob changed the label after this decision.*later decision first"
    ):
        decide(queue, new("undo", undoes=first.decision.id))
    undo_last(queue, "bob")
    decide(queue, new("undo", undoes=first.decision.id))
    assert queue.annotation("b").label == "person"


def test_the_same_content_by_another_decision_is_not_taken_back(queue, new):
    first = decide(queue, new("relabel", annotation_id="b", label="car"))
    decide(queue, new("relabel", annotation_id="b", label="person", reviewer="bob"))
    decide(queue, new("relabel", annotation_id="b", label="car", reviewer="bob"))
    with pytest.raises(ConflictError, match="bob changed"):
        decide(queue, new("undo", undoes=first.decision.id))


def test_an_issue_that_was_decided_anew_stays(queue, new):
    skipped = decide(queue, new("skip", issue_id="look"))
    decide(queue, new("keep", issue_id="look", reviewer="bob"))
    with pytest.raises(ConflictError, match="bob decided the issue after"):
        decide(queue, new("undo", undoes=skipped.decision.id))
    undo_last(queue, "bob")
    assert queue.issue("look").state.value == "skipped"


def test_a_frame_that_was_taken_back_in_otherwise(queue, new, make_frame):
    decide(queue, new("exclude_frame", frame_id=make_frame(1).id))
    queue.set_frame_excluded(make_frame(1).id, False)
    with pytest.raises(ConflictError, match="taken in or out"):
        undo_last(queue, "ann")


def test_only_the_standing_undo_can_be_redone(queue, new):
    made = decide(queue, new("keep", issue_id="look"))
    first = undo_last(queue, "ann")
    redone = redo_last(queue, "ann")
    with pytest.raises(ConflictError, match="taken back already"):
        decide(queue, new("undo", undoes=first.decision.id))
    second = decide(queue, new("undo", undoes=redone.decision.id))
    assert queue.issue("look").state.value == "open"
    for gone in (made, redone):
        with pytest.raises(ConflictError, match="undid this already"):
            decide(queue, new("undo", undoes=gone.decision.id))
    decide(queue, new("undo", undoes=second.decision.id))
    assert queue.issue("look").state.value == "decided"


def test_an_issue_that_a_scan_dropped_does_not_come_back(queue, new):
    decide(queue, new("skip", issue_id="look"))
    queue.upsert_issues([])
    undo_last(queue, "ann")
    assert queue.issue("look").state.value == "obsolete"


def test_an_issue_of_a_label_that_has_gone_does_not_come_back(queue, new, make_frame):
    kept = decide(queue, new("keep", issue_id="look"))
    other = decide(queue, new("keep", issue_id="relabel"))
    decide(queue, new("delete_label", annotation_id="d"))
    decide(queue, new("exclude_frame", frame_id=make_frame(1).id))
    for decided, name in ((kept, "look"), (other, "relabel")):
        decide(queue, new("undo", undoes=decided.decision.id))
        assert queue.issue(name).state.value == "obsolete"


def test_undoing_an_added_label_drops_what_a_scan_found_on_it(queue, new, make_issue):
    (added,) = decide(queue, new("apply", issue_id="add")).labels
    queue.upsert_issues([make_issue("late", added.annotation_id, 2)])
    undo_last(queue, "ann")
    assert queue.issue("late").state.value == "obsolete"
    redo_last(queue, "ann")
    assert queue.issue("late").state.value == "open"


def test_a_scan_between_decision_and_undo(queue, new, make_issue):
    decide(queue, new("apply", issue_id="edit"))
    queue.upsert_issues([make_issue("after the edit", "a")])
    undo_last(queue, "ann")
    assert queue.issue("edit").state.value == "open"
    with pytest.raises(ConflictError, match="changed since the scan"):
        decide(queue, new("keep", issue_id="after the edit"))
    decide(queue, new("keep", issue_id="edit"))
