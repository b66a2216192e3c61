"""The pages."""

from crossguard_app.views import embedding, frames, overview, queue, training, versions

__all__ = ["embedding", "frames", "overview", "queue", "training", "versions"]
