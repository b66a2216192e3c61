"""The fault suite's import: a label file of a source of its own for each round, which is there wholly or not at all."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Set
from pathlib import Path

from curate.store import Store
from curate.workflows.project import Project

__all__ = ["halves_of", "import_arguments", "labels_of", "source_of"]

_FRAMES = 40
_LABELS_A_FRAME = 10


def import_arguments(root: Path, sources: Path, number: int) -> list[str]:
    """The arguments of `curate` for an import of a COCO file that is made here when it is missing.

    Args:
        root: Of the project.
        sources: Where the file goes.
        number: Of the round: names the file and its label source.
    """
    path = sources / f"{number:05d}.json"
    if not path.exists():
        chance = random.Random(number)
        with Project.open(root).store as store:
            frames = list(store.frames())
        chosen = chance.sample(frames, min(_FRAMES, len(frames)))
        annotations: list[dict[str, object]] = []
        for frame_number, frame in enumerate(chosen):
            for _ in range(_LABELS_A_FRAME):
                width, height = chance.uniform(4, frame.width / 3), chance.uniform(4, frame.height / 3)
                x, y = chance.uniform(0, frame.width - width), chance.uniform(0, frame.height - height)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": frame_number,
                        "category_id": chance.randint(1, 2),
                        "bbox": [x, y, width, height],
                    }
                )
        images = [
            {"id": frame_number, "file_name": frame.name, "width": frame.width, "height": frame.height}
            for frame_number, frame in enumerate(chosen)
        ]
        categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
        sources.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return ["import", "coco", str(path), "--source", source_of(number), "--project", str(root)]


def labels_of(sources: Path) -> dict[str, int]:
    """Label source -> labels in its file, for every file that was made."""
    return {
        source_of(int(path.stem)): len(json.loads(path.read_text())["annotations"])
        for path in sorted(sources.glob("*.json"))
    }


def halves_of(store: Store, wanted: Mapping[str, int], done: Set[str]) -> list[str]:
    """What is wrong with the imports: half of one, more than one of the same, or none where it was said to be done.

    Args:
        store: The store.
        wanted: Label source -> labels in its file.
        done: Sources whose import ended well, so that somebody was told.

    Returns:
        One sentence for each source that is wrong.
    """
    there = {source: sum(store.label_counts(source).values()) for source in wanted}
    return [
        f"source {source}: {there[source]} labels of {labels}"
        for source, labels in wanted.items()
        if there[source] != labels and (there[source] or source in done)
    ]


def source_of(number: int) -> str:
    """The label source of a round's file."""
    return f"file-{number}"
