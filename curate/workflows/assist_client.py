"""The server's side of the editor's helper process (`assist_worker`): started at first use, again when it dies."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Any

from curate.errors import DataError, ModelError
from curate.workflows.project import Project

__all__ = ["BUNDLED", "AssistClient"]

BUNDLED = "bundled"
"""Name of the bundled detector where a run is asked for."""


class AssistClient:
    """Sends requests and hands out futures of their answers. Safe to use from any thread.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._process: subprocess.Popen[str] | None = None

    def request(self, operation: str, **fields: Any) -> Future[dict[str, Any]]:
        """Ask for something; see `AssistWorker` for operations and fields.

        Returns:
            A future of the result. It raises `DataError` for what the worker refuses, `ModelError` when the
            worker dies.
        """
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            process = self._running()
            number = next(self._numbers)
            self._waiting[number] = future
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps({"id": number, "op": operation, **fields}) + "\n")
                process.stdin.flush()
            except OSError:
                self._waiting.pop(number)
                future.set_exception(_died())
        return future

    def close(self) -> None:
        """End the process; what was asked for and is not answered fails."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _hang_up(process)
            process.wait(10)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None:
            if self._process.poll() is None:
                return self._process
            _hang_up(self._process)
        with (self._project.logs_dir / "assist.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "curate.workflows.assist_worker", str(self._project.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return self._process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                answer = json.loads(line)
                with self._lock:
                    future = self._waiting.pop(answer["id"], None)
                if future is None or not future.set_running_or_notify_cancel():
                    continue
                if "error" in answer:
                    future.set_exception(DataError(answer["error"], hint=answer["hint"]))
                else:
                    future.set_result(answer["result"])
        with self._lock:
            # A process started since has its own requests; these numbers can only be of this one.
            left = [] if self._process not in (process, None) else list(self._waiting.values())
            if left:
                self._waiting.clear()
        for future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(_died())


def _hang_up(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # a pipe that is broken already
        process.stdin.close()


def _died() -> ModelError:
    return ModelError("the helper process ended", hint="try again: it is started anew; see logs/assist.log")
