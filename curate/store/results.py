"""What workflows leave behind: artifacts of a scan, gold sets, dataset versions, runs, evaluations."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.errors import ConflictError, NotFoundError, StoreError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import STREAM, StoreBase, chunked, dump_json
from curate.store.records import Artifact, EvaluationRecord, GoldSet, GoldState, RunRecord, VersionRecord

__all__ = ["ResultStore", "pack_text"]

_PART_BYTES = 1 << 20


class ResultStore(StoreBase):
    """Artifacts, gold sets, versions, runs and evaluations."""

    def artifact(self, stage: str, key: str) -> Artifact | None:
        """What a stage made for a key (a frame, a fold), or None."""
        table = schema.artifacts
        query = sa.select(table).where(table.c.stage == stage, table.c.key == key)
        with self._read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Artifact(*row)

    def artifacts(self, stage: str) -> dict[str, Artifact]:
        """Everything that a stage made, by key."""
        table = schema.artifacts
        query = sa.select(table).where(table.c.stage == stage).order_by(table.c.key)
        with self._read() as connection:
            return {row.key: Artifact(*row) for row in connection.execute(query)}

    def artifact_keys(self, stage: str, among: Iterable[str] | None = None) -> set[str]:
        """The keys of what a stage made, all of them or those among the given ones."""
        table = schema.artifacts
        query = sa.select(table.c.key).where(table.c.stage == stage)
        with self._read() as connection:
            if among is None:
                return set(connection.execute(query).scalars())
            found: set[str] = set()
            for chunk in chunked(sorted(set(among))):
                found.update(connection.execute(query.where(table.c.key.in_(chunk))).scalars())
        return found

    def forget_files(self) -> None:
        """Forget every artifact that has a file; the files stay."""
        with self.begin() as connection:
            connection.execute(sa.delete(schema.artifacts).where(schema.artifacts.c.path != ""))

    def artifact_files(self) -> Iterator[Artifact]:
        """Every artifact that has a file."""
        table = schema.artifacts
        query = sa.select(table).where(table.c.path != "").order_by(table.c.stage, table.c.key)
        with self._read() as connection, connection.execute(query.execution_options(**STREAM)) as rows:
            for row in rows:
                yield Artifact(*row)

    def put_artifacts(self, artifacts: Iterable[Artifact]) -> None:
        """Note what was made; an artifact of the same stage and key gives way."""
        table = schema.artifacts
        with self.begin() as connection:
            for chunk in chunked(artifacts):
                newest = {(artifact.stage, artifact.key): artifact for artifact in chunk}
                for stage in {artifact.stage for artifact in chunk}:
                    keys = [key for other, key in newest if other == stage]
                    connection.execute(sa.delete(table).where(table.c.stage == stage, table.c.key.in_(keys)))
                connection.execute(sa.insert(table), [_row(artifact, table) for artifact in newest.values()])

    def delete_artifacts(self, stage: str, keys: Iterable[str] | None = None) -> int:
        """Forget what a stage made (for some keys or for all); the files stay.

        Returns:
            How many were forgotten.
        """
        table = schema.artifacts
        delete = sa.delete(table).where(table.c.stage == stage)
        with self.begin() as connection:
            if keys is None:
                return connection.execute(delete).rowcount
            chunks = chunked(sorted(set(keys)))
            return sum(connection.execute(delete.where(table.c.key.in_(chunk))).rowcount for chunk in chunks)

    def put_gold_set(self, gold: GoldSet) -> GoldSet:
        """Add a gold set or change a draft (which may freeze it).

        Returns:
            The gold set as stored.

        Raises:
            ConflictError: The stored one is frozen and differs, or another has this name and revision.
        """
        table = schema.gold_sets
        with self.begin() as connection:
            here = table.c.id == gold.id
            stored = connection.execute(sa.select(table).where(here)).mappings().first()
            if stored is None:
                same = (table.c.name == gold.name) & (table.c.revision == gold.revision)
                if connection.execute(sa.select(table.c.id).where(same)).first():
                    raise ConflictError(
                        f"revision {gold.revision} of this gold set is there already",
                        item=f"gold set {gold.name}",
                    )
                row = _row(gold, table)
                connection.execute(sa.insert(table), row)
                write_audit(connection, self.actor, f"gold.{row['state']}", gold.id)
                return _gold(row)
            row = {**_row(gold, table), "created_at": stored["created_at"]}
            if stored["state"] == GoldState.FROZEN and row != dict(stored):
                raise ConflictError(
                    "a frozen gold set never changes",
                    item=f"gold set {gold.name}",
                    hint="`curate gold revise` makes a new revision",
                )
            connection.execute(sa.update(table).where(here).values(**row))
            write_audit(connection, self.actor, f"gold.{row['state']}", gold.id)
            return _gold(row)

    def gold_set(self, id_or_name: str) -> GoldSet:
        """A gold set by id, or the newest revision of a name.

        Raises:
            NotFoundError: No such gold set.
        """
        table = schema.gold_sets
        query = sa.select(table).where((table.c.id == id_or_name) | (table.c.name == id_or_name))
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.revision.desc())).mappings().all()
        if not rows:
            raise NotFoundError("no such gold set", item=f"gold set {id_or_name}")
        return _gold(next((row for row in rows if row["id"] == id_or_name), rows[0]))

    def gold_sets(self) -> list[GoldSet]:
        """All gold sets by name and revision."""
        table = schema.gold_sets
        query = sa.select(table).order_by(table.c.name, table.c.revision)
        with self._read() as connection:
            return [_gold(row) for row in connection.execute(query).mappings()]

    def add_version(self, version: VersionRecord, manifest: str | Sequence[bytes]) -> VersionRecord:
        """Add a dataset version; known content gives the stored one back. `curate.versions` makes them.

        Args:
            version: The version.
            manifest: Its JSON text, whole or as `pack_text` packed it.
        """
        table = schema.versions
        parts = pack_text([manifest]) if isinstance(manifest, str) else manifest
        with self.begin() as connection:
            query = sa.select(table).where(table.c.content_hash == version.content_hash)
            row: Any = connection.execute(query).mappings().first()
            if row is None:
                row = _row(version, table)
                connection.execute(sa.insert(table), row)
                for number, content in enumerate(parts):
                    values = {"version_id": version.id, "number": number, "content": content}
                    connection.execute(sa.insert(schema.version_parts), values)
                detail = {"frames": version.frames, "labels": version.labels}
                write_audit(connection, self.actor, "version.create", version.id, detail)
            return _version(row)

    def version(self, version_id: str) -> VersionRecord:
        """A version by id or by a beginning of it that fits one only.

        Raises:
            NotFoundError: No version, or several, begin so.
        """
        found = [version for version in self.versions() if version_id and version.id.startswith(version_id)]
        if len(found) != 1:
            problem = "several versions begin with this" if found else "no such version"
            raise NotFoundError(
                problem, item=f"version {version_id}", hint="`curate version list` shows them"
            )
        return found[0]

    def versions(self) -> list[VersionRecord]:
        """All versions, oldest first."""
        table = schema.versions
        query = sa.select(table).order_by(table.c.created_at, table.c.id)
        with self._read() as connection:
            return [_version(row) for row in connection.execute(query).mappings()]

    def version_manifest(self, version_id: str) -> str:
        """The manifest (JSON text) of a version; ten million labels have half a gigabyte of it.

        Raises:
            NotFoundError: No such version.
            StoreError: A piece of it is damaged.
        """
        return b"".join(self.version_manifest_parts(version_id)).decode()

    def version_manifest_parts(self, version_id: str) -> Iterator[bytes]:
        """The same in pieces of about a MiB.

        Raises:
            NotFoundError: No such version.
            StoreError: A piece of it is damaged.
        """
        table = schema.version_parts
        query = sa.select(table.c.content).where(table.c.version_id == version_id).order_by(table.c.number)
        number = 0
        with self._read() as connection:
            if not connection.execute(query.limit(1)).first():
                raise NotFoundError("no such version", item=f"version {version_id}")
            with connection.execute(query.execution_options(yield_per=8)) as rows:
                for content in rows.scalars():
                    try:
                        yield zlib.decompress(content)
                    except zlib.error as error:
                        raise StoreError(
                            f"part {number} of the manifest is damaged: {error}", item=f"version {version_id}"
                        ) from error
                    number += 1

    def put_run(self, run: RunRecord) -> RunRecord:
        """Add a run, or write its new state; the time of its creation stays.

        Raises:
            NotFoundError: The version is unknown.
        """
        table = schema.runs
        with self.begin() as connection:
            if run.version_id is not None:
                _expect_version(connection, run.version_id)
            row = _row(run, table)
            here = table.c.id == run.id
            created = connection.execute(sa.select(table.c.created_at).where(here)).scalar()
            if created is None:
                connection.execute(sa.insert(table), row)
            else:
                row["created_at"] = created
                connection.execute(sa.update(table).where(here).values(**row))
            write_audit(connection, self.actor, f"run.{run.state}", run.id)
        return _run(row)

    def run(self, run_id: str) -> RunRecord:
        """One run.

        Raises:
            NotFoundError: No such run.
        """
        with self._read() as connection:
            query = sa.select(schema.runs).where(schema.runs.c.id == run_id)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError("no such run", item=f"run {run_id}")
        return _run(row)

    def runs(self, version_id: str | None = None, kind: str | None = None) -> list[RunRecord]:
        """Runs, oldest first; each filter narrows."""
        table = schema.runs
        query = sa.select(table).order_by(table.c.created_at, table.c.id)
        if version_id is not None:
            query = query.where(table.c.version_id == version_id)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._read() as connection:
            return [_run(row) for row in connection.execute(query).mappings()]

    def put_evaluation(self, evaluation: EvaluationRecord) -> EvaluationRecord:
        """Add an evaluation; one with the same id gives way.

        Raises:
            NotFoundError: The run or the gold set is unknown.
        """
        table = schema.evaluations
        with self.begin() as connection:
            self.run(evaluation.run_id)
            self.gold_set(evaluation.gold_id)
            row = _row(evaluation, table)
            connection.execute(sa.delete(table).where(table.c.id == evaluation.id))
            connection.execute(sa.insert(table), row)
            detail = {"run": evaluation.run_id, "gold": evaluation.gold_id}
            write_audit(connection, self.actor, "evaluation.put", evaluation.id, detail)
        return _evaluation(row)

    def evaluations(self, run_id: str | None = None, gold_id: str | None = None) -> list[EvaluationRecord]:
        """Evaluations, oldest first; each filter narrows."""
        table = schema.evaluations
        query = sa.select(table).order_by(table.c.created_at, table.c.id)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        if gold_id is not None:
            query = query.where(table.c.gold_id == gold_id)
        with self._read() as connection:
            return [_evaluation(row) for row in connection.execute(query).mappings()]


def pack_text(pieces: Iterable[str]) -> list[bytes]:
    """Text of any length as compressed parts for `add_version`."""
    parts: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece.encode())
        size += len(waiting[-1])
        if size >= _PART_BYTES:
            parts.append(zlib.compress(b"".join(waiting), 1))
            waiting, size = [], 0
    if waiting or not parts:
        parts.append(zlib.compress(b"".join(waiting), 1))
    return parts


def _expect_version(connection: Connection, version_id: str) -> None:
    query = sa.select(schema.versions.c.id).where(schema.versions.c.id == version_id)
    if connection.execute(query).first() is None:
        raise NotFoundError("no such version", item=f"version {version_id}")


_JSON = ("manifest", "config", "result", "metrics")


def _row(record: Any, table: sa.Table) -> dict[str, Any]:
    """A record as the row of its table: JSON as text, the time filled in."""
    columns: list[str] = table.c.keys()
    row = {name: getattr(record, name) for name in columns}
    for name in _JSON:
        if name in row:
            row[name] = dump_json(dict(row[name]), item=f"{name} of {table.name}")
    if "state" in row:
        row["state"] = str(row["state"])
    row["created_at"] = row["created_at"] or time.time()
    return row


def _loaded(row: Any) -> dict[str, Any]:
    return {name: json.loads(value) if name in _JSON else value for name, value in row.items()}


def _gold(row: Any) -> GoldSet:
    values = _loaded(row)
    return GoldSet(**{**values, "state": GoldState(values["state"])})


def _version(row: Any) -> VersionRecord:
    return VersionRecord(**row)


def _run(row: Any) -> RunRecord:
    return RunRecord(**_loaded(row))


def _evaluation(row: Any) -> EvaluationRecord:
    return EvaluationRecord(**_loaded(row))
