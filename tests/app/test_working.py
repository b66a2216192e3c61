"""What a page waits for says how long it took the last time."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from crossguard_app.views import working


def test_what_took_long_says_so_the_next_time(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    clock = iter(range(0, 1000, 12))
    monkeypatch.setattr(working.st, "spinner", lambda text, show_time: (said.append(text), nullcontext())[1])
    monkeypatch.setattr(working.time, "monotonic", lambda: next(clock) / 2)

    def ask(name: str, stamp: str) -> str:
        return working.computed(name, str(tmp_path), stamp, "Counting", lambda _: stamp)

    assert [ask("places:run 1", "a"), ask("places:run 1", "a")] == ["a", "a"]
    assert said == ["Counting …"], "the second time it was there"
    assert ask("places:run 2", "b") == "b"
    assert said[1].startswith("Counting … about ")
    assert said[1].endswith(" s, as the last time")
    assert ask("other", "b") == "b"
    assert said[2] == "Counting …"
    # A file that is broken, or cannot be written, is no reason to show nothing.
    (kept,) = tmp_path.rglob("page-seconds.json")
    for content in ("{", "[1]", '{"places": "long"}'):
        kept.write_text(content, encoding="utf-8")
        assert ask("places:run 1", content) == content
    assert said[3:] == ["Counting …"] * 3
