import math

import pytest

from curate.annotations import IssueState, IssueType, Polygon, Proposal, ProposalKind, replace
from curate.errors import DataError, NotFoundError, StoreError
from curate.store import IssueCount, IssueSync

OPEN, SKIPPED, DECIDED, OBSOLETE = (
    IssueState.OPEN,
    IssueState.SKIPPED,
    IssueState.DECIDED,
    IssueState.OBSOLETE,
)


def _ids(page):
    return [issue.id for issue in page.issues]


def _states(store):
    return {status.issue.id: status.issue.state.value for status in store.issue_statuses()}


def test_issues_come_back_as_they_went_in(store, make_issue):
    square = Polygon(((1, 2), (3, 2), (3, 4)))
    whole = make_issue(
        "i1",
        None,
        type=IssueType.MISSING,
        bbox_xyxy=None,
        label=None,
        evidence={},
        group_id="place",
        proposal=Proposal(ProposalKind.ADD, "person", (1, 2, 3, 4), (square,)),
    )
    other = make_issue("i2", "b", 1)
    store.upsert_issues([whole, other])
    assert store.issue("i1") == whole
    assert store.issue("i2") == other
    assert store.issue_status("i2").annotation_revision == 0
    with pytest.raises(NotFoundError, match="issue nowhere"):
        store.issue("nowhere")


def test_pages_go_by_severity_then_id_and_miss_nothing(store, make_issue):
    severities = [0.5, 0.9, 0.5, 0.1, 0.5, 0.9, 0.3, 1.0, 0.0, 1 / 3]
    store.upsert_issues(make_issue(f"i{n}", severity=s, state=DECIDED) for n, s in enumerate(severities))
    expected = ["i7", "i1", "i5", "i0", "i2", "i4", "i9", "i6", "i3", "i8"]
    for limit in (1, 2, 3, 9, 10, 11):
        seen, after, pages = [], None, 0
        while True:
            page = store.issues(limit=limit, after=after)
            seen, after, pages = seen + _ids(page), page.next, pages + 1
            if after is None:
                break
        assert seen == expected
        assert pages == math.ceil(10 / limit)


def test_a_page_stays_right_while_earlier_issues_are_decided(store, make_issue):
    store.upsert_issues(make_issue(f"i{n}", severity=n / 10) for n in range(10))
    page = store.issues(limit=4)
    for issue in page.issues:
        store.set_issue_state(issue.id, DECIDED, None)
    assert _ids(store.issues(limit=4, after=page.next)) == ["i5", "i4", "i3", "i2"]


def test_filters(store, make_issue, make_frame):
    store.upsert_issues(
        [
            make_issue("i1", "a", 0, severity=0.9, group_id="g1"),
            make_issue("i2", "b", 1, severity=0.8, type=IssueType.WRONG_CLASS, label="car", group_id="g1"),
            make_issue("i3", "c", 2, severity=0.7, type=IssueType.BAD_LOCATION),
            make_issue("i4", "d", 3, severity=0.6, label=None),
        ]
    )
    store.set_issue_state("i3", SKIPPED, None)
    assert _ids(store.issues()) == ["i1", "i2", "i4"]
    assert _ids(store.issues(states=(OPEN, SKIPPED))) == ["i1", "i2", "i3", "i4"]
    assert _ids(store.issues(types=[IssueType.WRONG_CLASS, IssueType.SPURIOUS])) == ["i1", "i2", "i4"]
    assert _ids(store.issues(labels=["car", "bus"])) == ["i2"]
    assert _ids(store.issues(frame_id=make_frame(3).id)) == ["i4"]
    assert _ids(store.issues(group_id="g1")) == ["i1", "i2"]
    both = {"states": (SKIPPED, OPEN), "types": list(IssueType), "labels": ["person", "car"]}
    first = store.issues(**both, limit=2)
    assert _ids(first) == ["i1", "i2"]
    assert _ids(store.issues(**both, limit=2, after=first.next)) == ["i3"]


@pytest.mark.parametrize("bad", [{"limit": 0}, {"after": "nonsense"}])
def test_bad_pages_are_refused(store, bad):
    with pytest.raises(StoreError):
        store.issues(**bad)


def test_a_second_scan_updates_and_drops(store, make_issue):
    first = [make_issue(f"i{n}") for n in range(6)]
    assert store.upsert_issues(first) == IssueSync(6, 0, 0, 0, 0)
    assert store.upsert_issues(first) == IssueSync(0, 0, 6, 0, 0)
    store.set_issue_state("i0", DECIDED, None)
    store.set_issue_state("i1", SKIPPED, None)
    store.set_issue_state("i2", SKIPPED, None)
    # i0 is found again, i1 changed, i2 to i4 are gone, i5 is as before, i6 is new.
    second = [first[0], replace(first[1], severity=0.75), first[5], make_issue("i6")]
    assert store.upsert_issues(second) == IssueSync(new=1, updated=1, unchanged=1, decided=1, obsolete=3)
    gone = dict.fromkeys(("i2", "i3", "i4"), "obsolete")
    assert _states(store) == {"i0": "decided", "i1": "skipped", "i5": "open", "i6": "open"} | gone
    assert store.issue("i1").severity == 0.75
    # Found again: open again. Decided and not found: stays decided.
    assert store.upsert_issues([first[3]]) == IssueSync(0, 1, 0, 0, 3)
    assert _states(store)["i3"] == "open"
    assert _states(store)["i0"] == "decided"


def test_the_revision_that_the_scan_saw_is_kept(store, make_issue, make_label):
    store.append_revision(make_label("a", 0, label="car"), parent=0, actor="ann", decision_id=None)
    store.upsert_issues([make_issue("i1", "a"), make_issue("i2", "b", 1)], revisions={"a": 0})
    assert store.issue_status("i1").annotation_revision == 0
    store.upsert_issues([make_issue("i1", "a"), make_issue("i2", "b", 1)])
    assert store.issue_status("i1").annotation_revision == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"annotation_id": "nowhere"}, NotFoundError),
        ({"frame_id": "nowhere"}, NotFoundError),
        ({"severity": 1.5}, DataError),
        ({"probability": math.nan}, DataError),
        ({"evidence": {"x": math.inf}}, DataError),
        ({"id": "good"}, DataError),
    ],
)
def test_bad_issues_change_nothing(store, make_issue, changes, error):
    store.upsert_issues([make_issue("before")])
    with pytest.raises(error, match="issue"):
        store.upsert_issues([make_issue("good"), replace(make_issue("bad"), **changes)])
    assert _states(store) == {"before": "open"}


def test_filters_by_recording_and_probability(store, make_issue, make_frame):
    store.add_frames([make_frame(5, clip="evening.avi")])
    store.upsert_issues(
        make_issue(f"i{n}", frame_id=make_frame(5 if n % 2 else 0).id, probability=n / 10) for n in range(6)
    )
    assert sorted(_ids(store.issues(clip="evening.avi"))) == ["i1", "i3", "i5"]
    assert sorted(_ids(store.issues(probability=(0.2, 0.3)))) == ["i2", "i3"]
    assert _ids(store.issues(clip="evening.avi", probability=(0.4, 1))) == ["i5"]


def test_open_issues_of_groups_are_counted(store, make_issue):
    store.upsert_issues(make_issue(f"i{n}", group_id="here" if n else "there") for n in range(4))
    store.set_issue_state("i2", IssueState.SKIPPED, None)
    assert store.open_in_groups(["here", "there", "nowhere"]) == {"here": 2, "there": 1}
    assert store.open_in_groups([]) == {}


def test_counts(store, make_issue):
    missing = make_issue("i3", None, type=IssueType.MISSING, probability=0.5)
    store.upsert_issues([make_issue("i1"), make_issue("i2"), missing])
    store.set_issue_state("i2", SKIPPED, None)
    assert store.issue_counts() == [
        IssueCount(IssueType.MISSING, OPEN, 1, 0.5),
        IssueCount(IssueType.SPURIOUS, OPEN, 1, 0.25),
        IssueCount(IssueType.SPURIOUS, SKIPPED, 1, 0.25),
    ]
    with pytest.raises(NotFoundError):
        store.set_issue_state("nowhere", OPEN, None)


def test_the_queue_is_walked_along_an_index(tmp_path):
    """Whatever the number of issues, a page reads as many rows as it shows: no sort, no full scan."""
    import sqlalchemy as sa

    from curate.store import Store, schema

    with Store.open(tmp_path / "x.db") as store, store.begin() as connection:
        table = schema.issues
        wheres = {
            "ix_issues_rank": [table.c.state == "open"],
            "ix_issues_type": [table.c.state == "open", table.c.type == "missing"],
            "ix_issues_label": [table.c.state == "open", table.c.label == "person"],
            "ix_issues_frame": [table.c.state == "open", table.c.frame_id == "f"],
            "ix_issues_group": [table.c.state == "open", table.c.group_id == "g"],
        }
        for index, where in wheres.items():
            query = sa.select(table).where(*where, table.c.severity < 0.5)
            query = query.order_by(table.c.severity.desc(), table.c.id).limit(100)
            text = query.compile(connection, compile_kwargs={"literal_binds": True})
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
            assert len(plan) == 1
            assert index in plan[0]


def test_a_new_order_touches_what_waits_and_nothing_else(store, make_issue):
    store.upsert_issues(
        make_issue(f"i{n}", severity=0.5, probability=0.4, evidence={"low": 0.25}) for n in range(3)
    )
    store.upsert_issues([make_issue("i1", severity=0.5, probability=0.4), make_issue("i2", severity=0.5)])
    assert [issue.id for issue in store.waiting_issues()] == ["i1", "i2"]
    first = store.waiting_issues()[0]
    assert (first.type, first.probability, first.severity) == (store.issue("i1").type, 0.4, 0.5)
    assert first.evidence == store.issue("i1").evidence
    assert store.rank_issues({"i0": (0.9, 0.9), "i2": (0.8, 0.7), "gone": (1.0, 1.0)}) == 1
    assert _ids(store.issues()) == ["i2", "i1"]
    assert store.issue("i2") == replace(store.issue("i1"), id="i2", probability=0.8, severity=0.7)
    assert store.issue("i0").severity == 0.5
    assert sum(count.expected for count in store.issue_counts() if count.state is OPEN) == pytest.approx(1.2)
    assert store.rank_issues({}) == 0
    again = [make_issue("i1", severity=0.5, probability=0.4), make_issue("i2", severity=0.5)]
    assert store.upsert_issues(again).updated == 1  # A scan takes its own rank back.
    assert store.issue("i2").severity == 0.5


def test_rows_for_the_filters_hold_what_the_issues_say(store, make_issue):
    placed = make_issue("i0", severity=0.5, probability=0.4)
    frame = replace(
        make_issue("i1", severity=0.2),
        type=IssueType.BAD_FRAME,
        annotation_id=None,
        bbox_xyxy=None,
        label=None,
    )
    store.upsert_issues([placed, frame])
    rows = {row.id: row for row in store.issue_rows()}
    clip = store.frame(placed.frame_id).clip
    assert rows["i0"] == (
        "i0",
        0.5,
        0.4,
        placed.type.value,
        placed.label,
        clip,
        placed.annotation_id,
        placed.bbox_xyxy,
    )
    assert rows["i1"][5:] == (clip, None, None)
    store.upsert_issues([frame])
    assert [row.id for row in store.issue_rows()] == ["i1"], "what no longer stands is not among them"


def test_statuses_by_id_keep_to_the_states(store, make_issue):
    store.upsert_issues(make_issue(f"i{n}", severity=0.1 * n) for n in range(4))
    store.set_issue_state("i2", IssueState.SKIPPED, None)
    found = store.issue_statuses(["i1", "i2", "i3"], states=(OPEN,))
    assert [status.issue.id for status in found] == ["i3", "i1"]
