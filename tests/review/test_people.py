"""Several reviewers: leases, roles, both versions of a label, second opinions."""

import subprocess
import sys

import pytest

from curate.annotations import DecisionKind, IssueState, IssueType, Proposal, ProposalKind
from curate.errors import AccessError, ConflictError, DataError, NotFoundError
from curate.review import (
    LabelChanged,
    agreement,
    agreement_by_pair,
    claim_issues,
    decide,
    give_opinion,
    release_issues,
    reviewer_stats,
    second_queue,
    undo_last,
)
from curate.store import Role, Store


def _ids(page):
    return [issue.id for issue in page.issues]


@pytest.fixture
def many(store, make_issue):
    store.upsert_issues(make_issue(f"i{number:03d}", severity=1 - number / 1000) for number in range(60))
    return store


def test_two_reviewers_never_hold_the_same_issue(many):
    ann = claim_issues(many, "ann", limit=5)
    bob = claim_issues(many, "bob", limit=5)
    assert _ids(ann) == [f"i{number:03d}" for number in range(5)]
    assert _ids(bob) == [f"i{number:03d}" for number in range(5, 10)]
    assert _ids(claim_issues(many, "ann", limit=5)) == _ids(ann), "asking again prolongs"
    assert {lease.reviewer for lease in many.leases()} == {"ann", "bob"}
    assert release_issues(many, "ann", ["i000"]) == 1
    assert _ids(claim_issues(many, "bob", limit=6))[0] == "i000"
    assert release_issues(many, "ann") == 4
    assert many.leases("ann") == []


def test_a_long_queue_is_walked_past_what_others_hold(many):
    claim_issues(many, "ann", limit=59)
    page = claim_issues(many, "bob", limit=5)
    assert (_ids(page), page.next) == (["i059"], None)


def test_filters_hold_for_claims(many, make_issue):
    page = claim_issues(many, "ann", types=[IssueType.MISSING])
    assert page.issues == ()
    assert len(claim_issues(many, "ann", types=[IssueType.SPURIOUS], labels=["person"], limit=3).issues) == 3


def test_an_issue_that_somebody_holds_is_not_decided_by_another(many, new):
    claim_issues(many, "ann", limit=2)
    with pytest.raises(ConflictError, match=r"issue i000: ann is looking at this issue, until"):
        decide(many, new("keep", issue_id="i000", reviewer="bob"))
    decide(many, new("keep", issue_id="i000", reviewer="ann"))
    assert [lease.issue_id for lease in many.leases()] == ["i001"], "a decision ends the lease"
    undo_last(many, "ann")
    assert _ids(claim_issues(many, "bob", limit=1)) == ["i000"]


def test_leases_run_out(many, new, monkeypatch):
    claim_issues(many, "ann", limit=3, seconds=60)
    now = __import__("time").time()
    monkeypatch.setattr("curate.store.leases.time.time", lambda: now + 61)
    assert many.leases() == []
    assert _ids(claim_issues(many, "bob", limit=1)) == ["i000"]
    with pytest.raises(ConflictError, match="bob is looking"):
        decide(many, new("keep", issue_id="i000", reviewer="ann"))


def test_a_group_leaves_out_what_others_hold(queue, new):
    queue.take_leases("bob", ["g1"], 60)
    outcome = decide(queue, new("delete_label", issue_id="g0", group=True))
    assert outcome.left_open == ("g1",)
    assert queue.issue("g1").state is IssueState.OPEN
    assert queue.issue("g2").state is IssueState.DECIDED


CLAIMER = """
import sys
from curate.annotations import Decision, DecisionKind
from curate.review import claim_issues, decide
from curate.store import Store
store = Store.open(sys.argv[1])
while page := claim_issues(store, sys.argv[2], limit=3).issues:
    for issue in page:
        decide(store, Decision(f"{sys.argv[2]}-{issue.id}", DecisionKind.KEEP, sys.argv[2], issue_id=issue.id))
        sys.stdout.write(f"{issue.id}\\n")
"""


def test_processes_share_a_queue_without_a_conflict(many, url):
    commands = [[sys.executable, "-c", CLAIMER, url, name] for name in ("ann", "bob", "cleo")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    decided = [line for worker in workers for line in worker.communicate()[0].split()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(decided) == [f"i{number:03d}" for number in range(60)]


def test_both_versions_come_with_the_conflict(store, new):
    decide(store, new("relabel", annotation_id="a", label="car", reviewer="bob"))
    mine = new("edit", annotation_id="a", bbox_xyxy=(1, 1, 50, 50), expected_revision=0)
    with pytest.raises(LabelChanged, match="changed in the meantime") as caught:
        decide(store, mine)
    conflict = caught.value
    assert (conflict.seen.label, conflict.seen.revision) == ("person", 0)
    assert (conflict.theirs.annotation.label, conflict.theirs.actor) == ("car", "bob")
    shown = conflict.to_dict()
    assert shown["yours"]["bbox_xyxy"] == [1.0, 1.0, 50.0, 50.0]
    assert (shown["seen"]["label"], shown["theirs"]["label"], shown["by"]) == ("person", "car", "bob")
    assert (shown["deleted"], shown["at"] > 0) == (False, True)
    assert store.annotation("a").revision == 1, "nothing was saved"
    agreed = new("edit", annotation_id="a", bbox_xyxy=(1, 1, 50, 50), expected_revision=1)
    assert decide(store, agreed).labels[0].after == 2
    assert store.annotation("a").label == "car", "both changes are in it"


def test_a_deleted_label_is_told_as_deleted(queue, new):
    decide(queue, new("delete_label", annotation_id="d", reviewer="bob"))
    with pytest.raises(LabelChanged) as caught:
        decide(queue, new("relabel", annotation_id="d", label="car", expected_revision=0))
    assert caught.value.to_dict()["deleted"]


def test_roles(many, new):
    assert many.role_of("anybody") is Role.OWNER, "without users the folder's owner is the project's"
    many.add_user("ann", Role.OWNER)
    many.add_user("bob", Role.REVIEWER)
    many.add_user("eve", Role.VIEWER)
    decide(many, new("keep", issue_id="i000", reviewer="bob"))
    for name, message in (
        ("eve", "needs the role reviewer, yours is viewer"),
        ("mallory", "not a user of this"),
    ):
        with pytest.raises(AccessError, match=message):
            decide(many, new("keep", issue_id="i001", reviewer=name))
        with pytest.raises(AccessError):
            claim_issues(many, name)
    many.set_role("eve", Role.REVIEWER)
    decide(many, new("keep", issue_id="i001", reviewer="eve"))
    many.remove_user("bob")
    with pytest.raises(AccessError):
        decide(many, new("keep", issue_id="i002", reviewer="bob"))
    assert [(user.name, user.role, user.active) for user in many.users()] == [
        ("ann", Role.OWNER, True),
        ("bob", Role.REVIEWER, False),
        ("eve", Role.REVIEWER, True),
    ]
    many.add_user("bob", Role.VIEWER)
    assert many.role_of("bob") is Role.VIEWER


def test_there_is_always_an_owner(store):
    with pytest.raises(ConflictError, match="first user has to be an owner"):
        store.add_user("bob", Role.REVIEWER)
    store.add_user("ann", Role.OWNER)
    for change in (lambda: store.remove_user("ann"), lambda: store.set_role("ann", Role.VIEWER)):
        with pytest.raises(ConflictError, match="last owner"):
            change()
    with pytest.raises(ConflictError, match="there is a user"):
        store.add_user("ann", Role.OWNER)
    with pytest.raises(NotFoundError):
        store.set_role("nobody", Role.VIEWER)
    for name in ("", " ann", "a\nb", "x" * 65):
        with pytest.raises(DataError):
            store.add_user(name, Role.VIEWER)


def test_every_change_is_in_the_log(many, new):
    with many.acting("ann"):
        many.add_user("ann", Role.OWNER, "hash")
        many.add_user("bob", Role.REVIEWER)
        many.set_role("bob", Role.VIEWER)
        many.set_role("bob", Role.REVIEWER)
    decide(many, new("keep", issue_id="i000", reviewer="bob"))
    newest = many.audit_log(1)[0]
    assert (newest.actor, newest.action, newest.item) == ("bob", "decision.keep", "i000")
    roles = [(entry.actor, entry.action, entry.detail.get("role")) for entry in many.audit_log(item="bob")]
    assert roles == [
        ("ann", "user.role", "reviewer"),
        ("ann", "user.role", "viewer"),
        ("ann", "user.add", "reviewer"),
    ]
    assert "hash" not in str(many.audit_log(100))
    assert many.broken_audit() is None
    first = many.audit_log(2, oldest_first=True)
    assert [entry.sequence for entry in many.audit_log(2, after=first[1].sequence, oldest_first=True)] == [
        3,
        4,
    ]


def test_a_change_that_fails_is_not_in_the_log(store, new):
    before = len(store.audit_log(1000))
    with pytest.raises(ConflictError):
        decide(store, new("relabel", annotation_id="a", label="car", expected_revision=7))
    assert len(store.audit_log(1000)) == before


def test_second_opinions_and_agreement(many, new):
    for number in range(7):
        kind = "keep" if number < 6 else "apply"
        decide(many, new(kind, issue_id=f"i{number:03d}", reviewer="ann"))
    assert second_queue(many, "ann", share=1.0) == [], "nobody judges their own decisions again"
    wanted = second_queue(many, "bob", share=1.0)
    assert {issue.state for issue in wanted} == {IssueState.OPEN}, "blind"
    # Deleting the label made the rest of its issues obsolete; what was decided stays decided.
    assert [issue.id for issue in wanted] == [f"i{number:03d}" for number in range(7)]
    for issue in wanted:
        kind = DecisionKind.DELETE_LABEL if issue.id in ("i000", "i006") else DecisionKind.KEEP
        give_opinion(many, issue.id, "bob", kind)
    result = agreement(many)
    assert (result.issues, result.same_verdict, result.same_side) == (
        7,
        pytest.approx(6 / 7),
        pytest.approx(6 / 7),
    )
    # observed 6/7; chance: 6/7 * 5/7 + 1/7 * 2/7 = 32/49; kappa (42 - 32) / (49 - 32)
    assert result.kappa == pytest.approx(10 / 17)
    assert second_queue(many, "bob", share=1.0) == []
    ann, bob = reviewer_stats(many)
    assert (ann.reviewer, ann.decisions, ann.kept, ann.corrected) == ("ann", 7, 6, 1)
    assert (bob.reviewer, bob.decisions, bob.opinions) == ("bob", 0, 7)
    assert bob.agreement == ann.agreement == pytest.approx(6 / 7)
    give_opinion(many, "i000", "cleo", DecisionKind.KEEP)
    pairs = agreement_by_pair(many)
    assert {pair: entry.issues for pair, entry in pairs.items()} == {("ann", "bob"): 7, ("ann", "cleo"): 1}
    assert pairs["ann", "bob"] == result
    assert agreement(many).issues == 8


def test_classes_and_boxes_of_two_people(store, make_issue, new):
    drawn, proposed = (10.0, 20.0, 30.0, 60.0), (10.0, 20.0, 30.0, 40.0)
    kinds = {
        "relabel": (IssueType.WRONG_CLASS, Proposal(ProposalKind.RELABEL, "car")),
        "shape": (IssueType.BAD_LOCATION, Proposal(ProposalKind.EDIT, None, proposed)),
        "gap": (IssueType.MISSING, Proposal(ProposalKind.ADD, "car", proposed)),
        "gone": (IssueType.SPURIOUS, Proposal(ProposalKind.DELETE_LABEL)),
    }
    store.upsert_issues(
        make_issue(name, type=kind, label="person", bbox_xyxy=drawn, proposal=proposal,
                   annotation_id=None if name == "gap" else "abcd"[number])
        for number, (name, (kind, proposal)) in enumerate(kinds.items())
    )  # fmt: skip
    decide(store, new("apply", issue_id="relabel", reviewer="zoe"))
    give_opinion(store, "relabel", "ann", DecisionKind.KEEP)
    decide(store, new("edit", issue_id="shape", reviewer="zoe", bbox_xyxy=drawn))
    give_opinion(store, "shape", "ann", DecisionKind.APPLY)
    decide(store, new("keep", issue_id="gap", reviewer="zoe"))
    give_opinion(store, "gap", "ann", DecisionKind.APPLY)
    decide(store, new("apply", issue_id="gone", reviewer="zoe"))
    give_opinion(store, "gone", "ann", DecisionKind.EDIT)
    (pair,) = agreement_by_pair(store).items()
    assert pair[0] == ("ann", "zoe"), "by name, whoever was first"
    assert set(pair[1].classes) == {
        ("person", "car", 1), ("person", "person", 1), ("car", "nothing", 1), ("person", "nothing", 1),
    }  # fmt: skip
    # zoe drew the whole box, ann would have taken the half; the relabelled one both leave as it is.
    assert (pair[1].shapes, pair[1].mean_iou) == (2, pytest.approx(0.75))
    assert {(one, other) for one, other, _ in agreement(store).classes} == {
        ("car", "person"), ("person", "person"), ("nothing", "car"), ("nothing", "person"),
    }  # fmt: skip


def test_the_share_is_the_same_for_everybody(many, new):
    for number in range(60):
        decide(many, new("keep", issue_id=f"i{number:03d}", reviewer="ann"))
    bob = [issue.id for issue in second_queue(many, "bob", share=0.3, limit=100)]
    assert bob == [issue.id for issue in second_queue(many, "cleo", share=0.3, limit=100)]
    assert 6 <= len(bob) <= 30
    assert second_queue(many, "bob", share=0.0) == []
    with pytest.raises(DataError):
        second_queue(many, "bob", share=1.5)


def test_opinions_that_are_none(many, new):
    with pytest.raises(ConflictError, match="not decided"):
        give_opinion(many, "i000", "bob", DecisionKind.KEEP)
    decide(many, new("keep", issue_id="i000", reviewer="ann"))
    with pytest.raises(ConflictError, match="your own"):
        give_opinion(many, "i000", "ann", DecisionKind.KEEP)
    for kind in (DecisionKind.SKIP, DecisionKind.UNDO, DecisionKind.RELABEL):
        with pytest.raises(DataError):
            give_opinion(many, "i000", "bob", kind)
    give_opinion(many, "i000", "bob", DecisionKind.RELABEL, "car")
    with pytest.raises(ConflictError, match="already"):
        give_opinion(many, "i000", "bob", DecisionKind.KEEP)
    assert agreement(many).kappa == 0.0


def test_an_undone_decision_does_not_count_for_agreement(many, new):
    decide(many, new("keep", issue_id="i000", reviewer="ann"))
    give_opinion(many, "i000", "bob", DecisionKind.KEEP)
    assert agreement(many).kappa is None, "both always said the same one thing"
    undo_last(many, "ann")
    assert agreement(many).issues == 0
    with Store.open(many.where) if "://" not in many.where else many as again:
        assert len(again.opinions()) == 1
