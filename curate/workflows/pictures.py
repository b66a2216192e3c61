"""Numbers about the pictures themselves, whatever their labels: sharpness, exposure, movement, near-duplicates."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from curate.annotations import Frame
from curate.issues import FrameHealth
from curate.scene.duplicates import frame_signature, near_duplicates, signature_distance
from curate.scene.estimate import choose_plate
from curate.scene.health import FrameNumbers, judge_frames, measure_frame
from curate.scene.plate import Plate
from curate.types import FloatArray, ImageArray, IntArray
from curate.workflows.files import write_atomically
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project

__all__ = ["picture_health", "stored_numbers"]

_NAMES = tuple(field.name for field in fields(FrameNumbers))


def picture_health(
    project: Project, frames: Sequence[Frame], plates: Sequence[Plate], digest: str, reporter: SubReporter
) -> FrameHealth:
    """Health of the frames, in their order; measured once per frame and plate, then taken from the cache.

    Args:
        project: The project.
        frames: In order of clip and time.
        plates: The empty scene.
        digest: Of the plates: another one measures everything again.
        reporter: Told how far it is.
    """
    path = project.cache_dir / "pictures.npz"
    known = _load(path, digest)
    missing = [index for index, frame in enumerate(frames) if frame.id not in known]
    for done, index in enumerate(missing):
        frame = frames[index]
        reporter.update(done / len(missing), f"looking at picture {done + 1} of {len(missing)}")
        image = project.frame_image(frame)
        before = frames[index - 1] if index and frames[index - 1].clip == frame.clip else None
        previous = None if before is None else project.frame_image(before)
        numbers = measure_frame(image, previous, choose_plate(image, plates))
        known[frame.id] = (numbers, frame_signature(image))
    if missing:
        _save(path, digest, known)
    rows = [known[frame.id] for frame in frames]
    verdicts = judge_frames([numbers for numbers, _ in rows])
    twins, distances = _twins(np.stack([signature for _, signature in rows]))
    return FrameHealth(
        sharpness=_column(rows, "sharpness"),
        brightness=_column(rows, "brightness"),
        change=_column(rows, "change"),
        shift=_column(rows, "plate_shift"),
        twin=twins,
        twin_distance=distances,
        verdicts=tuple(verdict.faults for verdict in verdicts),
    )


def stored_numbers(project: Project, digest: str) -> dict[str, FrameNumbers]:
    """What the last scan measured, by frame id; empty before one, or when the plates were made anew since.

    Args:
        project: The project.
        digest: Of the plates.
    """
    known = _load(project.cache_dir / "pictures.npz", digest)
    return {frame_id: numbers for frame_id, (numbers, _) in known.items()}


Rows = list[tuple[FrameNumbers, ImageArray]]


def _column(rows: Rows, name: str) -> FloatArray:
    values = [getattr(numbers, name) for numbers, _ in rows]
    return np.array([np.nan if value is None else value for value in values], float)


def _twins(signatures: ImageArray) -> tuple[IntArray, FloatArray]:
    twins = near_duplicates(list(signatures))
    distance = np.full(len(signatures), np.nan)
    for index in np.flatnonzero(twins >= 0):
        distance[index] = signature_distance(signatures[index], signatures[twins[index]][None])[0]
    return twins, distance


def _load(path: Path, digest: str) -> dict[str, tuple[FrameNumbers, ImageArray]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            if str(data["digest"]) != digest:
                return {}
            ids, numbers, signatures = data["ids"], data["numbers"], data["signatures"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    result = {}
    for key, row, signature in zip(ids.tolist(), numbers, signatures, strict=True):
        values = {
            name: None if np.isnan(value) else float(value) for name, value in zip(_NAMES, row, strict=True)
        }
        result[str(key)] = (FrameNumbers(**values), signature)  # type: ignore[arg-type]
    return result


def _save(path: Path, digest: str, known: dict[str, tuple[FrameNumbers, ImageArray]]) -> None:
    table = [
        [np.nan if value is None else value for value in asdict(numbers).values()]
        for numbers, _ in known.values()
    ]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        digest=np.array(digest),
        ids=np.array(list(known)),
        numbers=np.array(table, float),
        signatures=np.stack([signature for _, signature in known.values()]),
    )
    write_atomically(path, buffer.getvalue())
