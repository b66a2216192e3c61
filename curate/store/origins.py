"""From which clear pictures blurred frames were made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.store import schema
from curate.store.base import StoreBase, chunked, dump_json
from curate.store.records import FrameOrigin

__all__ = ["OriginStore", "add_origins"]


class OriginStore(StoreBase):
    """Blurred frames by the digests of the clear pictures."""

    def frame_origins(
        self, clear: Iterable[str] | None = None, frame_ids: Iterable[str] | None = None
    ) -> list[FrameOrigin]:
        """What is known of pictures that were blurred, by clear digest; each filter narrows.

        Args:
            clear: Only of these clear pictures (SHA-256, hex).
            frame_ids: Only of these frames.
        """
        table = schema.frame_origins.c
        query = sa.select(schema.frame_origins).order_by(table.clear_sha256)
        if clear is not None:
            query = query.where(table.clear_sha256.in_(sorted(set(clear))))
        if frame_ids is not None:
            query = query.where(table.frame_id.in_(sorted(set(frame_ids))))
        with self._read() as connection:
            rows = connection.execute(query)
            return [FrameOrigin(row.clear_sha256, row.frame_id, json.loads(row.blur)) for row in rows]


def add_origins(connection: Connection, origins: Iterable[FrameOrigin]) -> list[dict[str, Any]]:
    """Add those whose clear picture is not known; how they were blurred, each way once with its number of frames."""
    table = schema.frame_origins
    ways: dict[str, dict[str, Any]] = {}
    for chunk in chunked(origins):
        fresh = {origin.clear_sha256: origin for origin in chunk}
        query = sa.select(table.c.clear_sha256).where(table.c.clear_sha256.in_(list(fresh)))
        for known in connection.execute(query).scalars().all():
            del fresh[known]
        for origin in fresh.values():
            way = {key: value for key, value in origin.blur.items() if key != "regions"}
            entry = ways.setdefault(dump_json(way, item=origin.frame_id), {**way, "frames": 0, "regions": 0})
            entry["frames"] += 1
            entry["regions"] += int(origin.blur.get("regions", 0))
        rows = [
            {
                "clear_sha256": origin.clear_sha256,
                "frame_id": origin.frame_id,
                "blur": dump_json(dict(origin.blur), item=f"frame {origin.frame_id}"),
            }
            for origin in fresh.values()
        ]
        if rows:
            connection.execute(sa.insert(table), rows)
    return [ways[key] for key in sorted(ways)]
