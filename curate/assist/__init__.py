"""The bundled models that help to label: weights and the promptable segmenter (onnxruntime, CPU)."""

from curate.assist.segmenter import EmbeddingCache, FrameEmbedding, SegmentedMask, Segmenter
from curate.assist.weights import (
    COCO_DETECTOR,
    EMBEDDER,
    SEGMENTER_DECODER,
    SEGMENTER_ENCODER,
    weights_path,
)

__all__ = [
    "COCO_DETECTOR",
    "EMBEDDER",
    "SEGMENTER_DECODER",
    "SEGMENTER_ENCODER",
    "EmbeddingCache",
    "FrameEmbedding",
    "SegmentedMask",
    "Segmenter",
    "weights_path",
]
