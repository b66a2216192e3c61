"""Label id -> revision for millions of labels, in a tenth of the memory of a dict."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["PackedRevisions"]


class PackedRevisions(Mapping[str, int]):
    """An immutable mapping in the order of its keys: all ids in one block of UTF-8, with offsets and revisions.

    A look-up is a binary search (some microseconds); walking through it is as fast as through a dict.

    Args:
        pairs: (label id, revision), ids rising and unique.
    """

    __slots__ = ("_ids", "_offsets", "_revisions")

    def __init__(self, pairs: Iterable[tuple[str, int]] = ()) -> None:
        ids = bytearray()
        self._offsets = array("q", [0])
        self._revisions = array("l")
        for label_id, revision in pairs:
            ids += label_id.encode()
            self._offsets.append(len(ids))
            self._revisions.append(revision)
        self._ids = bytes(ids)

    def _key(self, at: int) -> str:
        return self._ids[self._offsets[at] : self._offsets[at + 1]].decode()

    def __getitem__(self, key: str) -> int:
        # UTF-8 sorts as its text does.
        at = bisect_left(range(len(self)), key, key=self._key)
        if at == len(self) or self._key(at) != key:
            raise KeyError(key)
        return self._revisions[at]

    def __iter__(self) -> Iterator[str]:
        return (self._key(at) for at in range(len(self)))

    def pairs(self) -> Iterator[tuple[str, int]]:
        """Keys and values, by key."""
        return zip(iter(self), self._revisions, strict=True)

    def __len__(self) -> int:
        return len(self._revisions)

    def __repr__(self) -> str:
        return f"PackedRevisions({len(self)} labels)"
