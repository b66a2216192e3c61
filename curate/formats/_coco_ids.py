"""The whole number that each annotation id becomes in a COCO file, for millions of ids."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from curate.errors import DataError
from curate.formats._values import is_id_number

__all__ = ["AnnotationNumbers"]

_Numbers = NDArray[np.int64]


class AnnotationNumbers:
    """Annotation id -> its number, made from the id alone, so that it stays when others come and go.

    An id that is a whole number is its own; any other becomes 48 bits of its SHA-256. Where two would meet, the later
    in the order of the ids gets the next free number. Held are eight bytes an id while it is made, then what met.

    Args:
        ids: Begins a run over all ids, the same ones each time.

    Raises:
        DataError: An id is there twice.
    """

    def __init__(self, ids: Callable[[], Iterable[str]]) -> None:
        own, made = array("q"), array("q")
        for value in ids():
            if is_id_number(value):
                own.append(int(value))
            else:
                made.append(_number(value))
        taken, wanted = np.sort(np.array(own, np.int64)), np.sort(np.array(made, np.int64))
        for number in taken[1:][taken[1:] == taken[:-1]][:1]:
            raise DataError("two annotations have this id", item=f"annotation {number}")
        self._moved: dict[str, int] = {}
        spans = list(_crowded(taken, wanted))
        if spans:
            self._settle(ids, taken, np.array(spans, np.int64))

    def __getitem__(self, own_id: str) -> int:
        if is_id_number(own_id):
            return int(own_id)
        moved = self._moved.get(own_id) if self._moved else None
        return _number(own_id) if moved is None else moved

    def _settle(self, ids: Callable[[], Iterable[str]], taken: _Numbers, spans: _Numbers) -> None:
        """Numbers of all ids that lie in one of the (S, 2) spans, in the order of the ids."""
        crowd = sorted(value for value in ids() if not is_id_number(value) and _within(_number(value), spans))
        used: set[int] = set()
        for first, last in spans:
            used.update(
                taken[np.searchsorted(taken, first) : np.searchsorted(taken, last, side="right")].tolist()
            )
        for value in crowd:
            if value in self._moved:
                raise DataError("two annotations have this id", item=f"annotation {value}")
            number = _number(value)
            while number in used:
                number += 1
            used.add(number)
            self._moved[value] = number


def _number(value: str) -> int:
    return int(hashlib.sha256(value.encode()).hexdigest()[:12], 16) + 1


def _within(number: int, spans: _Numbers) -> bool:
    place = int(np.searchsorted(spans[:, 0], number, side="right")) - 1
    return place >= 0 and number <= spans[place, 1]


def _crowded(taken: _Numbers, wanted: _Numbers) -> Iterator[tuple[int, int]]:
    """First and last number of each stretch that begins where a number is wanted twice, or wanted and taken.

    It ends where there is room for everybody, those that were pushed on among them.

    Args:
        taken: Sorted, unique.
        wanted: Sorted.
    """
    everything = np.sort(np.concatenate([taken, wanted]))
    meeting = np.unique(everything[1:][everything[1:] == everything[:-1]])
    last = -1
    for number in meeting.tolist():
        if number <= last:
            continue
        # Who is pushed on goes up, never down.
        at = int(np.searchsorted(everything, number))
        free = number
        while at < len(everything) and everything[at] <= free:
            free = free + 1
            at += 1
        last = free
        yield number, last
