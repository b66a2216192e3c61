import threading

import pytest

from curate.annotations import Decision, DecisionKind, IssueState, Polygon
from curate.errors import NotFoundError, StoreError
from curate.store import DecisionEffects, FrameEffect, IssueEffect, LabelEffect

EFFECTS = DecisionEffects(
    labels=(LabelEffect("a", 0, 1, False), LabelEffect("n", None, 0, False)),
    issues=(IssueEffect("i", IssueState.OPEN, IssueState.DECIDED, None, "d1"),),
    frames=(FrameEffect("f", False, True),),
    left_open=("j",),
)


def _decision(number, reviewer="ann", **changes):
    return Decision(f"d{number}", DecisionKind.KEEP, reviewer, created_at=100.0 + number, **changes)


def test_decisions_come_back_as_they_went_in(store):
    square = Polygon(((1.0, 2.0), (3.0, 2.0), (3.0, 4.0)))
    made = _decision(1, bbox_xyxy=(1, 2, 3, 4), mask=(square,), flags={"ignore": True}, group=True, note="Ä")
    record = store.add_decision(made, EFFECTS)
    assert store.decision("d1") == record
    assert record.decision == made
    assert record.effects == EFFECTS
    assert store.find_decision("d2") is None
    with pytest.raises(NotFoundError, match="decision d2"):
        store.decision("d2")


def test_listing(store):
    for number in range(1, 7):
        store.add_decision(_decision(number, "ann" if number % 2 else "bob"), DecisionEffects())

    def ids(**filters):
        return [int(record.decision.id[1:]) for record in store.decisions(**filters)]

    assert store.decision_times(2, "bob") == [106.0, 104.0]
    assert store.decision_times(9) == [106.0, 105.0, 104.0, 103.0, 102.0, 101.0]
    assert ids() == [6, 5, 4, 3, 2, 1]
    assert ids(limit=2) == [6, 5]
    assert ids(limit=2, after=store.decision("d5").sequence) == [4, 3]
    assert ids(reviewer="bob") == [6, 4, 2]
    assert ids(since=104.0) == [6, 5, 4]
    assert ids(oldest_first=True, limit=2, after=store.decision("d2").sequence) == [3, 4]
    with pytest.raises(StoreError):
        store.decisions(limit=0)


def test_last_standing_decision_passes_over_undone_ones(store):
    assert store.last_standing_decision("ann") is None
    for number in (1, 2):
        store.add_decision(_decision(number), DecisionEffects())
    store.add_decision(_decision(3, "bob"), DecisionEffects())
    store.add_decision(
        Decision("u", DecisionKind.UNDO, "ann", undoes="d2", created_at=1.0), DecisionEffects()
    )
    store.set_undone("d2", "u")
    assert store.last_standing_decision("ann").decision.id == "d1"
    assert store.decision("d2").undone_by == "u"
    with pytest.raises(NotFoundError):
        store.set_undone("nowhere", None)


def test_acknowledgements_only_rise(store):
    assert store.ack("tab") == 0
    assert store.set_ack("tab", 7) == 7
    assert store.set_ack("tab", 3) == 7
    assert store.set_ack("other", 1) == 1
    assert (store.ack("tab"), store.ack("other")) == (7, 1)
    with pytest.raises(StoreError):
        store.set_ack("tab", -1)


def test_a_failed_transaction_leaves_nothing(store):
    def fail():
        with store.begin():
            store.set_ack("tab", 7)
            store.add_decision(_decision(1), EFFECTS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.ack("tab") == 0
    assert store.find_decision("d1") is None


def test_a_failed_step_inside_leaves_the_rest(store):
    def fail():
        with store.begin():
            store.set_ack("tab", 2)
            raise RuntimeError

    with store.begin():
        store.set_ack("tab", 1)
        with pytest.raises(RuntimeError):
            fail()
        assert store.ack("tab") == 1
    assert store.ack("tab") == 1


def test_a_reader_beside_a_writer_sees_what_was_saved(store):
    seen = []
    with store.begin():
        store.set_ack("tab", 1)
        reader = threading.Thread(target=lambda: seen.append(store.ack("tab")))
        reader.start()
        reader.join(20)
    assert seen == [0]


def test_threads_share_a_store(store):
    def work(name):
        for number in range(1, 21):
            store.set_ack(name, number)
            with store.begin():
                store.set_ack("all", store.ack("all") + 1)

    threads = [threading.Thread(target=work, args=(f"tab {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.ack(f"tab {number}") for number in range(4)] == [20] * 4
    assert store.ack("all") == 80, "read and write in one transaction: nothing in between"
