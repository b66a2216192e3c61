import math

import pytest

from curate.annotations import IssueState, Polygon, Proposal, ProposalKind, Rle, replace
from curate.errors import ConflictError, DataError, NotFoundError
from curate.review import decide, undo_last
from curate.store import FrameEffect, IssueEffect, LabelEffect

SQUARE = (Polygon(((60.0, 60.0), (80.0, 60.0), (80.0, 90.0))),)


def _state(store, name):
    return store.issue(name).state.value


def test_apply_deletes_what_is_proposed_and_drops_the_labels_other_issues(queue, new):
    outcome = decide(queue, new("apply", issue_id="delete"))
    assert outcome.labels == (LabelEffect("a", 0, 1, True),)
    assert [(effect.issue_id, effect.after.value) for effect in outcome.issues] == [
        ("delete", "decided"),
        ("edit", "obsolete"),
        ("g0", "obsolete"),
    ]
    assert queue.last_revision("a").deleted
    assert (_state(queue, "delete"), _state(queue, "edit")) == ("decided", "obsolete")
    revision = queue.last_revision("a")
    assert (revision.actor, revision.decision_id) == ("ann", outcome.decision.id)


def test_apply_an_edit_takes_box_and_mask_of_the_proposal(queue, new):
    decide(queue, new("apply", issue_id="edit"))
    label = queue.annotation("a")
    assert (label.bbox_xyxy, label.mask, label.revision) == ((50, 50, 90, 100), None, 1)
    assert label.score is None, "the detector's confidence was in its own box"
    decide(queue, new("apply", issue_id="mask"))
    label = queue.annotation("b")
    assert (label.bbox_xyxy, label.mask) == ((60, 60, 80, 90), SQUARE), "the mask alone brings its box"


def test_apply_relabel_add_and_exclude(queue, new, make_frame):
    decide(queue, new("apply", issue_id="relabel"))
    assert queue.annotation("b").label == "car"
    outcome = decide(queue, new("apply", issue_id="add"))
    (added,) = queue.annotations(frame_ids=[make_frame(2).id], label="car")
    assert outcome.labels == (LabelEffect(added.id, None, 0, False),)
    assert (added.bbox_xyxy, added.source, added.score) == ((100, 100, 140, 130), "cheap", None)
    outcome = decide(queue, new("apply", issue_id="frame"))
    assert outcome.frames == (FrameEffect(make_frame(3).id, False, True),)
    assert queue.frame(make_frame(3).id).excluded
    assert _state(queue, "look") == "obsolete", "the frame left the queue"


def test_a_proposal_over_the_edge_is_clipped(store, make_issue, new):
    over = Proposal(ProposalKind.EDIT, bbox_xyxy=(-5, 100, 50, 260))
    store.upsert_issues([make_issue("i", proposal=over)])
    decide(store, new("apply", issue_id="i"))
    assert store.annotation("a").bbox_xyxy == (0, 100, 50, 240)


def test_keep_changes_no_label(queue, new):
    before = queue.annotations()
    outcome = decide(queue, new("keep", issue_id="delete"))
    assert outcome.labels == outcome.frames == ()
    assert queue.annotations() == before
    assert (_state(queue, "delete"), _state(queue, "edit")) == ("decided", "open")
    decide(queue, new("keep", issue_id="add"))
    assert _state(queue, "add") == "decided"


def test_skip_puts_off_and_the_issue_can_still_be_decided(queue, new):
    decide(queue, new("skip", issue_id="delete"))
    assert _state(queue, "delete") == "skipped"
    decide(queue, new("keep", issue_id="delete"))
    assert _state(queue, "delete") == "decided"


def test_edit_changes_what_is_given(queue, new, make_label):
    decide(queue, new("edit", issue_id="edit", bbox_xyxy=(1, 2, 33, 44)))
    label = queue.annotation("a")
    assert label == make_label("a", 0, bbox_xyxy=(1, 2, 33, 44), score=None, revision=1)
    decide(queue, new("edit", annotation_id="a", mask=SQUARE, flags={"occluded": True}))
    label = queue.annotation("a")
    assert (label.bbox_xyxy, label.mask, label.occluded) == ((60, 60, 80, 90), SQUARE, True)
    decide(queue, new("edit", annotation_id="a", mask=(), label="car"))
    label = queue.annotation("a")
    assert (label.bbox_xyxy, label.mask, label.label, label.revision) == ((60, 60, 80, 90), None, "car", 3)


def test_an_edit_that_changes_nothing_is_no_revision(queue, new, make_label):
    outcome = decide(queue, new("edit", issue_id="edit", bbox_xyxy=make_label("a").bbox_xyxy))
    assert outcome.labels == ()
    assert _state(queue, "edit") == "decided"
    assert len(queue.revisions("a")) == 1


def test_relabel_delete_and_add_without_an_issue(queue, new, make_frame):
    decide(queue, new("relabel", annotation_id="c", label="car"))
    assert queue.annotation("c").label == "car"
    decide(queue, new("delete_label", annotation_id="c"))
    assert queue.last_revision("c").deleted
    made = new("add", frame_id=make_frame(2).id, label="person", mask=SQUARE, annotation_id="mine")
    decide(queue, made, source="gold")
    added = queue.annotation("mine")
    assert (added.bbox_xyxy, added.mask, added.source) == ((60, 60, 80, 90), SQUARE, "gold")
    decide(queue, new("exclude_frame", frame_id=make_frame(2).id))
    assert queue.frame(make_frame(2).id).excluded


def test_an_issue_may_be_settled_on_another_label(queue, new):
    decide(queue, new("delete_label", issue_id="add", annotation_id="c"))
    assert queue.last_revision("c").deleted
    assert _state(queue, "add") == "decided"


def test_one_decision_for_a_whole_group(queue, new):
    decide(queue, new("skip", issue_id="g2"))
    outcome = decide(queue, new("apply", issue_id="g0", group=True))
    assert {effect.annotation_id for effect in outcome.labels} == {"a", "b"}
    assert _state(queue, "g1") == "decided"
    assert _state(queue, "g2") == "skipped", "not open: not part of it"
    assert _state(queue, "delete") == "obsolete"


def test_a_group_leaves_out_labels_that_changed_since_the_scan(queue, new):
    decide(queue, new("relabel", annotation_id="b", label="car"))
    outcome = decide(queue, new("delete_label", issue_id="g0", group=True))
    assert outcome.left_open == ("g1",)
    assert _state(queue, "g1") == "open"
    assert queue.annotation("b").label == "car"
    assert queue.last_revision("c").deleted


def test_group_adds_make_one_label_on_each_frame(store, make_issue, new):
    proposal = Proposal(ProposalKind.ADD, "car", (1, 1, 9, 9))
    store.upsert_issues(make_issue(f"i{n}", None, n, group_id="g", proposal=proposal) for n in range(4))
    decide(store, new("apply", issue_id="i0", group=True))
    assert len(store.annotations(label="car")) == 4


def test_a_second_delivery_changes_nothing(queue, new):
    decision = new("apply", issue_id="g0", group=True)
    first = decide(queue, decision, client_id="tab", sequence=4)
    revisions = queue.revisions("a")
    second = decide(queue, decision, client_id="tab", sequence=4)
    assert second == first
    assert (first.repeated, second.repeated) == (False, True)
    assert queue.revisions("a") == revisions
    assert len(queue.decisions()) == 1
    assert queue.ack("tab") == 4
    with pytest.raises(ConflictError, match="another decision of ann has this id"):
        decide(queue, replace(decision, note="other"))


def test_a_repeated_undo_without_a_target_is_the_same_undo(queue, new):
    for name in ("relabel", "add"):
        decide(queue, new("apply", issue_id=name))
    undo = new("undo")
    assert decide(queue, undo) == decide(queue, undo)
    assert (_state(queue, "add"), _state(queue, "relabel")) == ("open", "decided")


def test_acknowledged_together_or_not_at_all(queue, new):
    with pytest.raises(DataError):
        decide(queue, new("relabel", annotation_id="a", label="bus"), client_id="tab", sequence=1)
    assert queue.ack("tab") == 0
    with pytest.raises(DataError, match="together"):
        decide(queue, new("keep", issue_id="edit"), client_id="tab")


def test_an_issue_is_decided_once(queue, new):
    decide(queue, new("keep", issue_id="edit", reviewer="bob"))
    with pytest.raises(ConflictError, match=r"issue edit: bob decided this issue already: keep, \d{4}-"):
        decide(queue, new("apply", issue_id="edit"))
    decide(queue, new("delete_label", annotation_id="d"))
    with pytest.raises(ConflictError, match="no longer stands"):
        decide(queue, new("keep", issue_id="look"))


def test_the_reviewer_must_have_seen_the_newest_revision(queue, new):
    decide(queue, new("relabel", annotation_id="c", label="car", reviewer="bob"))
    with pytest.raises(ConflictError, match=r"by bob, \d{4}.*you saw revision 0, now it is 1"):
        decide(queue, new("delete_label", annotation_id="c", expected_revision=0))
    with pytest.raises(ConflictError, match="you saw revision 9"):
        decide(queue, new("delete_label", annotation_id="c", expected_revision=9))
    decide(queue, new("delete_label", annotation_id="c", expected_revision=1))
    with pytest.raises(ConflictError, match="was deleted"):
        decide(queue, new("relabel", annotation_id="c", label="car"))


def test_the_same_content_under_a_later_number_is_no_conflict(queue, new):
    decide(queue, new("relabel", annotation_id="c", label="car", reviewer="bob"))
    undo_last(queue, "bob")
    decide(queue, new("delete_label", annotation_id="c", expected_revision=0))
    assert queue.last_revision("c").deleted


def test_an_issue_whose_label_changed_asks_to_confirm(queue, new):
    decide(queue, new("apply", issue_id="relabel", reviewer="bob"))
    with pytest.raises(ConflictError, match=r"changed since the scan \(by bob.*expected_revision 1"):
        decide(queue, new("apply", issue_id="mask"))
    decide(queue, new("skip", issue_id="mask"))
    decide(queue, new("apply", issue_id="mask", expected_revision=1))
    label = queue.annotation("b")
    assert (label.label, label.mask) == ("car", SQUARE)


BAD = [
    ("edit", {"annotation_id": "a", "bbox_xyxy": (1, 2, math.nan, 4)}, "four finite numbers"),
    ("edit", {"annotation_id": "a", "bbox_xyxy": (1, 2, math.inf, 4)}, "four finite numbers"),
    ("edit", {"annotation_id": "a", "bbox_xyxy": (1, 2, 3)}, "four finite numbers"),
    ("edit", {"annotation_id": "a", "bbox_xyxy": (30, 2, 10, 4)}, "x2 > x1"),
    ("edit", {"annotation_id": "a", "bbox_xyxy": (10, 2, 10, 4)}, "x2 > x1"),
    ("edit", {"annotation_id": "a", "bbox_xyxy": (-1, 2, 10, 4)}, r"outside the frame \(0\.\.320\)"),
    ("edit", {"annotation_id": "a", "bbox_xyxy": (1, 2, 10, 241)}, r"outside the frame \(0\.\.240\)"),
    ("edit", {"annotation_id": "a", "mask": (Polygon(((1, 1), (5, 5))),)}, "three points"),
    ("edit", {"annotation_id": "a", "mask": (Polygon(((1, 1), (5, 1), (5, 900))),)}, "outside the frame"),
    ("edit", {"annotation_id": "a", "mask": (Polygon(((1, 1), (5, 1), (math.nan, 9))),)}, "two finite"),
    ("edit", {"annotation_id": "a", "mask": (Polygon(((1, 1), (5, 1), (9, 1))),)}, "x2 > x1"),
    ("edit", {"annotation_id": "a", "mask": (Polygon(SQUARE[0].exterior, (((1, 1),),)),)}, "three points"),
    ("edit", {"annotation_id": "a", "mask": Rle(100, 100, (10_000,))}, "size of its frame"),
    ("edit", {"annotation_id": "a", "mask": Rle(240, 320, (240 * 320,))}, "empty"),
    ("edit", {"annotation_id": "a", "mask": Rle(240, 320, (5, 5))}, "do not fill"),
    ("edit", {"annotation_id": "a", "flags": {"iscrowd": True}}, "occluded, difficult, ignore"),
    ("edit", {"annotation_id": "a", "flags": {"ignore": 1}}, "true or false"),
    ("edit", {"annotation_id": "a"}, "edit needs a box"),
    ("edit", {"bbox_xyxy": (1, 2, 3, 4)}, "needs a label"),
    ("edit", {"annotation_id": "a", "label": "bus", "bbox_xyxy": (1, 2, 3, 4)}, "unknown class 'bus'"),
    ("relabel", {"annotation_id": "a", "label": "bus"}, "unknown class 'bus'; allowed: person, car"),
    ("relabel", {"annotation_id": "a"}, "a class is needed"),
    ("add", {"label": "car", "bbox_xyxy": (1, 2, 3, 4)}, "needs a frame"),
    ("add", {"issue_id": "add", "label": "car"}, "needs a box or a mask"),
    ("add", {"issue_id": "add", "label": "car", "mask": ()}, "needs a box or a mask"),
    ("add", {"issue_id": "frame", "bbox_xyxy": (1, 2, 3, 4)}, "a class is needed"),
    ("keep", {}, "needs a label"),
    ("skip", {}, "needs an issue"),
    ("apply", {"annotation_id": "a"}, "needs an issue"),
    ("apply", {"issue_id": "look"}, "proposes nothing"),
    ("keep", {"issue_id": "delete", "group": True}, "no group"),
    ("delete_label", {"annotation_id": "a", "group": True}, "needs an issue"),
    ("delete_label", {"issue_id": "g0", "annotation_id": "b", "group": True}, "from the issues"),
    ("exclude_frame", {}, "needs a frame"),
    ("keep", {"issue_id": "look", "reviewer": ""}, "reviewer"),
]


@pytest.mark.parametrize(("kind", "values", "message"), BAD)
def test_impossible_decisions_write_nothing(queue, new, kind, values, message):
    before = (queue.annotations(), queue.issue_counts(), queue.frames())
    with pytest.raises(DataError, match=message):
        decide(queue, new(kind, **values))
    assert (queue.annotations(), queue.issue_counts(), queue.frames()) == before
    assert queue.decisions() == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("keep", {"issue_id": "nowhere"}),
        ("delete_label", {"annotation_id": "nowhere"}),
        ("add", {"frame_id": "nowhere", "label": "car", "bbox_xyxy": (1, 2, 3, 4)}),
        ("exclude_frame", {"frame_id": "nowhere"}),
        ("undo", {"undoes": "nowhere"}),
        ("undo", {}),
    ],
)
def test_unknown_ids_write_nothing(queue, new, kind, values):
    with pytest.raises(NotFoundError):
        decide(queue, new(kind, **values))
    assert queue.decisions() == []


def test_adding_a_known_label_or_excluding_twice_is_a_conflict(queue, new, make_frame):
    frame_id = make_frame(1).id
    with pytest.raises(ConflictError, match="annotation a"):
        decide(queue, new("add", frame_id=frame_id, label="car", bbox_xyxy=(1, 2, 3, 4), annotation_id="a"))
    decide(queue, new("exclude_frame", frame_id=frame_id))
    with pytest.raises(ConflictError, match="excluded already"):
        decide(queue, new("exclude_frame", frame_id=frame_id))


def test_rounding_over_the_edge_is_put_back(queue, new):
    decide(queue, new("edit", annotation_id="a", bbox_xyxy=(-1e-9, 0, 320.000001, 240)))
    assert queue.annotation("a").bbox_xyxy == (0, 0, 320, 240)


def test_an_open_class_list_takes_any_class(empty, new, make_frame, make_label):
    empty.add_frames([make_frame(0)])
    empty.add_annotations([make_label("a")], "cheap")
    decide(empty, new("relabel", annotation_id="a", label="tram"))
    with pytest.raises(DataError, match="allowed: person"):
        decide(empty, new("relabel", annotation_id="a", label="bus"), classes=["person"])


def test_the_effect_on_an_issue_names_who_stood_behind_it(queue, new):
    skip = decide(queue, new("skip", issue_id="look"))
    keep = decide(queue, new("keep", issue_id="look"))
    ids = (skip.decision.id, keep.decision.id)
    assert keep.issues == (IssueEffect("look", IssueState.SKIPPED, IssueState.DECIDED, *ids),)


def test_a_track_is_given_and_changed(queue, new, make_frame):
    decide(
        queue,
        new(
            "add",
            frame_id=make_frame(1).id,
            annotation_id="n",
            label="car",
            bbox_xyxy=(1, 2, 9, 9),
            track_id="t1",
        ),
    )
    assert queue.annotation("n").track_id == "t1"
    decide(queue, new("edit", annotation_id="n", track_id="t2"))
    assert (queue.annotation("n").track_id, queue.annotation("n").bbox_xyxy) == ("t2", (1, 2, 9, 9))
    undo_last(queue, "ann")
    assert queue.annotation("n").track_id == "t1"
    with pytest.raises(DataError, match="track id"):
        decide(queue, new("edit", annotation_id="n", track_id="t" * 65))
