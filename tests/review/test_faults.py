"""Decisions under kill -9 and from several processes at once."""

import random
import subprocess
import sys
import time

import pytest

from curate.review import decide
from curate.store import Store

DECIDER = """
import sys, uuid
from curate.annotations import Decision, DecisionKind
from curate.errors import ConflictError
from curate.review import decide
from curate.store import Store
store = Store.open(sys.argv[1])
start = store.ack(sys.argv[2])
for number in range(start + 1, start + 100_000):
    box = (1.0, 1.0, 20.0 + number % 100, 30.0)
    name = f"{sys.argv[2]}-{number}"
    decision = Decision(name, DecisionKind.EDIT, sys.argv[2], annotation_id="a", bbox_xyxy=box)
    decide(store, decision, client_id=sys.argv[2], sequence=number)
    sys.stdout.write(f"{decision.id}\\n")
    sys.stdout.flush()
"""

SHARER = """
import sys
from curate.annotations import Decision, DecisionKind
from curate.errors import ConflictError
from curate.review import decide
from curate.store import Store
store = Store.open(sys.argv[1])
for number in range(40):
    decision = Decision(f"{sys.argv[2]}-{number}", DecisionKind.KEEP, sys.argv[2], issue_id=f"i{number}")
    try:
        decide(store, decision)
    except ConflictError:
        continue
    sys.stdout.write(f"{number}\\n")
"""


@pytest.mark.fault
def test_every_acknowledged_decision_survives_kill_9(store, url):
    """A worker decides and says so; killed at random points, 20 times; what it said is there, once."""
    chance = random.Random(5)
    acknowledged = []
    for _ in range(20):
        command = [sys.executable, "-c", DECIDER, url, "tab"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            acknowledged.append(worker.stdout.readline().strip())
            time.sleep(chance.uniform(0, 0.1))
            worker.kill()
            acknowledged += [line.strip() for line in worker.stdout if line.endswith("\n")]
    records = store.decisions(limit=100_000, oldest_first=True)
    stored = [record.decision.id for record in records]
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= set(stored)
    # At most the one decision in flight when the kill came was saved without a word.
    assert len(stored) - len(acknowledged) <= 20
    assert stored == [f"tab-{number}" for number in range(1, len(stored) + 1)], "each once, none left out"
    assert store.ack("tab") == len(stored), "decision and number are one transaction"
    history = store.revisions("a")
    assert [entry.decision_id for entry in history[1:]] == [
        record.decision.id for record in records if record.effects.labels
    ]
    if url.startswith("sqlite"):
        with store.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_processes_decide_each_issue_once(store, url, make_issue):
    store.upsert_issues(make_issue(f"i{number}") for number in range(40))
    commands = [[sys.executable, "-c", SHARER, url, name] for name in ("ann", "bob", "cleo")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    decided = [int(line) for worker in workers for line in worker.communicate()[0].split()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(decided) == list(range(40)), "none lost, none decided twice"
    assert len(store.decisions(limit=1000)) == 40


def test_threads_edit_one_label_and_no_edit_is_lost(store, new):
    from threading import Thread

    def work(reviewer):
        for number in range(15):
            box = (1.0, 1.0, 10.0 + number, 20.0 + len(reviewer))
            decide(store, new("edit", annotation_id="a", bbox_xyxy=box, reviewer=reviewer))

    threads = [Thread(target=work, args=(name,)) for name in ("ann", "bo", "clara")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = store.revisions("a")
    assert len(history) == 46
    assert [entry.parent for entry in history[1:]] == list(range(45))
    with Store.open(store.where) if "://" not in store.where else store as again:
        assert again.revisions("a") == history
