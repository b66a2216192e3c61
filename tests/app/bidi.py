"""Just enough of WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) to drive a stock Firefox: no driver needed."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

_KEYS = {"Space": " ", "Control": "\ue009", "Escape": "\ue00c", "ArrowRight": "\ue014", "Enter": "\ue007"}
_PREFERENCES = """\
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.startup.homepage_override.mstone", "ignore");
"""


class Firefox:
    """A headless Firefox with a fresh profile and one page."""

    def __init__(self, binary: str, profile: Path) -> None:
        profile.mkdir(parents=True)
        (profile / "user.js").write_text(_PREFERENCES)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [binary, "--headless", "--no-remote", "--profile", str(profile)]
        command += ["--remote-debugging-port", str(port), "--width=1360", "--height=860", "about:blank"]
        self._log = (profile / "output.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self._number = 0
        try:
            self._socket = self._connect(port)
            self._call("session.new", capabilities={})
            self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self._process.kill()
            self._log.close()
            raise

    def _connect(self, port: int) -> Any:
        deadline = time.monotonic() + 90
        while True:
            try:
                return connect(f"ws://127.0.0.1:{port}/session", max_size=None, open_timeout=30)
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=120))
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def goto(self, url: str) -> None:
        self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, as JSON sees it."""
        script = f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
        target = {"context": self._context}
        answer = self._call("script.evaluate", expression=script, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def wait_for(self, expression: str, seconds: float = 90) -> Any:
        """The expression's first true value."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.1)
        return value

    def press(self, keys: str) -> None:
        """Real key presses, "Control+z" style."""
        names = [_KEYS.get(name, name) for name in keys.split("+")]
        steps = [{"type": "keyDown", "value": name} for name in names]
        steps += [{"type": "keyUp", "value": name} for name in reversed(names)]
        self._act({"type": "key", "id": "keyboard", "actions": steps})

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the left button, in pixels of the window."""

        def move(x: float, y: float) -> dict[str, Any]:
            return {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 60}

        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        steps = [move(*start), {"type": "pointerDown", "button": 0}, move(*middle), move(*end)]
        self._act({"type": "pointer", "id": "mouse", "actions": [*steps, {"type": "pointerUp", "button": 0}]})

    def _act(self, source: dict[str, Any]) -> None:
        self._call("input.performActions", context=self._context, actions=[source])

    def screenshot(self, path: Path) -> None:
        answer = self._call("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(30)
        self._log.close()
