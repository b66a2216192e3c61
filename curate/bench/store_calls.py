"""The calls of `curate bench store`: `python -m curate.bench.store_calls FOLDER FRAMES CALL SECONDS` does one."""

from __future__ import annotations

import hashlib
import io
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from curate.annotations import (
    Decision,
    DecisionKind,
    Frame,
    Issue,
    IssueType,
    Proposal,
    ProposalKind,
)
from curate.bench.store_fill import CLIP, LABELS_A_FRAME, fill, frame_digest
from curate.bench.store_fill_postgres import fill_postgres
from curate.formats import write_coco
from curate.review import decide, review_progress, reviewer_stats, second_queue, undo_last
from curate.versions import diff_versions, get_version, list_versions
from curate.workflows.ingest import ingest
from curate.workflows.label_export import export_coco
from curate.workflows.labels import import_coco
from curate.workflows.measure import StepMeter
from curate.workflows.project import SITE_FILE, Project
from curate.workflows.snapshot import snapshot
from curate.workflows.status import project_status

__all__ = ["CALLS", "Call"]

_EVERY = 10**9
_LAST = 10_000
_REPEAT = 20
_SIZE = (1920, 1080)
_CLASSES = ("person", "car")


class Unfinished(Exception):
    """The time was up in the middle of filling; the next run goes on."""


@dataclass
class Bench:
    """What a call works on.

    Attributes:
        project: The project of this size.
        frames: Its number of frames.
        ends: `time.monotonic()` at which to stop filling.
        seconds: Measured by the call itself; None for all of it.
    """

    project: Project
    frames: int
    ends: float
    seconds: float | None = None

    def each(self, action: Callable[[random.Random], object]) -> None:
        """Repeat an interactive action; its time is the 95th percentile, the first one (cold) left out."""
        chance = random.Random(self.frames)
        took = []
        for _ in range(_REPEAT + 1):
            started = time.perf_counter()
            action(chance)
            took.append(time.perf_counter() - started)
        self.seconds = sorted(took[1:])[int(0.95 * _REPEAT) - 1]


def frame_id(number: int) -> str:
    """Id of a frame."""
    return frame_digest(number)[:32]


def _frame(number: int) -> Frame:
    digest = frame_digest(number)
    clip = f"clip-{number // CLIP:05d}"
    return Frame(
        id=digest[:32],
        name=f"{clip}_{number % CLIP:06d}.jpg",
        camera="camera-1",
        clip=clip,
        index=number % CLIP,
        captured_at=number / 2,
        wall_time=False,
        width=_SIZE[0],
        height=_SIZE[1],
        sha256=digest,
        path=f"{digest[:2]}/{digest[:32]}.jpg",
        source=f"{clip}.mp4",
    )


def fill_up(bench: Bench) -> None:
    """All frames but the last 10,000, with their labels, by SQL: what the rest stands on, no measurement of its own."""
    store = bench.project.store
    there, wanted = store.frame_counts()[0], bench.frames - _LAST
    if there < wanted:
        store.close()
        url = bench.project.database_url
        if url.startswith("postgresql"):
            there = fill_postgres(url, there, wanted, bench.ends)
        else:
            there = fill(bench.project.state_dir / "crossguard.db", there, wanted, bench.ends)
        if there < wanted:
            raise Unfinished


def ingest_rows(bench: Bench) -> None:
    """The last 10,000 frames into the database in batches of 50, as an ingest does; rows only, no image files."""
    store = bench.project.store
    for start in range(store.frame_counts()[0], bench.frames, 50):
        store.add_frames(_frame(number) for number in range(start, min(start + 50, bench.frames)))


def ingest_files(bench: Bench) -> None:
    """A whole ingest of tiny images, each a file of its own that is written through to the disk."""
    folder = bench.project.root / "images"
    folder.mkdir(exist_ok=True)
    for number in range(bench.frames):
        buffer = io.BytesIO()
        Image.new("RGB", (16, 12), (number % 256, number // 256 % 256, number // 65536)).save(buffer, "PNG")
        (folder / f"{number:07d}.png").write_bytes(buffer.getvalue())
    other = _project(bench.project.root / "files")
    started = time.perf_counter()
    ingest(other, [folder])
    bench.seconds = time.perf_counter() - started
    other.store.close()


def import_labels(bench: Bench) -> None:
    """A COCO file of the last 10,000 frames with 100,000 labels; writing it is not counted."""
    file = bench.project.root / "labels.json"
    _write_coco(file, max(0, bench.frames - _LAST), bench.frames)
    started = time.perf_counter()
    import_coco(bench.project, file)
    bench.seconds = time.perf_counter() - started


def import_all(bench: Bench) -> None:
    """A COCO file of all frames and labels as a second source, taken back at the end; writing it is not counted."""
    file = bench.project.root / "all.json"
    _write_coco(file, 0, bench.frames)
    started = time.perf_counter()
    import_coco(bench.project, file, source="again", dry_run=True)
    bench.seconds = time.perf_counter() - started


def _write_coco(file: Path, start: int, stop: int) -> None:
    categories = [{"id": at + 1, "name": name} for at, name in enumerate(_CLASSES)]
    data = {
        "images": _images(start, stop),
        "annotations": _annotations(start, stop),
        "categories": categories,
    }
    write_coco(file, data)


def _images(start: int, stop: int) -> Iterator[dict[str, Any]]:
    for number in range(start, stop):
        yield {"id": number, "file_name": _frame(number).name, "width": _SIZE[0], "height": _SIZE[1]}


def _annotations(start: int, stop: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(start)
    for number in range(start, stop):
        for at in range(LABELS_A_FRAME):
            yield {
                "id": number * LABELS_A_FRAME + at + 1,
                "image_id": number,
                "category_id": 1 + at % 2,
                "bbox": [round(chance.uniform(0, 1800), 2), round(chance.uniform(0, 900), 2), 40.5, 90.25],
                "area": 3655.13,
                "iscrowd": 0,
            }


def take_in_scan(bench: Bench) -> None:
    """The whole result of a scan, one issue a frame, into the queue."""
    bench.project.store.upsert_issues(_issues(bench.frames))


def _issues(frames: int) -> Iterator[Issue]:
    kinds = list(IssueType)
    for number in range(frames):
        severity = int(hashlib.sha256(f"severity {number}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        yield Issue(
            id=hashlib.sha256(f"issue {number}".encode()).hexdigest()[:32],
            type=kinds[number % len(kinds)],
            frame_id=frame_id(number),
            annotation_id=f"cheap:{number * LABELS_A_FRAME + 1}",
            bbox_xyxy=(10.0, 10.0, 50.5, 100.25),
            label=_CLASSES[number % 2],
            severity=severity,
            probability=severity * 0.9,
            explanation="The detectors of the other folds see nothing here (0.03).",
            evidence={"score": 0.03, "foreground": 0.02},
            proposal=Proposal(ProposalKind.DELETE_LABEL),
            group_id=f"place-{number // 7}",
        )


def queue_page(bench: Bench) -> None:
    """What the queue shows: 16 issues, progress, the counts; with a filter of types and class every second time."""
    store = bench.project.store

    def show(chance: random.Random) -> None:
        types = chance.sample(list(IssueType), 3) if chance.random() < 0.5 else None
        page = store.issues(types=types, labels=["car"] if types else None, limit=16)
        store.frames(ids=[issue.frame_id for issue in page.issues])
        store.annotations(source="cheap", frame_ids=[issue.frame_id for issue in page.issues])
        for issue in page.issues:
            store.issue_statuses(group_id=issue.group_id)
        review_progress(store)

    bench.each(show)


def queue_deep(bench: Bench) -> None:
    """A page of 100 from somewhere in the middle of the queue."""
    store = bench.project.store
    bench.each(lambda chance: store.issues(limit=100, after=f"{chance.random()!r} "))


def queue_filtered(bench: Bench) -> None:
    """A page behind filters that fit little: a recording, a narrow or empty range of P(error), some types."""
    store = bench.project.store
    clips = store.clips()

    def show(chance: random.Random) -> None:
        clip = chance.choice((None, chance.choice(clips)))
        low = chance.choice((0.0, 0.1, 0.8, 0.95))
        types = chance.sample(list(IssueType), 3) if chance.random() < 0.5 else None
        store.issues(types=types, clip=clip, probability=(low, low + 0.001), limit=16)

    bench.each(show)


def team(bench: Bench) -> None:
    """What the people did, how far they agree, what one of them should judge again, the newest changes, recordings."""
    store = bench.project.store

    def show(_: random.Random) -> None:
        reviewer_stats(store)
        second_queue(store, "another", share=1.0)
        store.audit_log(50)
        store.clips()

    bench.each(show)


def decision(bench: Bench) -> None:
    """Apply the proposal of one issue, saved on the disk; every fifth time undo the last."""
    store = bench.project.store
    waiting = [issue.id for issue in store.issues(limit=100).issues]

    def act(chance: random.Random) -> None:
        if chance.random() < 0.2 and store.last_standing_decision("bench"):
            undo_last(store, "bench")
        else:
            decide(store, Decision(uuid.uuid4().hex, DecisionKind.APPLY, "bench", issue_id=waiting.pop()))

    bench.each(act)


def frame_open(bench: Bench) -> None:
    """A frame with its labels and issues, as the editor opens it."""
    store = bench.project.store

    def show(chance: random.Random) -> None:
        wanted = frame_id(chance.randrange(bench.frames))
        store.frame(wanted)
        store.annotations(source="cheap", frame_ids=[wanted])
        store.issue_statuses(frame_id=wanted)

    bench.each(show)


def frames_page(bench: Bench) -> None:
    """A page of 100 frames behind some frame."""
    store = bench.project.store
    bench.each(lambda chance: store.frames_page(100, after=_frame(chance.randrange(bench.frames))))


def status(bench: Bench) -> None:
    """`curate status`, the overview's numbers."""
    bench.each(lambda _: project_status(bench.project))


def export_labels(bench: Bench) -> None:
    """All labels into one COCO file."""
    export_coco(bench.project, bench.project.root / "export.json")


def version_create(bench: Bench) -> None:
    """A dataset version of all labels."""
    snapshot(bench.project, note="bench", created_by="bench")


def version_diff(bench: Bench) -> None:
    """Two versions that differ in some labels; the second is made first and not counted."""
    store = bench.project.store
    if len(list_versions(store)) < 2:
        for number in range(0, bench.frames, max(1, bench.frames // 100)):
            label = f"cheap:{number * LABELS_A_FRAME + 2}"
            kind = DecisionKind.DELETE_LABEL if number % 2 else DecisionKind.RELABEL
            edit = Decision(uuid.uuid4().hex, kind, "bench", annotation_id=label, label="person")
            decide(store, edit)
        snapshot(bench.project, note="second", created_by="bench")
    old, new = list_versions(store)[:2]
    started = time.perf_counter()
    diff_versions(store, get_version(store, old.id), get_version(store, new.id))
    bench.seconds = time.perf_counter() - started


def version_list(bench: Bench) -> None:
    """The list of versions."""
    bench.each(lambda _: list_versions(bench.project.store))


@dataclass(frozen=True)
class Call:
    """A call.

    Attributes:
        run: Does it.
        interactive: Whether a person waits for it.
        largest: Up to so many frames it is measured.
        own_project: It makes a project beside, which a given database has no place for.
    """

    run: Callable[[Bench], None]
    interactive: bool = False
    largest: int = _EVERY
    own_project: bool = False


CALLS: dict[str, Call] = {
    "ingest_files": Call(ingest_files, largest=10_000, own_project=True),
    "fill": Call(fill_up),
    "ingest_rows": Call(ingest_rows),
    "import": Call(import_labels),
    "import_all": Call(import_all),
    "scan_result": Call(take_in_scan),
    "queue_page": Call(queue_page, interactive=True),
    "queue_deep": Call(queue_deep, interactive=True),
    "queue_filtered": Call(queue_filtered, interactive=True),
    "decision": Call(decision, interactive=True),
    "team": Call(team, interactive=True),
    "frame_open": Call(frame_open, interactive=True),
    "frames_page": Call(frames_page, interactive=True),
    "status": Call(status, interactive=True),
    "version_create": Call(version_create),
    "version_diff": Call(version_diff),
    "version_list": Call(version_list, interactive=True),
    "export": Call(export_labels),
}
"""In the order in which they build on each other."""


def _project(folder: Path) -> Project:
    if not (folder / SITE_FILE).is_file():
        return Project.create(folder, list(_CLASSES))
    return Project.open(folder)


def main(folder: str, frames: str, name: str, seconds: str) -> None:
    """Do one call and write its figures, or null when the time was up, on standard output."""
    bench = Bench(_project(Path(folder)), int(frames), time.monotonic() + float(seconds))
    meter = StepMeter()
    try:
        started, worked = time.perf_counter(), time.process_time()
        with meter.step(name):
            CALLS[name].run(bench)
        whole = time.perf_counter() - started
    except Unfinished:
        sys.stdout.write("null")
        return
    figures = {
        "seconds": round(whole if bench.seconds is None else bench.seconds, 5),
        "cpu_seconds": round(time.process_time() - worked, 3),
        "peak_mb": meter.steps[name]["peak_mb"],
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
