"""Principal components: 1280 numbers to at most 256 before they are indexed."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curate.errors import DataError
from curate.files import write_atomically
from curate.types import FloatArray

__all__ = ["MOST_DIMS", "Reducer", "load_reducer", "normalise", "save_reducer"]

MOST_DIMS = 256


def normalise(vectors: FloatArray) -> FloatArray:
    """Rows (N, D) scaled to length 1 (zero rows stay zero), float32: inner product = cosine."""
    vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Reducer:
    """A fitted projection.

    Attributes:
        mean: (D,) float32.
        components: (K, D) float32 orthonormal rows, most variance first.
        explained: 0..1, share of the variance of the fitted vectors that is kept.
    """

    mean: FloatArray
    components: FloatArray
    explained: float

    @classmethod
    def fit(cls, vectors: FloatArray, *, dims: int = MOST_DIMS) -> Reducer:
        """Fit on vectors (N, D), which are scaled to length 1 first.

        The result has min(dims, N - 1, D) dimensions; of fewer than two vectors nothing can be learned, so
        the first `dims` coordinates are kept as they are.

        Raises:
            DataError: Not a finite table, or dims is not in 1..256.
        """
        vectors = _table(vectors)
        if not 1 <= dims <= MOST_DIMS:
            raise DataError(f"expected 1 to {MOST_DIMS} dimensions, got {dims}")
        count, wide = vectors.shape
        if count < 2:
            kept = min(dims, wide)
            return cls(np.zeros(wide, np.float32), np.eye(kept, wide, dtype=np.float32), 1.0)
        unit = normalise(vectors)
        mean = unit.mean(0)
        covariance = np.cov(unit, rowvar=False, dtype=np.float64).reshape(wide, wide)
        values, axes = np.linalg.eigh(covariance)
        keep = min(dims, count - 1, wide)
        axes = axes[:, ::-1][:, :keep].T
        # The sign of an axis is arbitrary: fix it, so that equal data give equal files.
        signs = np.sign(axes[np.arange(keep), np.abs(axes).argmax(1)])
        explained = float(values[::-1][:keep].sum() / max(float(values.sum()), 1e-12))
        return cls(mean, np.asarray(axes * signs[:, None], np.float32), float(np.clip(explained, 0.0, 1.0)))

    def transform(self, vectors: FloatArray) -> FloatArray:
        """(N, K) float32 rows of length 1, ready for cosine similarity.

        Raises:
            DataError: The vectors have another length than those fitted, or are not finite.
        """
        vectors = _table(vectors)
        if vectors.shape[1] != len(self.mean):
            raise DataError(f"expected vectors of {len(self.mean)} numbers, got {vectors.shape[1]}")
        return normalise((normalise(vectors) - self.mean) @ self.components.T)


def _table(vectors: FloatArray) -> FloatArray:
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise DataError(f"expected finite vectors (N, D), got shape {vectors.shape}")
    return vectors


def save_reducer(reducer: Reducer, path: Path) -> None:
    """Write as .npz, atomically."""
    buffer = io.BytesIO()
    np.savez(
        buffer, mean=reducer.mean, components=reducer.components, explained=np.float64(reducer.explained)
    )
    write_atomically(path, buffer.getvalue())


def load_reducer(path: Path) -> Reducer:
    """The inverse of `save_reducer`.

    Raises:
        DataError: Missing, cut short, or not such a file.
    """
    hint = "delete the embeddings folder and scan again"
    try:
        # From memory: numpy leaves the file open when it finds a broken archive.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            mean, components = stored["mean"], stored["components"]
            explained = float(stored["explained"])
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"expected a saved projection (.npz), got {error!r}", file=path, hint=hint) from error
    if mean.ndim != 1 or components.ndim != 2 or components.shape[1] != len(mean):
        raise DataError(
            f"a projection of {components.shape} does not fit a mean of {mean.shape}", file=path, hint=hint
        )
    return Reducer(mean, components, explained)
