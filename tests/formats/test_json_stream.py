"""What is read entry by entry is what `json` reads at once, wherever the text is cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.errors import FormatError
from curate.formats import _json_stream
from curate.formats._json_stream import JsonList, JsonStream
from curate.formats._peek import peek_json

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.rglob("*.json"))


def streamed(path):
    """The whole value, entry by entry; what the run over all of it saw has to be the same."""
    stream = JsonStream(path, what="a file")
    seen = {}
    root = stream.outline(lambda key, entry: seen.setdefault(key, []).append(entry))
    lists = root.items() if isinstance(root, dict) else [("", root)]
    for key, value in lists:
        if isinstance(value, JsonList):
            assert value.count == len(list(stream.entries(value)))
            assert repr(stream.whole(value, key)) in repr(seen.get(key, []))
    if isinstance(root, dict):
        return {key: stream.whole(value, key) for key, value in root.items()}
    return stream.whole(root, "the list")


def both(path):
    """The value or the error's text, read at once and as a stream."""
    try:
        whole = repr(json.loads(path.read_text("utf-8-sig")))
    except json.JSONDecodeError as error:
        whole = f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        whole = f"not valid JSON: {error}"
    try:
        found = repr(streamed(path))
    except FormatError as error:
        found = error.message if error.item is None else f"{error.message} ({error.item})"
    return whole, found


@pytest.fixture(params=[1, 7, 64, 1 << 20])
def block(request, monkeypatch):
    """Bytes that are read at a time."""
    monkeypatch.setattr(_json_stream, "_BLOCK", request.param)
    return request.param


def test_every_file_of_the_tests(block):
    assert len(FILES) > 12
    for path in FILES:
        if block > 1 or path.stat().st_size < 3000:
            whole, found = both(path)
            assert found == whole, path


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2.50, -0.0, 1e400, -Infinity, NaN, 12345678901234567890123], "b": {}}',
        '{"a": [1], "a": [2, 3], "a": 4, "b": 1, "b": ["last"]}',
        ' [ {"x": "\\ud83d\\ude00 \\ud800 \\u00e9 \\n", "y": "é😀"} , [[]], true , null ]\r\n ',
        "12.5e-3",
        '"text"',
        "[]",
        "{}",
        "[1,]",
        "[1 2]",
        "[1.]",
        "[1.e5]",
        "[-]",
        "[tru]",
        '{"a": 1,}',
        '{"a" 1}',
        "{1: 2}",
        '{"a": [1, {"b": tru}], "c": 1}',
        '{"a": "\\u12"}',
        '{"a": "\\x"}',
        '{"a": "no end',
        '{"a": "a\nb"}',
        '{"a": [1, 2',
        '{"a": [\n1, {"é": [\n  7,,]}]}',
        "[] []",
        '{"a": 1}}',
        "[" + "1" * 5000 + "]",
    ],
)
def test_values_and_errors_are_those_of_json(tmp_path, block, text):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode())
    whole, found = both(path)
    assert found == whole


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values, st.booleans(), st.sampled_from([None, 0, 2]), st.data())
def test_any_value_and_any_damage(tmp_path, monkeypatch, value, plain, indent, data):
    content = bytearray(json.dumps(value, ensure_ascii=plain, indent=indent).encode("utf-8", "replace"))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b",", b'"', b"]", b"}", b"1"])
        )
    if not content.strip():
        return
    monkeypatch.setattr(_json_stream, "_BLOCK", data.draw(st.integers(1, 50)))
    path = tmp_path / "x.json"
    path.write_text(content.decode(errors="replace"))
    whole, found = both(path)
    assert found == whole


def test_a_mark_of_byte_order_is_passed_by(tmp_path, block):
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": ["\xc3\xa9", 1], "b": 2}')
    assert streamed(path) == {"a": ["é", 1], "b": 2}


@pytest.mark.parametrize("content", [b'["\xff"]', b'["' + b"\xc3\xa9" * 50 + b'\xff"]', b'["\xc3'])
def test_bytes_that_are_no_text(tmp_path, block, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UnicodeDecodeError) as caught:
        content.decode()
    with pytest.raises(FormatError, match=rf"not UTF-8 text \(byte {caught.value.start}\)"):
        streamed(path)


def test_little_is_held_of_a_long_list_and_never_too_much_of_one_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(_json_stream, "_BLOCK", 100)
    monkeypatch.setattr(_json_stream, "_MAX_VALUE", 1000)
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": [{"number": number} for number in range(2000)]}))
    stream = JsonStream(path, what="a file")
    part = stream.outline()["a"]
    assert (part.count, part.first) == (2000, {"number": 0})
    assert sum(entry["number"] for entry in stream.entries(part)) == 1999 * 1000
    with pytest.raises(FormatError, match=r'"a" has [\d,]+ bytes, the limit is 1,000'):
        stream.whole(part, '"a"')
    path.write_text(json.dumps({"b": 1, "a": ["x" * 5000]}))
    with pytest.raises(FormatError, match="a single entry has more than 1,000 characters") as caught:
        JsonStream(path, what="a file").outline()
    assert caught.value.item == "line 1, column 16"


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, 2]}')
    stream = JsonStream(path, what="a file")
    part = stream.outline()["a"]
    path.write_text('{"a": [1, 2, 3]}')
    with pytest.raises(FormatError, match="was changed while it was read"):
        list(stream.entries(part))
    path.unlink()
    with pytest.raises(FormatError, match="there is no such file"):
        list(stream.entries(part))


def test_a_look_holds_the_first_entry_of_each_list(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": [{"b": [1, 2]}, 3], "c": [], "d": {"e": [1, 2]}}')
    assert peek_json(path) == {"a": [{"b": [1, 2]}], "c": [], "d": {"e": [1, 2]}}
