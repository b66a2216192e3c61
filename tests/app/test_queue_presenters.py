"""Filters of the queue, the line above it, and what lies around an issue."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import replace

import pytest
from PIL import Image

from crossguard_app.presenters import review_log
from crossguard_app.presenters.issue_context import issue_context
from crossguard_app.presenters.queue_filter import QueueFilter, author_names, slice_names
from crossguard_app.presenters.review_log import history_values, progress_values
from curate.annotations import Decision, DecisionKind, IssueState, IssueType
from curate.errors import NotFoundError
from curate.review import decide, undo_last
from curate.workflows.maps import Alike


def decided(sample, number: int, kind: DecisionKind = DecisionKind.KEEP, **fields):
    return decide(
        sample.project.store, Decision(uuid.uuid4().hex, kind, "ann", sample.issues[number].id, **fields)
    )


def numbers(sample, queue: QueueFilter) -> list[int]:
    return [int(issue.id, 16) for issue in queue.page(sample.project, 100)]


def test_filters_narrow_by_recording_probability_and_slice(sample) -> None:
    frame = sample.project.store.frame(sample.issues[0].frame_id)
    assert len(numbers(sample, QueueFilter(clip=frame.clip))) == 10
    assert numbers(sample, QueueFilter(clip="elsewhere")) == []
    assert numbers(sample, QueueFilter(probability=(0.62, 0.8))) == [2, 3, 4, 5]
    assert slice_names(sample.project) == ["left half", "tall"]
    assert numbers(sample, QueueFilter(slice="tall")) == [3, 6, 7, 8]
    # By the foot of the place; a bad frame has none and is in no slice.
    assert numbers(sample, QueueFilter(slice="left half")) == [0, 1, 2, 5, 9]
    both = QueueFilter(types=(IssueType.SPURIOUS,), slice="tall", probability=(0, 0.62))
    assert numbers(sample, both) == [6, 7, 8]


def test_filters_narrow_by_who_wrote_the_label_as_it_is(sample) -> None:
    store, ours, anns = sample.project.store, QueueFilter(author="cheap"), QueueFilter(author="ann")
    assert numbers(sample, ours) == [1, 2, 3, 5, 6, 7, 8, 9]
    assert numbers(sample, anns) == []
    assert author_names(sample.project) == ["cheap"]
    change = Decision(
        uuid.uuid4().hex,
        DecisionKind.RELABEL,
        "ann",
        annotation_id=sample.issues[2].annotation_id,
        label="bicycle",
    )
    decide(store, change)
    assert author_names(sample.project) == ["cheap", "ann"]
    assert numbers(sample, anns) == [2]
    assert numbers(sample, ours) == [1, 3, 5, 6, 7, 8, 9]
    assert numbers(sample, replace(ours, slice="tall", types=(IssueType.SPURIOUS,))) == [3, 6, 7, 8]
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.UNDO, "bob", undoes=change.id))
    assert numbers(sample, anns) == []
    assert 2 in numbers(sample, ours)


def test_few_in_a_state_are_found_as_those_among_many(sample, monkeypatch) -> None:
    """Whichever are the fewer are gone through: what the filters leave, or what is in the state."""
    for number in (1, 3, 6):
        decided(sample, number)
    left = QueueFilter(slice="left half", state=IssueState.DECIDED)
    everywhere = QueueFilter(author="cheap", state=IssueState.DECIDED)
    assert (numbers(sample, left), numbers(sample, everywhere)) == ([1], [1, 3, 6])
    monkeypatch.setattr("crossguard_app.presenters.queue_filter._STEP", 1)
    assert [int(issue.id, 16) for issue in everywhere.page(sample.project, 2)] == [1, 3]
    monkeypatch.setattr(QueueFilter, "_by_state", QueueFilter._by_members)
    assert (numbers(sample, left), numbers(sample, everywhere)) == ([1], [1, 3, 6])


def test_a_slice_is_found_at_any_depth_and_follows_the_labels(sample, monkeypatch) -> None:
    store, tall = sample.project.store, QueueFilter(slice="tall")
    monkeypatch.setattr("crossguard_app.presenters.queue_filter._STEP", 1)
    assert numbers(sample, tall) == [3, 6, 7, 8]
    assert [int(issue.id, 16) for issue in tall.page(sample.project, 2)] == [3, 6]
    monkeypatch.setattr(type(store), "issue_rows", lambda _: pytest.fail("read a second time"))
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "ann", sample.issues[3].id))
    assert numbers(sample, tall) == [6, 7, 8]
    assert numbers(sample, replace(tall, state=IssueState.DECIDED)) == [3]
    # Its label was made smaller since: it is tall no longer.
    label = store.annotation(sample.issues[6].annotation_id)
    x1, _, x2, y2 = label.bbox_xyxy
    store.append_revision(
        replace(label, bbox_xyxy=(x1, y2 - 40, x2, y2)), parent=0, actor="ann", decision_id=None
    )
    assert numbers(sample, tall) == [7, 8]
    monkeypatch.undo()
    # Another order of the queue is another look.
    store.rank_issues({sample.issues[8].id: (0.9, 0.99)})
    assert numbers(sample, tall) == [8, 7]


def test_every_filter_has_a_token_of_its_own() -> None:
    filters = [
        QueueFilter(),
        QueueFilter(IssueState.SKIPPED),
        QueueFilter(types=(IssueType.MISSING,)),
        QueueFilter(labels=("person",)),
        QueueFilter(clip="person"),
        QueueFilter(slice="person"),
        QueueFilter(probability=(0.5, 1)),
    ]
    assert len({entry.token for entry in filters}) == len(filters)
    assert [entry.narrowed for entry in filters] == [0, 0, 0, 0, 1, 1, 1]


def test_the_line_above_the_queue(sample, monkeypatch) -> None:
    store = sample.project.store
    monkeypatch.setattr(review_log, "_kept", {})
    first = progress_values(store, "ann")
    assert (first["open"], first["decided"], first["per_minute"]) == (10, 0, None)
    assert first["next"]["items"] == 10
    assert first["next"]["low"] < first["expected"] < first["next"]["high"]
    decided(sample, 0)
    decided(sample, 3, DecisionKind.APPLY)
    monkeypatch.setattr(review_log, "_kept", {})
    second = progress_values(store, "ann")
    assert (second["open"], second["decided"], second["precision"]) == (8, 2, 0.5)
    assert second["per_minute"] > 0
    assert progress_values(store, "bob")["per_minute"] is None


def test_what_takes_long_to_count_is_counted_seldom(sample, monkeypatch) -> None:
    store = sample.project.store
    monkeypatch.setattr(review_log, "_kept", {})
    moments = iter((0.0, 1.0, 10.0, 30.0, 31.0))
    monkeypatch.setattr(review_log.time, "monotonic", lambda: next(moments))
    calls: list[int] = []
    monkeypatch.setattr(review_log, "_progress", lambda *_: calls.append(1) or {"open": len(calls)})
    assert [progress_values(store, "ann")["open"] for _ in range(3)] == [1, 1, 2]


def test_the_history_says_who_and_what_can_be_taken_back(sample) -> None:
    decided(sample, 6, DecisionKind.APPLY, group=True)
    decided(sample, 0)
    undo_last(sample.project.store, "ann")
    rows = history_values(sample.project.store)
    assert [row["standing"] for row in rows] == [False, False, True]
    assert rows[0]["text"] == "took back: kept as it is"
    assert rows[1]["text"] == "kept as it is (undone since)"
    assert rows[2]["text"] == "proposal applied, 3 labels"
    assert {row["who"] for row in rows} == {"ann"}
    assert rows[2]["issue_id"] == sample.issues[6].id


def test_before_and_after_and_the_place_in_time(sample) -> None:
    project, issues = sample.project, sample.issues
    edit = json.loads(json.dumps(issue_context(project, issues[1].id)))
    before, after = edit["change"]
    assert before["shapes"][0]["box"] == list(issues[1].bbox_xyxy)
    assert after["shapes"][0]["box"] == list(issues[1].proposal.bbox_xyxy)
    assert [shown["text"] for shown in edit["film"]] == ["-1.0 s", "now", "+1.0 s", "+2.0 s"]
    assert [shown["now"] for shown in edit["film"]] == [False, True, False, False]
    assert {tuple(shown["view"]) for shown in edit["film"]} == {tuple(before["view"])}
    gone = issue_context(project, issues[3].id)["change"]
    assert [shown["text"] for shown in gone] == ["person", "without it"]
    assert gone[1]["shapes"] == []
    renamed = issue_context(project, issues[5].id)["change"]
    assert renamed[0]["shapes"][0]["color"] != renamed[1]["shapes"][0]["color"]
    whole = issue_context(project, issues[4].id)
    assert whole["change"] == []
    assert whole["film"][0]["view"] == [0, 0, 320, 240]
    with pytest.raises(NotFoundError):
        issue_context(project, "nowhere")


def test_what_is_alike_names_the_class(sample, monkeypatch) -> None:
    found = [Alike("cheap-2-0", 0.91), Alike("cheap-8-mask", 0.5)]
    monkeypatch.setattr("crossguard_app.presenters.issue_context.similar_crops", lambda *_: found)
    alike = issue_context(sample.project, sample.issues[1].id)["alike"]
    assert [(shown["text"], shown["other"]) for shown in alike] == [
        ("person 0.91", False),
        ("bicycle 0.50", True),
    ]
    assert issue_context(sample.project, sample.issues[0].id)["alike"] == []
    decide(sample.project.store, Decision(uuid.uuid4().hex, DecisionKind.APPLY, "ann", sample.issues[3].id))
    gone = issue_context(sample.project, sample.issues[3].id)
    assert gone["alike"] == [], "its label was deleted; the rest is there"
    assert len(gone["film"]) > 2


def test_the_crops_are_addresses_that_the_route_answers(sample, get) -> None:
    status, headers, body = get(sample_address(sample))
    assert (status, headers["cache-control"]) == (200, "no-store")
    around = json.loads(body)
    for picture in (*around["change"], *around["film"]):
        status, _, content = get(picture["url"])
        assert status == 200
        assert Image.open(io.BytesIO(content)).size == (160, 160)
    assert get(sample_address(sample).split("?")[0])[0] == 403
    other = sample.issues[2].id
    assert get(sample_address(sample).replace(sample.issues[1].id, other))[0] == 403


def sample_address(sample) -> str:
    from crossguard_app.resources import context_url

    return context_url(sample.project, sample.issues[1].id)
