"""Nearest crops by cosine similarity, in faiss: exact up to 200,000 vectors, inverted lists above."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from curate.embeddings.reduce import normalise
from curate.errors import DataError
from curate.files import write_atomically
from curate.types import FloatArray, IntArray

__all__ = ["FLAT_LIMIT", "CropIndex"]

FLAT_LIMIT = 200_000
"""Up to so many vectors the search is exact."""
_FILE = "index.json"


@dataclass(frozen=True, slots=True, eq=False)
class CropIndex:
    """Vectors with the ids of what they show.

    Attributes:
        ids: N ids (of labels or frames).
        vectors: (N, D) float32, length 1.
        index: The faiss index; row i is ids[i].
    """

    ids: tuple[str, ...]
    vectors: FloatArray
    index: Any

    @classmethod
    def build(cls, vectors: FloatArray, ids: Sequence[str], *, flat_limit: int = FLAT_LIMIT) -> CropIndex:
        """Index vectors (N, D), N may be 0.

        Raises:
            DataError: Not one id per finite vector, or an id comes twice.
        """
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or len(vectors) != len(ids) or not np.isfinite(vectors).all():
            raise DataError(
                f"expected one id per finite vector, got {len(ids)} ids for shape {vectors.shape}"
            )
        if len(set(ids)) != len(ids):
            raise DataError("every vector needs its own id, some come twice")
        unit = np.ascontiguousarray(normalise(vectors))
        return cls(tuple(ids), unit, _make_index(unit, flat_limit))

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, queries: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
        """Rows (Q, k) and cosine similarities (Q, k) of the nearest vectors, best first.

        Where there are fewer than k vectors, rows are -1 and similarities NaN.

        Raises:
            DataError: The queries have another length than the vectors.
        """
        queries = np.atleast_2d(np.asarray(queries, np.float32))
        if queries.shape[1] != self.vectors.shape[1]:
            raise DataError(f"expected vectors of {self.vectors.shape[1]} numbers, got {queries.shape[1]}")
        if not len(self.ids) or k < 1:
            return np.full((len(queries), max(k, 0)), -1), np.full((len(queries), max(k, 0)), np.nan)
        similar, rows = self.index.search(np.ascontiguousarray(normalise(queries)), k)
        return np.asarray(rows, np.int64), np.where(rows >= 0, similar, np.nan)

    def save(self, folder: Path) -> None:
        """Write vectors (.npy), faiss index and a small JSON that names both.

        The data files carry their hash in their names and the JSON is replaced last and in one step: a crash
        leaves the old index whole.

        Raises:
            ProjectError: The folder or disk cannot be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, self.vectors)
        contents = {
            "vectors": (buffer.getvalue(), ".npy"),
            "index": (faiss.serialize_index(self.index).tobytes(), ".faiss"),
        }
        record: dict[str, Any] = {"version": 1, "ids": list(self.ids)}
        for name, (content, ending) in contents.items():
            digest = hashlib.sha256(content).hexdigest()
            record[name] = {"file": f"{name}-{digest[:16]}{ending}", "sha256": digest}
            write_atomically(folder / record[name]["file"], content)
        write_atomically(folder / _FILE, json.dumps(record).encode())
        current = {record[name]["file"] for name in contents}
        for old in (*folder.glob("vectors-*.npy"), *folder.glob("index-*.faiss")):
            if old.name not in current:
                old.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> CropIndex:
        """The inverse of `save`.

        Raises:
            DataError: Missing, cut short, or changed since it was written.
        """
        hint = "delete the folder and scan again: embeddings are computed anew"
        try:
            record = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            if record["version"] != 1:
                raise DataError(
                    f"expected index version 1, got {record['version']!r}", file=folder, hint=hint
                )
            ids = tuple(str(value) for value in record["ids"])
            vectors = np.load(io.BytesIO(_checked(folder, record["vectors"])), allow_pickle=False)
            index = faiss.deserialize_index(np.frombuffer(_checked(folder, record["index"]), np.uint8))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"expected a saved index, got {error!r}", file=folder / _FILE, hint=hint
            ) from error
        if not index.ntotal == len(ids) == len(vectors):
            raise DataError(
                f"{len(ids)} ids, {len(vectors)} vectors and {index.ntotal} index rows do not fit",
                file=folder / _FILE,
                hint=hint,
            )
        return cls(ids, vectors, index)


def _checked(folder: Path, entry: dict[str, str]) -> bytes:
    """Content of a data file whose hash stands in the record (faiss itself would crash on a broken one)."""
    name = Path(entry["file"]).name
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError(f"{name} is not the file that was written")
    return content


def _make_index(unit: FloatArray, flat_limit: int) -> Any:
    count, dims = unit.shape
    index: Any = faiss.IndexFlatIP(dims)
    if count > flat_limit:
        lists = int(4 * np.sqrt(count))
        coarse = index
        index = faiss.IndexIVFFlat(coarse, dims, lists, faiss.METRIC_INNER_PRODUCT)
        index.own_fields = True
        coarse.this.disown()
        # faiss wants at least 39 training vectors a list; more than 64 only cost time.
        sample = np.random.default_rng(0).permutation(count)[: 64 * lists]
        index.train(unit[np.sort(sample)])
        index.nprobe = max(1, lists // 32)
    index.add(unit)
    return index
