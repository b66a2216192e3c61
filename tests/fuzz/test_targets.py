"""Every importer, site.yaml, decisions and the component's operations under changed and random bytes, bounded.

Each ends in a result or in one clear error (see targets.py). The long runs are those of run.py; docs/reliability.md.
"""

from __future__ import annotations

import json
import random

import pytest
from crossguard_fuzz_mutations import mutated
from crossguard_fuzz_targets import TARGETS, seeds
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_good_files_are_fine(name):
    errors = [TARGETS[name](seed) for seed in seeds(name)]
    assert errors
    # An escape, a conflict, formats of several files.
    if name in ("archive", "decisions", "detection", "operations"):
        return
    assert errors == [None] * len(errors)


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 99), seed=st.integers(0, 2**32))
def test_a_changed_file_is_read_or_refused(name, number, seed):
    good = seeds(name)
    TARGETS[name](mutated(good[number % len(good)], random.Random(seed)))


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(max_examples=25, deadline=None)
@given(
    data=st.binary(max_size=200)
    | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_read_or_refused(name, data):
    TARGETS[name](data)


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(name, data):
    """Cut short, or a few bytes changed."""
    content = bytearray(data.draw(st.sampled_from(seeds(name))))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    TARGETS[name](bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_an_operation_that_falls_with_its_batch_needs_no_words_of_its_own():
    """What a fuzzer found: the first and the last of all that is refused fell with the batches of others."""
    names = [("kept", "1"), ("odd", "1"), ("odd", "2"), ("kept", "2")]
    sent = [
        {"n": 1, "id": f"{kind}{batch}", "kind": "seen" if kind == "kept" else "no such kind", "batch": batch}
        for kind, batch in names
    ]
    data = json.dumps({"client": "browser", "operations": sent}).encode()
    error = TARGETS["operations"](data)
    assert error is not None
    assert "no such kind" in error.message
