"""A full disk while TensorBoard's thread writes ends in one error, without the thread's traceback."""

import errno
import threading

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from curate.detectors.config import Progress
from curate.detectors.logs import RunLog


@pytest.fixture
def told(monkeypatch):
    """What threads raise and nobody catches."""
    found = []
    monkeypatch.setattr(threading, "excepthook", found.append)
    return found


@pytest.mark.parametrize("writes", [0, 1], ids=["from the first event", "after some"])
def test_what_the_writing_thread_raises_is_raised_once(tmp_path, monkeypatch, told, writes):
    real, left = RecordWriter.write, [writes]

    def full(writer, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(writer, data)

    monkeypatch.setattr(RecordWriter, "write", full)
    before = set(threading.enumerate())
    step = Progress(step=1, steps=2, losses={"box": 0.5}, learning_rate=0.1, seconds=1.0, eta_seconds=1.0)
    with pytest.raises(OSError, match="No space"), RunLog(tmp_path, 0) as log:  # noqa: PT012
        while True:
            log.write(step)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert told == []


def test_what_other_threads_raise_is_told_as_ever(tmp_path, told):
    with RunLog(tmp_path, 0):
        other = threading.Thread(target=lambda: [][0])
        other.start()
        other.join()
    assert [failed.exc_type for failed in told] == [IndexError]
