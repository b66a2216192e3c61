"""The map of frames: its figure, what is alike, taking frames out and back in."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from crossguard_app.presenters.frame_map import alike_frame_cards, exclude, frame_cloud, take_back
from crossguard_app.presenters.maps import alike_crop_cards, undo_all
from curate.annotations import Decision, DecisionKind
from curate.errors import NotFoundError
from curate.review import decide
from curate.workflows.dataset import working_frames
from curate.workflows.maps import frame_map
from curate.workflows.progress import Quiet, SubReporter
from curate.workflows.whole_frames import embed_frames


@pytest.fixture
def embedded(sample):
    embed_frames(sample.project, working_frames(sample.project), SubReporter(Quiet(), 0.0, 1.0))
    return sample


def excluded(project) -> set[str]:
    return {frame.id for frame in project.store.frames() if frame.excluded}


def decision(kind: DecisionKind, **changes) -> Decision:
    return Decision(uuid.uuid4().hex, kind, "ann", **changes)


def test_every_frame_is_a_point_and_the_excluded_are_crosses(embedded) -> None:
    project = embedded.project
    decide(project.store, decision(DecisionKind.EXCLUDE_FRAME, frame_id=working_frames(project)[0].id))
    points = frame_map(project)
    cloud = frame_cloud(points)
    assert [layer.key for layer in cloud.layers] == ["issues", "outlier", "clip", "source", "fold"]
    assert cloud.crossed.tolist() == list(points["excluded"])
    assert cloud.crossed.sum() == 1
    assert cloud.hover is not None
    assert cloud.hover.frames == tuple(points["frame_id"])
    assert all(len(layer.codes) == len(points) for layer in cloud.layers)
    names = {layer.key: [entry.name for entry in layer.categories] for layer in cloud.layers}
    assert names["source"] == ["cheap"]
    # Numbers that are not known have a colour of their own.
    points.loc[:2, "outlier"] = np.nan
    assert (frame_cloud(points).layers[1].codes == 255).sum() == 3


def test_alike_frames_come_nearest_first_with_their_similarity(embedded) -> None:
    project = embedded.project
    frames = working_frames(project)
    cards = alike_frame_cards(project, frames[0].id, 5)
    assert len(cards) == 5
    assert frames[0].id not in {card.key for card in cards}
    values = [float(card.badge) for card in cards]
    assert values == sorted(values, reverse=True)
    decide(project.store, decision(DecisionKind.EXCLUDE_FRAME, frame_id=cards[0].key))
    assert alike_frame_cards(project, frames[0].id, 5)[0].badge == "excluded"
    # No crop has been embedded yet.
    assert alike_crop_cards(project, "cheap-0-0", 5) == []


def test_frames_are_taken_out_and_back_in_and_each_way_can_be_undone(embedded) -> None:
    project = embedded.project
    frames = working_frames(project)[:3]
    ids = {frame.id for frame in frames}
    out = exclude(project, frames, "ann")
    assert (len(out), excluded(project)) == (3, ids)
    seen = project.store.frames(ids=ids)
    assert exclude(project, seen, "ann") == []

    back = take_back(project, seen, "bob")
    assert (len(back), excluded(project)) == (3, set())
    undo_all(project, back, "bob")
    assert excluded(project) == ids
    assert len(take_back(project, seen[:1], "ann")) == 1
    assert excluded(project) == ids - {seen[0].id}


def test_what_the_queue_took_out_is_taken_back_with_its_issue(embedded) -> None:
    project, issue = embedded.project, embedded.issues[4]
    decide(project.store, decision(DecisionKind.APPLY, issue_id=issue.id))
    assert excluded(project) == {issue.frame_id}
    take_back(project, [project.store.frame(issue.frame_id)], "ann")
    assert excluded(project) == set()
    assert project.store.issue(issue.id).state == "open"


def test_nothing_is_taken_back_when_one_frame_cannot_be(embedded) -> None:
    project = embedded.project
    frames = working_frames(project)[:2]
    exclude(project, frames[:1], "ann")
    project.store.set_frame_excluded(frames[1].id, True)
    with pytest.raises(NotFoundError, match="no decision"):
        take_back(project, project.store.frames(ids=[frame.id for frame in frames]), "ann")
    assert excluded(project) == {frame.id for frame in frames}
