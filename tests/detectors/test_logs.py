"""A full disk while TensorBoard's thread writes ends in one error, without the thread's traceback."""

import errno
import threading

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from curate.detectors.config import Progress
from curate.detectors.logs import RunLog


def test_what_the_writing_thread_raises_is_raised_once(tmp_path, monkeypatch, capfd):
    hook = threading.excepthook
    step = Progress(step=1, steps=2, losses={"box": 0.5}, learning_rate=0.1, seconds=1.0, eta_seconds=1.0)
    with pytest.raises(OSError, match="No space"), RunLog(tmp_path, 0) as log:  # noqa: PT012

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(RecordWriter, "write", full)
        while True:
            log.write(step)
    assert "Traceback" not in capfd.readouterr().err
    assert threading.excepthook is hook


def test_what_other_threads_raise_is_told_as_ever(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    with RunLog(tmp_path, 0):
        other = threading.Thread(target=lambda: [][0])
        other.start()
        other.join()
    assert [failed.exc_type for failed in told] == [IndexError]
