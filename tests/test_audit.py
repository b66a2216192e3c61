"""The audit of dependencies fails on a vulnerability and on nothing else."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "crossguard_audit", Path(__file__).with_name("audit_dependencies.py")
)
audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("rows", "code", "words"),
    [
        ([GOOD], 0, "no known vulnerability in 1 dependencies"),
        ([GOOD, UNKNOWN], 0, "1 unknown to the service"),
        ([GOOD, BAD], 1, "b 2: PYSEC-1, fixed in 3"),
        ([UNKNOWN], 0, "not audited: the service knows none of 1"),
    ],
)
def test_answers(rows, code, words):
    found, lines = audit.judge(json.dumps({"dependencies": rows}))
    assert found == code
    assert words in "\n".join(lines)


@pytest.mark.parametrize("answer", ["", "ERROR: no connection", "[]", "{}", '{"dependencies": null}'])
def test_no_answer_is_no_failure(answer):
    code, lines = audit.judge(answer)
    assert code == 0
    assert "not audited" in lines[0]


@pytest.mark.parametrize(
    ("accepted", "code", "words"),
    [
        ({}, 1, "b 2: PYSEC-1, fixed in 3"),
        ({"PYSEC-1": "we never call it"}, 0, "accepted: b 2: PYSEC-1: we never call it"),
        ({"PYSEC-1": " "}, 1, "b 2: PYSEC-1, fixed in 3"),
        ({"PYSEC-2": "another one"}, 1, "b 2: PYSEC-1, fixed in 3"),
    ],
)
def test_lint_fails_unless_the_list_accepts_it_with_a_reason(monkeypatch, capsys, accepted, code, words):
    """Through `main`, as `make lint` runs it, and the module's own list."""
    monkeypatch.setattr(audit, "ask", lambda: json.dumps({"dependencies": [GOOD, BAD]}))
    monkeypatch.setattr(audit, "ACCEPTED", accepted)
    assert audit.main() == code
    assert words in capsys.readouterr().out


def test_one_accepted_vulnerability_hides_no_other():
    two = {**BAD, "vulns": [*BAD["vulns"], {"id": "PYSEC-9", "fix_versions": []}]}
    code, lines = audit.judge(json.dumps({"dependencies": [two]}), {"PYSEC-1": "we never call it"})
    assert code == 1
    assert "b 2: PYSEC-9, fixed in no version yet" in lines


def test_a_service_that_does_not_answer_in_time_is_no_failure():
    assert audit.ask(seconds=0) == ""
