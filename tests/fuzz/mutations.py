"""Changes to a good file that keep most of its structure: what byte by byte would take for ever to find."""

from __future__ import annotations

import json
import random
import re
from typing import Any

__all__ = ["mutated"]

_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63,
    10**400,
    -(10**400),
    0.5,
    -0.0,
    1e300,
    -1e300,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "-1",
    "nan",
    "\x00",
    "\ud800",
    "a\u202eb",
    "../../x",
    "C:\\x",
    "/etc/x",
    "x" * 5000,
    "=1+2",
    "<a>&b;",
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    [None],
    [1, 2],
    ["x"],
    {"a": {"a": {"a": {}}}},
)
_WORDS = (
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "0",
    "1",
    "1e-9",
    "99999999999999999999",
    "x",
    "",
    '""',
    "-0",
    "0x10",
    "&a;",
    "<!DOCTYPE a>",
    "\u0000",
    "true",
    "null",
    "..",
    "*a",
    "&a",
    "!!python/name:os.system",
    "{",
    "]",
    ";",
    ",",
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes."""
    for _ in range(rng.randint(1, 4)):
        data = _json_change(data, rng) if rng.random() < 0.7 else _word_change(data, rng)
    return data


def _json_change(data: bytes, rng: random.Random) -> bytes:
    """One value somewhere in one of the JSON texts becomes another, goes, or comes twice."""
    for separator in (b"\n\x1e\n", b"\n"):
        parts = data.split(separator)
        place = rng.randrange(len(parts))
        try:
            value = json.loads(parts[place])
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict | list):
            continue
        try:
            parts[place] = json.dumps(_changed(value, rng)).encode()
        except (ValueError, RecursionError):
            return data
        return separator.join(parts)
    return _word_change(data, rng)


def _changed(value: Any, rng: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        current = stack.pop()
        keys = list(current) if isinstance(current, dict) else range(len(current))
        for key in keys:
            places.append((current, key))
            if isinstance(current[key], dict | list):
                stack.append(current[key])
    if not places:
        return rng.choice(_VALUES)
    holder, key = rng.choice(places)
    action = rng.random()
    if action < 0.6:
        holder[key] = rng.choice(_VALUES)
    elif action < 0.75:
        del holder[key]
    elif action < 0.9 and isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        other, place = rng.choice(places)
        if isinstance(other, dict) or place < len(other):
            holder[key] = json.loads(json.dumps(other[place]))
    return value


def _word_change(data: bytes, rng: random.Random) -> bytes:
    """One word, number or quoted text becomes another."""
    words = list(re.finditer(rb'"[^"\n]{0,80}"|[^\s",;<>=\[\]{}:]+', data))
    if not words:
        return rng.choice(_WORDS).encode()
    word = rng.choice(words)
    new = rng.choice(_WORDS).encode()
    if word[0].startswith(b'"') and rng.random() < 0.8:
        new = b'"' + new.replace(b'"', b"") + b'"'
    if rng.random() < 0.1:
        other = rng.choice(words)
        new = other[0]
    return data[: word.start()] + new + data[word.end() :]
