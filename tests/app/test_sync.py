"""The outbox: each operation is applied once, refused ones are told, and nothing behind a failure is lost."""

from __future__ import annotations

import sqlite3
import uuid

import pytest

from crossguard_app.presenters.sync import take_in
from curate.annotations import Decision, DecisionKind, IssueState
from curate.review import decide
from curate.workflows.coverage import covered_frames


def operation(number: int, kind: str, **fields) -> dict:
    return {"n": number, "id": uuid.uuid4().hex, "kind": kind, **fields}


def outbox(*operations: dict, client: str = "browser") -> dict:
    return {"client": client, "operations": list(operations), "at": None, "attempt": 1}


def test_a_cumulative_outbox_is_applied_once(sample) -> None:
    store, issues = sample.project.store, sample.issues
    first = operation(1, "apply", issue_id=issues[0].id)
    second = operation(2, "keep", issue_id=issues[1].id)
    assert take_in(sample.project, "ann", outbox(first)).acknowledged == 1
    again = take_in(sample.project, "ann", outbox(first, second))
    assert (again.acknowledged, again.applied, again.refused) == (2, 1, [])
    late = take_in(sample.project, "ann", outbox(first))
    assert (late.acknowledged, late.applied) == (2, 0)
    assert [record.decision.kind for record in store.decisions()] == [DecisionKind.KEEP, DecisionKind.APPLY]


def test_a_new_page_may_send_what_the_old_one_sent_already(sample) -> None:
    sent = operation(
        1,
        "add",
        frame_id=sample.issues[0].frame_id,
        annotation_id="new",
        label="person",
        bbox_xyxy=[1.0, 2.0, 30.0, 40.0],
    )
    take_in(sample.project, "ann", outbox(sent, client="old page"))
    result = take_in(sample.project, "ann", outbox(sent, client="new page"))
    assert (result.acknowledged, result.applied, result.refused) == (1, 0, [])
    assert len(sample.project.store.decisions()) == 1


def test_a_refused_operation_does_not_block_the_next(sample) -> None:
    issues = sample.issues
    decide(sample.project.store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "bob", issues[0].id))
    result = take_in(
        sample.project,
        "ann",
        outbox(
            operation(1, "apply", issue_id=issues[0].id),
            operation(2, "relabel", annotation_id="cheap-7-0", label="no such class"),
            operation(3, "nonsense"),
            operation(4, "keep", issue_id=issues[1].id),
        ),
    )
    assert result.acknowledged == 4
    assert result.applied == 1
    assert [len(entry.message) > 10 for entry in result.refused] == [True] * 3
    assert "bob decided this issue already" in result.refused[0].message


def test_ones_own_edits_are_no_conflict_but_those_of_others_are(sample) -> None:
    store = sample.project.store
    box = [30.0, 30.0, 60.0, 90.0]
    edit = operation(1, "edit", annotation_id="cheap-7-0", bbox_xyxy=box, expected_revision=0)
    stale = operation(2, "relabel", annotation_id="cheap-7-0", label="bicycle", expected_revision=0)
    assert take_in(sample.project, "ann", outbox(edit, stale)).applied == 2
    assert store.annotation("cheap-7-0").label == "bicycle"

    other = operation(1, "relabel", annotation_id="cheap-7-0", label="person", expected_revision=0)
    result = take_in(sample.project, "bob", outbox(other, client="of bob"))
    assert result.applied == 0
    assert "changed in the meantime" in result.refused[0].message


def test_a_failing_store_stops_without_acknowledging(sample, monkeypatch) -> None:
    project, issues = sample.project, sample.issues
    take_in(project, "ann", outbox(operation(1, "keep", issue_id=issues[0].id)))
    database = project.state_dir / "crossguard.db"
    monkeypatch.setattr("curate.store.engine._BUSY_SECONDS", 0.05)
    waiting = operation(2, "keep", issue_id=issues[1].id)
    project.store.close()
    reopened = type(project).open(project.root)
    blocker = sqlite3.connect(database, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        result = take_in(reopened, "ann", outbox(waiting))
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert result.acknowledged <= 1
    assert "stays in this browser" in result.trouble
    assert take_in(reopened, "ann", outbox(waiting)).applied == 1
    reopened.store.close()


def test_undo_of_an_earlier_pages_decision_says_what_is_open_again(sample) -> None:
    issue = sample.issues[3]
    take_in(sample.project, "ann", outbox(operation(1, "apply", issue_id=issue.id)))
    result = take_in(sample.project, "ann", outbox(operation(1, "undo", frame_id=""), client="next page"))
    assert result.reopened == issue.id
    assert sample.project.store.issue(issue.id).state is IssueState.OPEN


def test_nothing_sent_is_nothing_done(sample) -> None:
    assert take_in(sample.project, "ann", None).acknowledged == 0
    assert take_in(sample.project, "ann", {"client": "", "operations": [{"n": 1}]}).applied == 0


def test_a_batch_is_stored_whole_or_not_at_all(sample) -> None:
    store = sample.project.store
    whole = [
        operation(1, "relabel", annotation_id="cheap-7-0", label="bicycle", batch="one"),
        operation(2, "delete_label", annotation_id="cheap-7-1", batch="one"),
    ]
    result = take_in(sample.project, "ann", outbox(*whole))
    assert (result.acknowledged, result.applied) == (2, 2)
    torn = [
        operation(3, "relabel", annotation_id="cheap-7-0", label="person", batch="two"),
        operation(4, "delete_label", annotation_id="cheap-7-1", batch="two"),
        operation(5, "relabel", annotation_id="cheap-6-0", label="bicycle"),
    ]
    result = take_in(sample.project, "ann", outbox(*whole, *torn))
    assert (result.acknowledged, result.applied) == (5, 1)
    assert [entry.id for entry in result.refused] == [torn[0]["id"], torn[1]["id"]]
    assert [bool(entry.message) for entry in result.refused] == [False, True]
    assert store.annotation("cheap-7-0").label == "bicycle", "the first half is taken back with the second"
    assert store.annotation("cheap-6-0").label == "bicycle"


def test_a_frame_that_was_looked_at_counts_as_covered_until_that_is_taken_back(sample) -> None:
    project = sample.project
    (frame,) = [entry for entry in project.store.frames() if entry.name.endswith("012.jpg")]
    for number, name in enumerate(("cheap-12-0", "cheap-12-1"), start=1):
        take_in(project, "ann", outbox(operation(number, "delete_label", annotation_id=name)))
    assert frame.id not in covered_frames(project, "cheap")
    take_in(project, "ann", outbox(operation(3, "seen", frame_id=frame.id)))
    assert frame.id in covered_frames(project, "cheap")
    take_in(project, "ann", outbox(operation(4, "unseen", frame_id=frame.id)))
    assert frame.id not in covered_frames(project, "cheap")
    assert take_in(project, "ann", outbox(operation(5, "seen", frame_id="nowhere"))).refused


def test_a_look_at_a_frame_of_an_impossible_id_is_refused(sample) -> None:
    sent = {"client": "c", "operations": [{"n": 1, "id": "x", "kind": "seen", "frame_id": "\ud800"}]}
    result = take_in(sample.project, "ann", sent)
    assert (result.acknowledged, [refusal.id for refusal in result.refused]) == (1, ["x"])


def relabelled_by_bob(store, label: str = "cheap-1-0") -> None:
    decide(
        store, Decision(uuid.uuid4().hex, DecisionKind.RELABEL, "bob", annotation_id=label, label="bicycle")
    )


def test_a_changed_label_comes_back_with_what_was_seen_and_what_is_there(sample) -> None:
    relabelled_by_bob(sample.project.store)
    moved = operation(1, "edit", annotation_id="cheap-1-0", bbox_xyxy=[1, 1, 20, 20], expected_revision=0)
    (refusal,) = take_in(sample.project, "ann", outbox(moved)).refused
    conflict = refusal.conflict
    assert (conflict["kind"], conflict["by"], conflict["words"]) == ("label", "bob", "label changed")
    assert (conflict["theirs"]["label"], conflict["seen"]["label"]) == ("bicycle", "person")
    assert (conflict["label_id"], conflict["revision"]) == ("cheap-1-0", 1)


def test_what_is_built_on_a_refused_change_is_refused_with_it(sample) -> None:
    store = sample.project.store
    relabelled_by_bob(store)
    first = operation(1, "edit", annotation_id="cheap-1-0", bbox_xyxy=[1, 1, 20, 20], expected_revision=0)
    # By its number this one fits what bob made: revision 1.
    second = operation(
        2,
        "edit",
        annotation_id="cheap-1-0",
        bbox_xyxy=[2, 1, 21, 20],
        expected_revision=0,
        follows=first["id"],
    )
    result = take_in(sample.project, "ann", outbox(first, second))
    assert (result.applied, result.acknowledged) == (0, 2)
    assert [entry.follows for entry in result.refused] == [None, first["id"]]
    assert store.annotation("cheap-1-0").revision == 1


def test_a_change_built_on_an_own_one_expects_what_that_one_made(sample) -> None:
    store = sample.project.store
    first = operation(1, "edit", annotation_id="cheap-1-0", bbox_xyxy=[1, 1, 20, 20], expected_revision=0)
    take_in(sample.project, "ann", outbox(first))
    relabelled_by_bob(store)
    second = operation(
        2,
        "edit",
        annotation_id="cheap-1-0",
        bbox_xyxy=[2, 1, 21, 20],
        expected_revision=0,
        follows=first["id"],
    )
    (refusal,) = take_in(sample.project, "ann", outbox(first, second)).refused
    assert refusal.conflict["seen"]["bbox_xyxy"] == [1, 1, 20, 20]
    assert refusal.conflict["theirs"]["label"] == "bicycle"


def test_a_decided_issue_comes_back_with_what_was_decided(sample) -> None:
    store, issues = sample.project.store, sample.issues
    theirs = Decision("theirs", DecisionKind.APPLY, "bob", issues[3].id)
    decide(store, theirs)
    decide(store, Decision("group", DecisionKind.APPLY, "bob", issues[6].id, group=True))
    result = take_in(
        sample.project,
        "ann",
        outbox(
            operation(1, "edit", issue_id=issues[3].id, bbox_xyxy=[5, 5, 50, 90], expected_revision=0),
            operation(2, "keep", issue_id=issues[7].id, expected_revision=0),
        ),
    )
    alone, grouped = (entry.conflict for entry in result.refused)
    assert (alone["kind"], alone["verdict"], alone["undoes"]) == ("issue", "apply", "theirs")
    assert (alone["theirs"], alone["seen"]["id"]) == (None, "cheap-3-1")
    assert grouped["undoes"] is None, "one of a group is not taken back for the others"


def test_an_issue_that_somebody_holds_says_who(sample) -> None:
    sample.project.store.take_leases("bob", [sample.issues[0].id], 60)
    (refusal,) = take_in(
        sample.project, "ann", outbox(operation(1, "apply", issue_id=sample.issues[0].id))
    ).refused
    assert (refusal.conflict["kind"], refusal.conflict["by"]) == ("held", "bob")


def test_a_refusal_that_the_browser_never_heard_of_is_told_again(sample) -> None:
    relabelled_by_bob(sample.project.store)
    moved = operation(1, "edit", annotation_id="cheap-1-0", bbox_xyxy=[1, 1, 20, 20], expected_revision=0)
    kept = operation(2, "keep", issue_id=sample.issues[0].id)
    sent = outbox(moved, kept) | {"known": 0}
    first = take_in(sample.project, "ann", sent)
    assert len(first.refused) == 1
    # The server ended here: it acknowledged both, and what it refused was in its memory only.
    again = take_in(sample.project, "ann", sent)
    assert [entry.conflict["by"] for entry in again.refused] == ["bob"]
    assert (again.applied, again.acknowledged) == (0, 2)
    assert take_in(sample.project, "ann", sent, first.refused).refused == []
    assert take_in(sample.project, "ann", sent | {"known": 2}).refused == []


def test_two_people_are_shown_different_issues(sample) -> None:
    from crossguard_app.presenters.queue import queue_data
    from crossguard_app.presenters.queue_filter import QueueFilter
    from crossguard_app.presenters.sync import SyncResult
    from curate.store import Role

    def shown(name):
        data = queue_data(
            sample.project, QueueFilter(), SyncResult(), current=None, wanted=None, token="", reviewer=name
        )
        return {item["key"] for item in data["items"]}

    alone = shown("ann")
    assert sample.project.store.leases() == [], "one person needs no leases"
    sample.project.store.add_user("ann", Role.OWNER)
    sample.project.store.add_user("bob", Role.REVIEWER)
    ann, bob = shown("ann"), shown("bob")
    assert ann == alone
    assert not ann & bob


@pytest.mark.parametrize(
    "sent",
    [
        {"client": "browser", "operations": ["no object"]},
        {"client": "browser", "operations": [{"kind": "keep"}]},
        {"client": "browser", "operations": [{"n": [1]}]},
        {"client": "browser", "operations": [{"n": 2**70}]},
        {"client": "browser", "operations": {"n": 1}},
        {"client": ["browser"], "operations": []},
        {"client": "a\ud800", "operations": []},
        ["no outbox"],
    ],
)
def test_what_is_no_outbox_is_told_and_changes_nothing(sample, sent) -> None:
    result = take_in(sample.project, "ann", sent)
    assert "no list of edits" in result.trouble
    assert (result.acknowledged, sample.project.store.decisions()) == (0, [])
