"""Erasing frames, on both databases."""

from curate.annotations import Decision, DecisionKind
from curate.review import decide, undo_last
from curate.store import Store


def test_a_frame_goes_with_everything_on_it(store, make_frame, make_issue):
    first, second = make_frame(0).id, make_frame(1).id
    store.add_frames([make_frame(0, name="alias.jpg")])
    store.upsert_issues([make_issue("i0", "a", 0, group_id="g"), make_issue("i1", "b", 1, group_id="g")])
    decide(store, Decision("d1", DecisionKind.KEEP, "ann", issue_id="i0", group=True, note="secret"))
    box = (1, 1, 9, 9)
    decide(store, Decision("d2", DecisionKind.ADD, "ann", frame_id=first, label="car", bbox_xyxy=box))
    decide(store, Decision("d3", DecisionKind.EDIT, "ann", annotation_id="b", bbox_xyxy=box))
    store.take_leases("ann", ["i0"], 60)
    erased = store.erase_frames([first, "f" * 32], reason="request 1", versions={first: ["v1"]})
    store.vacuum()
    assert (erased.frames, erased.labels, erased.issues, erased.decisions) == (1, 3, 1, 2)
    assert store.frames(ids=[first]) == []
    assert store.frame_ids_by_name(["alias.jpg", make_frame(1).name]) == {make_frame(1).name: second}
    assert [label.id for label in store.annotations(frame_ids=[first, second])] == ["b"]
    assert store.tombstones("frame") == {first}
    assert store.tombstones("label") >= {"a", "g"}
    assert store.buried_versions() == {"v1": (first,)}
    kept = store.decision("d1")
    assert (kept.decision.issue_id, kept.decision.note) == (None, "")
    assert [effect.issue_id for effect in kept.effects.issues] == ["i1"]
    assert store.decision("d2").decision.bbox_xyxy is None
    assert store.decision("d3").decision.bbox_xyxy == box
    assert store.check_database() == []
    undo_last(store, "ann")
    assert store.check_database() == []
    assert store.erase_frames([first], reason="again").frames == 0


def test_counts_follow_every_change(store, make_issue):
    """What is kept beside the rows is what counting them gives, whatever happened."""
    store.upsert_issues(make_issue(f"i{number}", name, 0) for number, name in enumerate("abcd"))
    decide(store, Decision("d1", DecisionKind.KEEP, "ann", issue_id="i0"))
    decide(store, Decision("d2", DecisionKind.APPLY, "ann", issue_id="i1"))
    decide(store, Decision("d3", DecisionKind.SKIP, "ann", issue_id="i2"))
    assert store.check_database() == []
    store.upsert_issues([make_issue("i2", "c", 0), make_issue("i9", "d", 1)])
    undo_last(store, "ann")
    assert store.check_database() == []
    before = store.issue_counts()
    store.recount()
    assert store.issue_counts() == before


def test_a_vacuum_that_somebody_holds_up_says_so(store, url, make_frame):
    with Store.open(url) as other, other.reading():
        assert len(other.frames()) == 4
        store.erase_frames([make_frame(0).id], reason="request 1")
        assert "curate purge --finish" in store.vacuum(wait=0.1)
        assert len(other.frames()) == 4, "who reads goes on"
    assert store.vacuum() == ""
