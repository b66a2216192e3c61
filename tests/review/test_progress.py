import pytest

from curate.annotations import IssueType
from curate.review import decide, expected_errors, review_progress, undo_last


def test_an_empty_queue(store):
    progress = review_progress(store)
    assert progress.types == ()
    assert (progress.open, progress.precision, progress.seconds_per_decision) == (0, None, None)
    assert expected_errors(store) == 0


def test_found_and_false_alarms_by_type(queue, new):
    decide(queue, new("apply", issue_id="g0", group=True))
    decide(queue, new("keep", issue_id="look"))
    decide(queue, new("skip", issue_id="frame"))
    decide(queue, new("keep", issue_id="add"))
    undo_last(queue, "ann")
    progress = review_progress(queue)
    spurious = {entry.type: entry for entry in progress.types}[IssueType.SPURIOUS]
    # Found: g0 to g2. False alarm: look. Gone with their labels: delete, mask, relabel. Put off: frame.
    assert (spurious.corrected, spurious.kept, spurious.precision) == (3, 1, 0.75)
    assert (spurious.open, spurious.skipped, spurious.obsolete) == (0, 1, 3)
    assert (progress.open, progress.corrected, progress.kept, progress.precision) == (1, 3, 1, 0.75)
    assert progress.expected == pytest.approx(0.25)


def test_expected_errors_of_the_next_items(store, make_issue):
    store.upsert_issues(make_issue(f"i{n}", severity=n / 10, probability=n / 10) for n in range(10))
    assert expected_errors(store, 2) == pytest.approx(1.7)
    assert review_progress(store).expected == pytest.approx(4.5)


def test_pace_leaves_pauses_out(queue, new):
    for number, second in enumerate((0, 4, 10, 1000, 1004)):
        decide(queue, new("keep", annotation_id="a", created_at=1e6 + second, reviewer=f"r{number % 1}"))
    decide(queue, new("keep", annotation_id="a", created_at=1e6 + 1005, reviewer="bob"))
    assert review_progress(queue, "r0").seconds_per_decision == pytest.approx(14 / 3)
    assert review_progress(queue, "bob").seconds_per_decision is None
