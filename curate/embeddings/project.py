"""Two dimensions for the eye: PCA, t-SNE on a sample, the rest placed beside its nearest sampled crops."""

from __future__ import annotations

import faiss
import numpy as np

from curate.embeddings.reduce import Reducer, normalise
from curate.errors import DataError
from curate.types import FloatArray

__all__ = ["project_2d"]

_LEAST_TSNE = 10


def project_2d(vectors: FloatArray, *, seed: int = 0, most_fitted: int = 1500) -> FloatArray:
    """(N, 2) float32 coordinates in about -1..1 in which alike crops lie together.

    t-SNE (van der Maaten and Hinton 2008) sees at most `most_fitted` vectors, a seeded sample; the others are
    put at the weighted mean of their three nearest sampled ones, so that 100,000 points cost little more
    than the sample. With fewer than 10 vectors the first two principal components are shown. Equal input
    and seed give equal coordinates.

    Raises:
        DataError: Not a finite table (N, D).
    """
    from sklearn.manifold import TSNE

    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise DataError(f"expected finite vectors (N, D), got shape {vectors.shape}")
    count = len(vectors)
    if count < 2:
        return np.zeros((count, 2), np.float32)
    if count < _LEAST_TSNE:
        unit = normalise(vectors)
        return _scaled(_two_columns((unit - unit.mean(0)) @ Reducer.fit(vectors, dims=2).components.T))
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(count)[:most_fitted])
    reducer = Reducer.fit(vectors[chosen], dims=min(50, vectors.shape[1]))
    reduced = reducer.transform(vectors)
    start = _two_columns(reduced[chosen])
    start = start / max(float(start[:, 0].std()), 1e-9) * 1e-4
    tsne = TSNE(
        n_components=2,
        perplexity=min(30.0, (len(chosen) - 1) / 3),
        init=np.asarray(start, np.float32),
        learning_rate="auto",
        max_iter=400,
        random_state=seed,
        n_jobs=1,
    )
    fitted = np.asarray(tsne.fit_transform(reduced[chosen]), np.float32)
    result = np.zeros((count, 2), np.float32)
    result[chosen] = fitted
    rest = np.setdiff1d(np.arange(count), chosen)
    if len(rest):
        index = faiss.IndexFlatIP(reduced.shape[1])
        index.add(np.ascontiguousarray(reduced[chosen]))
        similar, near = index.search(np.ascontiguousarray(reduced[rest]), 3)
        weight = np.exp(20 * (similar - similar.max(1, keepdims=True)))
        weight /= weight.sum(1, keepdims=True)
        result[rest] = (fitted[near] * weight[..., None]).sum(1)
        # Points that would lie exactly on each other cannot be picked one by one.
        result[rest] += rng.normal(0, 0.002 * float(np.ptp(fitted)), (len(rest), 2)).astype(np.float32)
    return _scaled(result)


def _two_columns(values: FloatArray) -> FloatArray:
    """The first two columns; a missing second one is 0."""
    values = np.asarray(values, np.float32)[:, :2]
    return np.pad(values, ((0, 0), (0, 2 - values.shape[1])))


def _scaled(points: FloatArray) -> FloatArray:
    """Centred on the median, the farther axis scaled to about -1..1."""
    points = points - np.median(points, axis=0)
    return np.asarray(points / max(float(np.abs(points).max()), 1e-9), np.float32)
