"""Ship a trained detector: an ONNX model, and a signature that says all that is needed to run it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

import curate
from curate.errors import DataError, ModelError, ProjectError
from curate.evaluation import EvalResult
from curate.files import read_json, write_atomically, write_json
from curate.types import ImageArray
from curate.versions import get_version
from curate.workflows.evaluate import load_detector, run_folder
from curate.workflows.project import Project
from curate.workflows.runs import chosen_run

__all__ = ["MODEL", "PLATE", "SIGNATURE", "ExportReport", "export_model"]

MODEL = "model.onnx"
SIGNATURE = "signature.json"
PLATE = "background.png"
_FORMAT = 2


@dataclass(frozen=True)
class ExportReport:
    """What was written: the run, the folder, its files, size of the model in bytes."""

    run: str
    folder: str
    files: tuple[str, ...]
    model_bytes: int


def export_model(
    project: Project,
    folder: Path,
    *,
    run: str | None = None,
    frame_size: tuple[int, int] | None = None,
    masks: bool = True,
) -> ExportReport:
    """Write model.onnx, signature.json and, with difference channels, background.png.

    The model takes a batch of any size, of frames of one size. docs/deploy.md holds a program that runs it with
    onnxruntime, NumPy and OpenCV alone.

    Args:
        project: The project.
        folder: Made when missing; files of an earlier export in it are replaced.
        run: Run id; the newest training run when None.
        frame_size: Width and height of the frames; that of the project's frames when None.
        masks: Whether it predicts masks, too, where the detector does.

    Raises:
        NotFoundError: No such run, or none is finished.
        DataError: The project has no frames, or frames of several sizes.
        ModelError: The detector's files are broken, or it was not trained here.
        ProjectError: The folder cannot be written.
    """
    from curate.detectors import SiteDetector

    chosen = chosen_run(project, run)
    detector = load_detector(project, chosen)
    if not isinstance(detector, SiteDetector):
        raise ModelError("only detectors trained on the site are exported", item=f"run {chosen.id}")
    width, height = frame_size or _frame_size(project)
    if detector.plate is not None and detector.plate.shape[:2] != (height, width):
        raise ModelError(
            f"the detector's background plate is {detector.plate.shape[1]} x {detector.plate.shape[0]} pixels, "
            f"the frames are {width} x {height}"
        )
    model = detector.to_onnx(height, width, masks=masks)
    files = {MODEL: model}
    if detector.plate is not None:
        files[PLATE] = _png(detector.plate)
    signature = {
        "format": _FORMAT,
        "made_by": f"crossguard {curate.__version__}",
        "site": project.config.site,
        "camera": project.config.camera,
        "run": chosen.id,
        "fingerprint": detector.fingerprint,
        "version": _version(project, chosen.version_id),
        "classes": list(detector.classes),
        "masks": masks and detector.has_masks,
        **detector.signature(height, width, masks=masks),
        "thresholds": _thresholds(project, run_folder(project, chosen)),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectError(f"cannot be made: {error.strerror}", file=folder) from error
    # The signature comes last: whoever finds it finds the files that it names.
    (folder / SIGNATURE).unlink(missing_ok=True)
    for name, data in files.items():
        write_atomically(folder / name, data)
    write_json(folder / SIGNATURE, signature)
    return ExportReport(chosen.id, str(folder), (*files, SIGNATURE), len(model))


def _frame_size(project: Project) -> tuple[int, int]:
    sizes = {(frame.width, frame.height) for frame in project.store.frames()}
    if len(sizes) != 1:
        raise DataError(
            f"the size of the input follows from the frames, and these have {len(sizes)} sizes",
            hint="give it: --frame-size WIDTHxHEIGHT",
        )
    return sizes.pop()


def _version(project: Project, version_id: str | None) -> dict[str, Any] | None:
    if version_id is None:
        return None
    version = get_version(project.store, version_id)
    return {"id": version.id, "content_hash": version.content_hash}


def _thresholds(project: Project, folder: Path) -> dict[str, Any]:
    """The operating score of site.yaml, and the scores that reach its recalls on the newest gold set."""
    rows: dict[str, Any] = {"score": project.config.evaluation.score, "at_recall": None}
    gold = project.store.gold_sets()
    path = folder / f"{gold[-1].id}.json" if gold else folder / "none"
    if path.is_file():
        result = EvalResult.from_dict(read_json(path))
        rows["at_recall"] = {
            name: {f"{row.recall:g}": row.score for row in entry.fppi}
            for name, entry in result.per_class.items()
        }
    return rows


def _png(image: ImageArray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
