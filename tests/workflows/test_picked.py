"""What a person sends to the queue stays there through scans, once, and can be taken out again."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from curate.annotations import (
    Annotation,
    Decision,
    DecisionKind,
    Frame,
    IssueState,
    IssueType,
    Polygon,
    replace,
)
from curate.errors import NotFoundError
from curate.review import decide
from curate.workflows.picked import (
    is_picked,
    picked_issues,
    send_frames,
    send_labels,
    take_from_queue,
)
from curate.workflows.project import Project


def frame(number: int) -> Frame:
    return Frame(f"{number:032x}", f"f{number}.jpg", "c", "clip", number, number, False, 100, 80, "", "", "s")


@pytest.fixture
def project(tmp_path: Path):
    (tmp_path / "site.yaml").write_text("classes: [person]\n", encoding="utf-8")
    opened = Project.open(tmp_path)
    frames = [frame(number) for number in range(3)]
    opened.store.add_frames(frames)
    labels = [Annotation(f"a{n}", frames[n].id, "person", (1, 1, 9, 9), source="cheap") for n in range(3)]
    opened.store.add_annotations(labels, "import")
    yield opened
    opened.store.close()


def open_issues(project: Project) -> dict[str, str | None]:
    return {
        s.issue.id: s.issue.annotation_id for s in project.store.issue_statuses(states=(IssueState.OPEN,))
    }


def test_labels_are_sent_once_and_come_first(project: Project) -> None:
    labels = project.store.annotations(source="cheap")
    sent = send_labels(project, labels[:2], "ann")
    assert (len(sent.issues), sent.waiting) == (2, 0)
    again = send_labels(project, labels, "bob")
    assert (len(again.issues), again.waiting) == (1, 2)
    first = project.store.issues(limit=1).issues[0]
    assert (first.severity, first.type, is_picked(first)) == (1.0, IssueType.OUTLIER, True)
    assert "ann picked it" in project.store.issue(sent.issues[0]).explanation

    decide(project.store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "ann", sent.issues[0]))
    assert take_from_queue(project, (*sent.issues, *again.issues)) == 2
    assert open_issues(project) == {}
    # Sent again after it was taken out: it opens again.
    assert len(send_labels(project, labels[2:], "ann").issues) == 1
    assert set(open_issues(project).values()) == {labels[2].id}


def test_a_scan_does_not_take_them_away(project: Project) -> None:
    labels = project.store.annotations(source="cheap")
    sent = send_labels(project, labels[:1], "ann")
    whole = send_frames(project, project.store.frames()[:1], "ann")
    assert project.store.issue(whole.issues[0]).type is IssueType.BAD_FRAME
    found = []  # what a scan found by itself
    project.store.upsert_issues([*found, *picked_issues(project, found)])
    assert set(open_issues(project)) == {*sent.issues, *whole.issues}
    project.store.upsert_issues([])
    assert open_issues(project) == {}


def test_all_or_none_are_sent(project: Project) -> None:
    labels = project.store.annotations(source="cheap")
    stranger = Annotation("nobody", labels[0].frame_id, "person", (1, 1, 9, 9))
    with pytest.raises(NotFoundError):
        send_labels(project, [labels[0], stranger], "ann")
    assert open_issues(project) == {}


def test_what_is_open_is_told_without_reading_the_issues(project: Project) -> None:
    labels = project.store.annotations(source="cheap")
    sent = send_labels(project, labels[:2], "ann")
    whole = send_frames(project, project.store.frames()[2:], "ann")
    take_from_queue(project, sent.issues[:1])
    issue = project.store.issue(sent.issues[1])
    assert project.store.flagged_labels() == {issue.annotation_id: IssueType.OUTLIER}
    assert sum(project.store.open_by_frame().values()) == 2
    assert sorted(project.store.open_subjects(), key=str) == sorted(
        [
            (project.store.issue(sent.issues[1]).annotation_id, labels[1].frame_id, IssueType.OUTLIER),
            (None, project.store.issue(whole.issues[0]).frame_id, IssueType.BAD_FRAME),
        ],
        key=str,
    )


def test_labels_without_their_masks(project: Project) -> None:
    outline = Polygon(((1.0, 1.0), (9.0, 1.0), (9.0, 9.0)))
    frame_id = project.store.frames()[0].id
    drawn = Annotation("drawn", frame_id, "person", (1, 1, 9, 9), mask=(outline,), source="cheap")
    project.store.add_annotations([drawn], "import")
    plain = project.store.annotations(source="cheap", masks=False)
    assert [replace(a, mask=None) for a in project.store.annotations(source="cheap")] == plain
    assert project.store.annotation("drawn").mask == (outline,)
