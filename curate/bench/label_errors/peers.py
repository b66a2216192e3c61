"""Other tools on the same labels, predictions and candidates: run in environments of their own, by files."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import curate
from curate.annotations import IssueType, Mask
from curate.bench.label_errors.case import LABEL_TYPES, Case
from curate.bench.label_errors.judge import queue_of
from curate.bench.label_errors.metrics import average_precision, found_share
from curate.bench.label_errors.tools import ToolScores
from curate.errors import CurateError, DataError
from curate.files import read_json
from curate.issues.masks import as_rles, crop_rle, mask_bounds
from curate.types import FloatArray

__all__ = [
    "PeerError",
    "peer_environment",
    "peer_python",
    "peer_reason",
    "peer_scores",
    "peer_script",
    "run_peer",
    "write_input",
]

_TIMEOUT = 1800.0


class PeerError(CurateError):
    """Another tool failed or gave an answer that cannot be read."""


def peer_reason(tool: str, folder: Path) -> str | None:
    """Why a tool cannot be run; None if it can."""
    script, python = peer_script(tool), peer_python(tool, folder)
    if not script.exists():
        return f"{tool} is skipped: its script is not here ({script}); run from the source tree"
    if not python.exists():
        return f"{tool} is skipped: there is no {python}; `bash benchmarks/setup_peers.sh {folder}` makes it"
    return None


def peer_script(tool: str) -> Path:
    """The script that runs inside the tool's environment."""
    return Path(curate.__file__).parents[1] / "benchmarks" / f"peer_{tool}.py"


def peer_python(tool: str, folder: Path) -> Path:
    """The interpreter of the tool's environment."""
    return folder.absolute() / tool / "bin" / "python"


def run_peer(case: Case, tool: str, folder: Path, cache: Path) -> Mapping[str, Any]:
    """The answer of a tool; taken from the cache when it has seen the same input before.

    Args:
        case: What is judged.
        tool: "cleanlab" or "fiftyone".
        folder: With the environments.
        cache: Where answers are kept.

    Raises:
        PeerError: The tool failed, took longer than half an hour, or its answer does not fit.
    """
    data = write_input(case)
    script = peer_script(tool)
    key = hashlib.sha256(data + script.read_bytes()).hexdigest()[:16]
    answer = cache.absolute() / "peers" / f"{tool}-{key}.json"
    if not answer.exists():
        answer.parent.mkdir(parents=True, exist_ok=True)
        given, fresh = answer.with_suffix(".npz"), answer.with_suffix(".new")
        given.write_bytes(data)
        command = [str(peer_python(tool, folder)), str(script), str(given), str(fresh)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT, env=peer_environment(tool, folder)
            )
        except subprocess.TimeoutExpired as error:
            raise PeerError(f"{tool} did not end within {_TIMEOUT:.0f} s", item=tool) from error
        finally:
            given.unlink(missing_ok=True)
        if done.returncode or not fresh.exists():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise PeerError(f"{tool} failed: {last}", item=tool, hint="see benchmarks/README.md")
        fresh.rename(answer)
    return _checked(read_json(answer), case, tool)


def peer_environment(tool: str, folder: Path) -> dict[str, str]:
    """Variables for the tool: no telemetry, a database and a home of its own, OpenSSL 1.1 where it was fetched."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    if tool == "fiftyone":
        home = folder.absolute() / "home"
        home.mkdir(parents=True, exist_ok=True)
        libraries = [str(folder.absolute() / "openssl" / "mysql" / "vendor")]
        libraries += [path for path in (os.environ.get("LD_LIBRARY_PATH"),) if path]
        environment |= {
            "HOME": str(home),
            "FIFTYONE_DO_NOT_TRACK": "true",
            "FIFTYONE_DATABASE_DIR": str(folder.absolute() / "database"),
            "LD_LIBRARY_PATH": ":".join(libraries),
        }
    return environment


def write_input(case: Case) -> bytes:
    """Labels that count and all predictions as one .npz (see benchmarks/peer_cleanlab.py)."""
    labels, found, frames = case.inputs.labels, case.inputs.detections, case.inputs.frames
    rows = np.flatnonzero(case.judged)
    arrays: dict[str, Any] = {
        "label_frames": np.asarray(labels.frames)[rows],
        "label_boxes": np.asarray(labels.boxes, float)[rows],
        "label_classes": np.asarray(labels.classes)[rows],
        "det_frames": np.asarray(found.frames),
        "det_boxes": np.asarray(found.boxes, float),
        "det_scores": np.asarray(found.scores, float),
        "det_classes": np.asarray(found.classes),
        "sizes": np.column_stack([frames.widths, frames.heights]),
        "class_count": np.array(len(case.classes)),
    }
    if labels.masks is not None and found.masks is not None:
        masks = [*(labels.masks[row] for row in rows.tolist()), *found.masks]
        at = np.concatenate([arrays["label_frames"], arrays["det_frames"]])
        arrays |= _windows(masks, np.asarray(frames.widths)[at], np.asarray(frames.heights)[at])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _windows(masks: list[Mask | None], widths: np.ndarray, heights: np.ndarray) -> dict[str, np.ndarray]:
    """Each mask cut to its bounds, in whole pixels; an empty window where there is none."""
    windows = np.zeros((len(masks), 4), np.int64)
    bits: list[np.ndarray] = []
    for row, rle in enumerate(as_rles(masks, widths, heights)):
        bounds = None if rle is None else mask_bounds(rle)
        if rle is None or bounds is None:
            continue
        windows[row] = bounds
        bits.append(crop_rle(rle, bounds).ravel())
    return {
        "mask_windows": windows,
        "mask_bits": np.concatenate(bits).astype(np.uint8) if bits else np.zeros(0, np.uint8),
    }


def _checked(answer: Any, case: Case, tool: str) -> Mapping[str, Any]:
    """The answer, if it has one number (or null) for every label and detection that was handed over."""
    counts = {"labels": int(case.judged.sum()), "detections": len(case.inputs.detections)}
    try:
        for setting in answer["settings"].values():
            for side, count in counts.items():
                lists = [*setting[side].values(), setting["queue"][side]]
                if any(len(values) != count for values in lists):
                    raise DataError(f"expected {count} scores of the {side}")
        if "default" not in answer["settings"]:
            raise DataError("it has no default setting")
        float(answer["seconds"])
    except (KeyError, TypeError, AttributeError, ValueError, DataError) as error:
        raise PeerError(f"the answer of {tool} cannot be read: {error}", item=tool) from error
    return dict(answer)


def peer_scores(case: Case, tool: str, answer: Mapping[str, Any]) -> list[ToolScores]:
    """The tool at its defaults, and "-best": for each type the setting that did best on this very case."""
    variants = {name: _scores(case, tool, answer, name) for name in answer["settings"]}
    default = variants["default"]
    best: dict[IssueType, FloatArray] = {}
    own: set[IssueType] = set()
    for kind in {kind for scores in variants.values() for kind in scores.types}:
        choices = [
            scores for scores in variants.values() if kind in scores.types and kind not in scores.general
        ] or list(variants.values())
        if kind not in choices[0].general:
            own.add(kind)
        best[kind] = max(
            (scores.types[kind] for scores in choices), key=lambda values: _ap(case, kind, values)
        )
    queue = max(variants.values(), key=lambda scores: _found(case, scores))
    general = tuple(kind for kind in best if kind not in own)
    return [
        default,
        ToolScores(
            f"{tool}-best", best, queue.label_queue, queue.pool_queue, np.zeros(0),
            default.seconds, default.peak_mb, None, general,
        ),
    ]  # fmt: skip


def _ap(case: Case, kind: IssueType, values: FloatArray) -> float:
    return float(np.nan_to_num(average_precision(*case.ranked(kind, values)), nan=-1.0))


def _found(case: Case, scores: ToolScores) -> float:
    return found_share(
        *queue_of(case, scores), round(0.2 * len(case.inputs.labels)), max(1, len(case.errors))
    )


def _scores(case: Case, tool: str, answer: Mapping[str, Any], name: str) -> ToolScores:
    setting = answer["settings"][name]
    label_queue = _of_labels(case, setting["queue"]["labels"])
    types = {IssueType(kind): _of_labels(case, values) for kind, values in setting["labels"].items()}
    general = tuple(kind for kind in LABEL_TYPES if kind not in types)
    types |= dict.fromkeys(general, label_queue)
    types[IssueType.MISSING] = _of_pool(case, setting["detections"]["missing"])
    peak = answer.get("peak_mb")
    return ToolScores(
        tool, types, label_queue, _of_pool(case, setting["queue"]["detections"]), np.zeros(0),
        float(answer["seconds"]), float("nan") if peak is None else float(peak), None, general,
    )  # fmt: skip


def _numbers(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], float)


def _of_labels(case: Case, values: list[float | None]) -> FloatArray:
    result = np.full(len(case.inputs.labels), np.nan)
    result[case.judged] = _numbers(values)
    return result


def _of_pool(case: Case, values: list[float | None]) -> FloatArray:
    """Scores of the candidates: those of their detections; a candidate that no detector sees has none."""
    numbers, rows = _numbers(values), case.pool.detections
    result = np.full(len(rows), np.nan)
    result[rows >= 0] = numbers[rows[rows >= 0]]
    return result
