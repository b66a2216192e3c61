"""Before and after on one frame, side by side, for reports."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from curate.annotations import Annotation
from curate.tables import Detections
from curate.types import ImageArray

__all__ = ["side_by_side"]

_FOUND, _GOLD, _IGNORED = "#ffd21f", "#3ddc84", "#9aa0a6"


def side_by_side(
    image: ImageArray,
    gold: Sequence[Annotation],
    before: Detections,
    after: Detections,
    classes: Sequence[str],
    *,
    score: float,
    titles: tuple[str, str] = ("before", "after"),
) -> bytes:
    """A JPEG of the frame twice: gold labels thin and green, detections at or above `score` yellow with score.

    Args:
        image: (H, W, 3) RGB.
        gold: Labels of the frame.
        before: Detections for the left picture.
        after: Detections for the right picture.
        classes: Class names in the order of the indices.
        score: Operating point.
        titles: Written over the two pictures.
    """
    height, width = image.shape[:2]
    sheet = Image.new("RGB", (2 * width + 8, height + 20), "#202124")
    for side, (found, title) in enumerate(zip((before, after), titles, strict=True)):
        picture = Image.fromarray(image)
        draw = ImageDraw.Draw(picture)
        for annotation in gold:
            draw.rectangle(annotation.bbox_xyxy, outline=_GOLD if annotation.counts else _IGNORED)
        for index in np.flatnonzero(np.asarray(found.scores) >= score):
            x1, y1, x2, y2 = (float(value) for value in found.boxes[index])
            draw.rectangle((x1, y1, x2, y2), outline=_FOUND, width=2)
            name = classes[int(found.classes[index])]
            draw.text((x1 + 2, max(0, y1 - 12)), f"{name} {found.scores[index]:.2f}", fill=_FOUND)
        sheet.paste(picture, (side * (width + 8), 20))
        ImageDraw.Draw(sheet).text((side * (width + 8) + 4, 4), title, fill="white")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
