"""Feature vectors of crops and frames, nearest neighbours in faiss, and what they say about labels."""

from curate.embeddings.duplicates import duplicate_crops
from curate.embeddings.embedder import Embedder, crop_square
from curate.embeddings.index import FLAT_LIMIT, CropIndex
from curate.embeddings.neighbours import Agreement, Outliers, knn_agreement, outlier_distance
from curate.embeddings.project import project_2d
from curate.embeddings.reduce import MOST_DIMS, Reducer, load_reducer, normalise, save_reducer

__all__ = [
    "FLAT_LIMIT",
    "MOST_DIMS",
    "Agreement",
    "CropIndex",
    "Embedder",
    "Outliers",
    "Reducer",
    "crop_square",
    "duplicate_crops",
    "knn_agreement",
    "load_reducer",
    "normalise",
    "outlier_distance",
    "project_2d",
    "save_reducer",
]
