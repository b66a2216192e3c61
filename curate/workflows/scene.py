"""The empty scene of a project: made from its working frames, kept, and made again when they change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from curate.annotations import Frame
from curate.errors import DataError
from curate.scene.estimate import build_plates
from curate.scene.plate import Plate, load_plate, save_plate
from curate.store import Artifact
from curate.types import ImageArray
from curate.workflows.dataset import working_frames
from curate.workflows.files import read_json, write_json
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = ["background_plate", "background_plates", "frames_digest", "plates_digest"]

_STAGE = "plates"
_MOST_FRAMES = 240


def frames_digest(frames: Sequence[Frame]) -> str:
    """Digest of a set of frames."""
    return hashlib.sha256("\n".join(sorted(frame.id for frame in frames)).encode()).hexdigest()


def plates_digest(project: Project) -> str:
    """Digest of the plates in use: it changes when they are made anew."""
    return "/".join(entry.input_hash[:16] for entry in project.store.artifacts(_STAGE).values())


def background_plate(project: Project) -> Plate:
    """The plate of the commonest light.

    Raises:
        DataError: There are no frames.
    """
    return background_plates(project)[0]


def background_plates(project: Project, *, reporter: Reporter | None = None) -> list[Plate]:
    """The empty scene by light condition, commonest first.

    Raises:
        DataError: There are no frames, or they differ in size.
    """
    frames = working_frames(project)
    if not frames:
        raise DataError("there are no frames to see the empty scene in", hint="run `curate ingest` first")
    digest = frames_digest(frames)
    folder = project.cache_dir / "plates"
    known = project.store.artifacts(_STAGE)
    made_of = folder / "frames.json"
    if known and made_of.exists():
        before, now = set(read_json(made_of)), {frame.id for frame in frames}
        paths = [project.root / known[key].path for key in sorted(known)]
        changed = len(before ^ now) / len(before | now)
        # A frame more or less does not change the empty scene, and a new plate would make all evidence old.
        if changed <= project.config.scan.retrain_share and all(path.exists() for path in paths):
            return [load_plate(path) for path in paths]
    sizes = {(frame.width, frame.height) for frame in frames}
    if len(sizes) != 1:
        raise DataError(
            f"the frames of one camera need one size, got {sorted(sizes)}",
            hint="exclude the others, or keep them in a project of their own",
        )
    step = max(1, len(frames) // _MOST_FRAMES)
    sample = frames[::step]
    report = reporter or Quiet()

    def images() -> Iterator[ImageArray]:
        for number, frame in enumerate(sample):
            report.update(
                number / len(sample), f"looking at the empty scene, frame {number + 1} of {len(sample)}"
            )
            yield project.frame_image(frame)

    plates = sorted(build_plates(images(), most=_MOST_FRAMES), key=lambda plate: -plate.frames)
    folder.mkdir(exist_ok=True)
    rows = []
    for number, plate in enumerate(plates):
        path = folder / f"plate-{number}.npz"
        save_plate(plate, path)
        rows.append(Artifact(_STAGE, f"{number:02d}", digest, str(path.relative_to(project.root))))
    write_json(made_of, sorted(frame.id for frame in frames))
    with project.store.begin():
        project.store.delete_artifacts(_STAGE)
        project.store.put_artifacts(rows)
    return plates
