import threading

import pytest

from curate.errors import ConflictError, NotFoundError, StoreError
from curate.store import JobState


def test_a_job_from_queue_to_end(empty):
    job = empty.create_job("retrain", {"seed": 1})
    assert (job.state, job.params, job.progress) == (JobState.QUEUED, {"seed": 1}, 0.0)
    claimed = empty.claim_job(pid=42)
    assert (claimed.id, claimed.state, claimed.pid) == (job.id, JobState.RUNNING, 42)
    assert empty.claim_job(pid=43) is None
    assert empty.heartbeat_job(job.id, progress=0.5, message="epoch 3", eta=12.0) is False
    running = empty.job(job.id)
    assert (running.progress, running.message, running.eta) == (0.5, "epoch 3", 12.0)
    empty.heartbeat_job(job.id)
    assert empty.job(job.id).message == "epoch 3"
    done = empty.finish_job(job.id, JobState.DONE, result={"run": "r1"})
    assert (done.state, done.progress, done.result, done.eta) == (JobState.DONE, 1.0, {"run": "r1"}, None)
    with pytest.raises(ConflictError, match="done"):
        empty.heartbeat_job(job.id)
    with pytest.raises(ConflictError, match="done"):
        empty.finish_job(job.id, JobState.FAILED)


def test_claiming_goes_by_age_kind_and_id(empty):
    scan, retrain, tune = (empty.create_job(kind) for kind in ("scan", "retrain", "tune"))
    assert empty.claim_job(kinds=["retrain", "tune"], pid=1).id == retrain.id
    assert empty.claim_job(tune.id, pid=1).id == tune.id
    assert empty.claim_job(tune.id, pid=1) is None
    assert empty.claim_job(pid=1).id == scan.id


def test_only_one_worker_gets_a_job(empty):
    jobs = {empty.create_job("scan").id for _ in range(10)}
    claimed = []

    def work(pid):
        while (job := empty.claim_job(pid=pid)) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=work, args=(pid,)) for pid in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 10
    assert set(claimed) == jobs


def test_cancelling(empty):
    queued, running = empty.create_job("scan"), empty.create_job("scan")
    assert empty.cancel_job(queued.id).state is JobState.CANCELLED
    empty.claim_job(running.id, pid=1)
    assert empty.cancel_job(running.id).state is JobState.RUNNING
    assert empty.heartbeat_job(running.id) is True
    ended = empty.finish_job(running.id, JobState.CANCELLED)
    assert empty.cancel_job(running.id) == ended


def test_a_silent_worker_is_lost_and_may_come_back(empty):
    job = empty.create_job("scan")
    empty.claim_job(pid=1)
    assert empty.mark_lost_jobs(stale_seconds=3600) == []
    assert [lost.state for lost in empty.mark_lost_jobs(stale_seconds=-1)] == [JobState.LOST]
    assert empty.mark_lost_jobs(stale_seconds=-1) == []
    empty.heartbeat_job(job.id)
    assert empty.job(job.id).state is JobState.RUNNING
    empty.mark_lost_jobs(stale_seconds=-1)
    assert empty.cancel_job(job.id).state is JobState.CANCELLED


def test_listing(empty):
    ids = [empty.create_job(kind).id for kind in ("scan", "tune")]
    empty.claim_job(ids[1], pid=1)
    assert {job.id for job in empty.jobs()} == set(ids)
    assert [job.id for job in empty.jobs(states=[JobState.RUNNING])] == [ids[1]]
    assert [job.id for job in empty.jobs(kinds=["scan"])] == [ids[0]]
    assert len(empty.jobs(limit=1)) == 1


def test_bad_calls(empty):
    job = empty.create_job("scan")
    empty.claim_job(pid=1)
    with pytest.raises(StoreError, match=r"0\.\.1"):
        empty.heartbeat_job(job.id, progress=1.5)
    with pytest.raises(StoreError, match="ends as"):
        empty.finish_job(job.id, JobState.RUNNING)
    for call in (empty.job, empty.cancel_job, empty.heartbeat_job):
        with pytest.raises(NotFoundError):
            call("nowhere")
