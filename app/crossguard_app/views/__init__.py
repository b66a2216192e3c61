"""The pages."""

from crossguard_app.views import (
    coverage,
    embedding,
    frames,
    overview,
    queue,
    runs,
    scene,
    training,
    versions,
)

__all__ = [
    "coverage",
    "embedding",
    "frames",
    "overview",
    "queue",
    "runs",
    "scene",
    "training",
    "versions",
]
