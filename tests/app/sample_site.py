"""A small project with drawn frames, labels with known errors and a queue."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from curate.annotations import Annotation, Issue, IssueType, Proposal, ProposalKind
from curate.config import parse_site
from curate.geometry.shapes import Polygon
from curate.workflows.gold import create_gold, freeze_gold
from curate.workflows.ingest import ingest
from curate.workflows.project import Project

FRAMES = 24
SIZE = (320, 240)
SITE = """\
site: test site
classes: [person, bicycle, "van & co"]
split: {block_seconds: 2, gap_seconds: 0, folds: 2, gold_share: 0.25}
model: {input_size: 160}
train: {steps: 2, fold_steps: 2, batch_size: 2, device: cpu}
evaluation: {resamples: 100}
slices:
  - {name: left half, region: [[0, 0], [160, 0], [160, 240], [0, 240]]}
  - {name: tall, min_height: 85}
"""


def people(index: int) -> list[tuple[float, float, float, float]]:
    """Where the two walkers are on a frame."""
    left = 20 + 9 * index
    right = 270 - 8 * index
    return [(left, 80, left + 28, 160), (right, 110, right + 30, 200)]


PARKED = (4.0, 205.0, 44.0, 235.0)
"""Where something stands on every frame that nobody labelled."""


def draw(path: Path, index: int) -> None:
    rng = np.random.default_rng(index)
    ground = np.full((SIZE[1], SIZE[0], 3), (96, 104, 92), np.uint8)
    ground[:] = np.clip(ground + rng.integers(-6, 7, ground.shape), 0, 255)
    image = Image.fromarray(ground)
    pen = ImageDraw.Draw(image)
    x1, y1, x2, y2 = PARKED
    pen.rectangle(PARKED, fill=(150, 60, 50))
    for left in range(int(x1) + 4, int(x2), 12):
        pen.rectangle((left, y1 + 6, left + 5, y2 - 6), fill=(226, 220, 200))
    for x1, y1, x2, y2 in people(index):
        pen.ellipse((x1 + 8, y1, x2 - 8, y1 + 16), fill=(196, 160, 138))
        pen.rectangle((x1, y1 + 16, x2, y2 - 30), fill=(40, 44, 70))
        pen.rectangle((x1 + 4, y2 - 30, x2 - 4, y2), fill=(30, 30, 34))
    image.save(path, quality=95)


@dataclass(frozen=True)
class Sample:
    """The project and what was put into it."""

    project: Project
    issues: list[Issue]


def fill(project: Project, images: Path) -> list[Issue]:
    images.mkdir()
    for index in range(FRAMES):
        draw(images / f"frame_{index:03d}.jpg", index)
    project.store.set_site(project.config.classes, project.config.labels.working)
    ingest(project, [images])
    frames = sorted(project.store.frames(), key=lambda frame: frame.name)
    labels = [
        Annotation(f"{source}-{index}-{which}", frame.id, "person", box, source=source)
        for source in ("cheap", "gold")
        for index, frame in enumerate(frames)
        for which, box in enumerate(people(index))
    ]
    x1, y1, x2, y2 = people(8)[0]
    outline = Polygon(((x1, y1), (x2, y1), (x2, y2), (x1, y2)))
    labels.append(
        Annotation("cheap-8-mask", frames[8].id, "bicycle", (x1, y1, x2, y2), mask=(outline,), source="cheap")
    )
    project.store.add_annotations(labels, "import")
    create_gold(project, frame_ids=[frame.id for frame in frames[-6:]])
    freeze_gold(project)
    issues = make_issues(frames)
    project.store.upsert_issues(issues)
    return issues


def make_issues(frames: list) -> list[Issue]:
    """A queue in a known order: severity falls."""
    gap = (140.0, 40.0, 170.0, 90.0)
    better = (people(1)[0][0], 78.0, people(1)[0][2] + 2, 162.0)
    rows = [
        (IssueType.MISSING, 0, None, Proposal(ProposalKind.ADD, "person", gap), gap),
        (IssueType.BAD_LOCATION, 1, "cheap-1-0", Proposal(ProposalKind.EDIT, None, better), people(1)[0]),
        (IssueType.OUTLIER, 2, "cheap-2-0", Proposal(ProposalKind.NONE), people(2)[0]),
        (IssueType.SPURIOUS, 3, "cheap-3-1", Proposal(ProposalKind.DELETE_LABEL), people(3)[1]),
        (IssueType.BAD_FRAME, 4, None, Proposal(ProposalKind.EXCLUDE_FRAME), None),
        (IssueType.WRONG_CLASS, 5, "cheap-5-0", Proposal(ProposalKind.RELABEL, "bicycle"), people(5)[0]),
        *(
            (
                IssueType.SPURIOUS,
                index,
                f"cheap-{index}-1",
                Proposal(ProposalKind.DELETE_LABEL),
                people(index)[1],
            )
            for index in (9, 10, 11)
        ),
        (IssueType.WRONG_CLASS, 6, "cheap-6-0", Proposal(ProposalKind.RELABEL, "bicycle"), people(6)[0]),
    ]
    return [
        Issue(
            id=f"{place:032x}",
            type=kind,
            frame_id=frames[index].id,
            annotation_id=label,
            bbox_xyxy=box,
            label="person",
            severity=0.95 - 0.05 * place,
            probability=0.9 - 0.05 * place,
            explanation=f"<i>Planted</i> error number {place}.",
            evidence={"planted": float(place)},
            proposal=proposal,
            group_id="standing" if index in (9, 10, 11) else None,
        )
        for place, (kind, index, label, proposal, box) in enumerate(rows)
    ]


def make_sample(folder: Path) -> Sample:
    """The project with its frames, labels and queue, in a folder that is not there yet."""
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    project = Project(folder, parse_site(SITE))
    issues = fill(project, folder.parent / "images")
    project.store.close()
    return Sample(Project(folder, project.config), issues)


def copy_of(template: Sample, folder: Path) -> Sample:
    template.project.store.close()
    shutil.copytree(template.project.root, folder)
    return Sample(Project.open(folder), template.issues)
