"""After any decisions, undos and redos, undoing all that stands gives the labels back as they were."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from curate.annotations import (
    Annotation,
    Decision,
    DecisionKind,
    Frame,
    Issue,
    IssueState,
    IssueType,
    Polygon,
    Proposal,
    ProposalKind,
    replace,
)
from curate.errors import CurateError
from curate.review import decide, redo_last, undo_last
from curate.store import Store

LABELS = ("a", "b", "c", "d")
ISSUES = tuple(f"i{number}" for number in range(9))
KINDS = [kind for kind in DecisionKind if kind is not DecisionKind.UNDO]
reviewers = st.sampled_from(("ann", "bob"))
issues = st.sampled_from(ISSUES)
contents = st.fixed_dictionaries(
    {"label": st.sampled_from(("person", "car", "car", "bus"))},
    optional={
        "bbox_xyxy": st.sampled_from(((1.0, 1.0, 9.0, 9.0), (2.0, 2.0, 8.0, 8.0), (-5.0, 0.0, 9.0, 9.0))),
        "mask": st.sampled_from(((), (Polygon(((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))),))),
        "flags": st.sampled_from(({"ignore": True}, {"ignore": False})),
    },
)


def _fill(store):
    frames = [Frame(f"f{n}", f"{n}.jpg", "c", "v", n, n, False, 64, 48, "", "", "") for n in range(3)]
    store.set_site(("person", "car"), "cheap")
    store.add_frames(frames)
    labels = [
        Annotation(name, f"f{n % 3}", "person", (1, 1, 5, 5), score=0.5) for n, name in enumerate(LABELS)
    ]
    store.add_annotations(labels, "cheap")
    proposals = (
        Proposal(ProposalKind.DELETE_LABEL),
        Proposal(ProposalKind.EDIT, bbox_xyxy=(3, 3, 9, 9)),
        Proposal(ProposalKind.RELABEL, "car"),
    )
    found = [
        Issue(
            name,
            IssueType.SPURIOUS,
            f"f{n % 4 % 3}",
            LABELS[n % 4],
            None,
            "person",
            n / 10,
            0.5,
            "",
            {},
            proposals[n % 3],
            group_id="g" if n % 2 else None,
        )
        for n, name in enumerate(ISSUES[:-2])
    ]
    add, out = Proposal(ProposalKind.ADD, "car", (4, 4, 8, 8)), Proposal(ProposalKind.EXCLUDE_FRAME)
    for name, proposal in zip(ISSUES[-2:], (add, out), strict=True):
        found.append(replace(found[0], id=name, annotation_id=None, proposal=proposal, group_id="g"))
    store.upsert_issues(found)


def _labels(store):
    return [replace(label, revision=0) for label in store.annotations()]


def _everything(store):
    issues = [(status.issue, status.decision_id) for status in store.issue_statuses()]
    return store.annotations(), issues, store.frames(), store.decisions()


class DecideAndUndo(RuleBasedStateMachine):
    template: Path

    @initialize()
    def open(self):
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "x.db")
        self.store = Store.open(self.folder / "x.db")
        self.initial = _labels(self.store), self.store.frames()
        self.count = 0
        self.histories = {}

    def _try(self, action):
        before = _everything(self.store)
        try:
            action()
        except CurateError:
            assert _everything(self.store) == before, "a refused decision changes nothing"

    def _decide(self, kind, reviewer, **values):
        self.count += 1
        made = Decision(f"d{self.count}", kind, reviewer, **values)
        self._try(lambda: decide(self.store, made))

    @rule(
        kind=st.sampled_from(KINDS),
        reviewer=reviewers,
        issue_id=issues,
        content=contents,
        group=st.booleans(),
    )
    def decide_an_issue(self, kind, reviewer, issue_id, content, group):
        self._decide(kind, reviewer, issue_id=issue_id, group=group, **content)

    @rule(
        kind=st.sampled_from(("edit", "relabel", "delete_label")).map(DecisionKind),
        reviewer=reviewers,
        annotation_id=st.sampled_from(LABELS),
        content=contents,
        expected_revision=st.none() | st.integers(0, 3),
    )
    def change_a_label(self, kind, reviewer, annotation_id, content, expected_revision):
        values = content | {"annotation_id": annotation_id, "expected_revision": expected_revision}
        self._decide(kind, reviewer, **values)

    @rule(
        kind=st.sampled_from(("add", "exclude_frame")).map(DecisionKind),
        reviewer=reviewers,
        frame_id=st.sampled_from(("f0", "f1")),
        content=contents,
    )
    def change_a_frame(self, kind, reviewer, frame_id, content):
        self._decide(kind, reviewer, frame_id=frame_id, **content)

    @precondition(lambda self: self.count)
    @rule(reviewer=reviewers, redo=st.booleans())
    def go_back_or_forth(self, reviewer, redo):
        self._try(lambda: (redo_last if redo else undo_last)(self.store, reviewer))

    @precondition(lambda self: self.count)
    @rule(reviewer=reviewers, data=st.data())
    def undo_any(self, reviewer, data):
        known = [record.decision.id for record in self.store.decisions()]
        if known:
            self._decide(DecisionKind.UNDO, reviewer, undoes=data.draw(st.sampled_from(known)))

    @invariant()
    def history_only_grows(self):
        for name in LABELS:
            history = self.store.revisions(name)
            before = self.histories.get(name, [])
            assert history[: len(before)] == before
            self.histories[name] = history

    @invariant()
    def waiting_issues_have_their_label(self):
        labels = {label.id for label in self.store.annotations()}
        for status in self.store.issue_statuses(states=(IssueState.OPEN, IssueState.SKIPPED)):
            assert status.issue.annotation_id is None or status.issue.annotation_id in labels

    def teardown(self):
        if not hasattr(self, "store"):
            return
        standing = [
            record.decision
            for record in self.store.decisions(limit=1000)
            if record.decision.kind is not DecisionKind.UNDO and record.undone_by is None
        ]
        for number, decision in enumerate(standing):
            decide(self.store, Decision(f"last{number}", DecisionKind.UNDO, "ann", undoes=decision.id))
        assert (_labels(self.store), self.store.frames()) == self.initial
        self.store.close()
        shutil.rmtree(self.folder)


def test_undoing_everything_gives_the_labels_back(tmp_path):
    with Store.open(tmp_path / "template.db") as store:
        _fill(store)
    machine = type("Machine", (DecideAndUndo,), {"template": tmp_path / "template.db"})
    machine.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
    machine.TestCase("runTest").debug()


@pytest.mark.slow
def test_undoing_everything_gives_the_labels_back_at_length(tmp_path):
    with Store.open(tmp_path / "template.db") as store:
        _fill(store)
    machine = type("Machine", (DecideAndUndo,), {"template": tmp_path / "template.db"})
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    machine.TestCase("runTest").debug()
