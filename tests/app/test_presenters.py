"""What the pages show, as values."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from crossguard_app.components.cloud import PackedCloud, PointCloud
from crossguard_app.components.points import chosen_rows
from crossguard_app.presenters.frames import FrameFilter, frame_cards, frames_data, matching_frames
from crossguard_app.presenters.layers import layer_choices
from crossguard_app.presenters.maps import (
    act_on,
    category_layer,
    chosen_labels,
    crop_cards,
    crop_cloud,
    undo_all,
)
from crossguard_app.presenters.overview import (
    class_confusion,
    pair_rows,
    people_rows,
    recent_decisions,
    stages,
    type_rows,
)
from crossguard_app.presenters.queue import WINDOW, editor_base, queue_data
from crossguard_app.presenters.queue_filter import QueueFilter
from crossguard_app.presenters.sync import SyncResult
from crossguard_app.presenters.wording import TITLES, VERDICTS, number_text, proposal_sentence
from curate.annotations import Decision, DecisionKind, IssueState, IssueType, ProposalKind
from curate.cli.main import app
from curate.errors import ConflictError
from curate.review import agreement_by_pair, decide, give_opinion, reviewer_stats
from curate.workflows.status import project_status


def data_of(sample, queue: QueueFilter | None = None, **changes) -> dict:
    arguments = {"current": None, "wanted": None, "token": "t", "reviewer": "ann"} | changes
    return queue_data(sample.project, queue or QueueFilter(), SyncResult("c", 3), **arguments)


def test_the_queue_comes_ranked_with_its_frames_and_is_json(sample) -> None:
    data = json.loads(json.dumps(data_of(sample)))
    assert [item["key"] for item in data["items"]] == [issue.id for issue in sample.issues][:WINDOW]
    assert {item["frame_id"] for item in data["items"]} == set(data["frames"])
    assert data["acks"] == {"client": "c", "sequence": 3}
    assert data["items"][6]["issue"]["group_size"] == 3
    assert data["cursor"] == {"key": sample.issues[0].id, "token": "t"}


def test_a_decided_issue_can_be_asked_for_and_says_its_verdict(sample) -> None:
    issue = sample.issues[4]
    decide(sample.project.store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "ann", issue.id))
    assert issue.id not in {item["key"] for item in data_of(sample)["items"]}
    first = data_of(sample, wanted=issue.id)["items"][0]
    assert (first["key"], first["issue"]["verdict"]) == (issue.id, "kept as it is by ann")
    assert data_of(sample)["undoable"] == VERDICTS[DecisionKind.KEEP]


def test_what_one_answer_settles_is_counted_when_it_is_shown(sample, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    grouped = [issue for issue in sample.issues if issue.group_id == "standing"]

    def shown() -> tuple[int, str]:
        item = next(item for item in data_of(sample)["items"] if item["key"] == grouped[1].id)
        listed = CliRunner().invoke(app, ["issues", "--project", str(sample.project.root)])
        (row,) = [
            row.split("│")
            for row in listed.output.splitlines()
            if f" {grouped[1].evidence['planted']:.0f}." in row
        ]
        return item["issue"]["group_size"], row[5].strip()

    assert shown() == (3, "3")
    decide(sample.project.store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "ann", grouped[0].id))
    assert shown() == (2, "2")


def test_filters_and_what_an_empty_queue_says(sample) -> None:
    only = data_of(sample, QueueFilter(types=(IssueType.WRONG_CLASS,)))
    assert {item["issue"]["type"] for item in only["items"]} == {"wrong_class"}
    nothing = data_of(sample, QueueFilter(types=(IssueType.DUPLICATE,)))
    assert nothing["items"] == []
    assert "filter" in nothing["empty"]["text"]
    assert nothing["empty"]["ways"] == [("All 10 open issues", "queue")]
    for issue in sample.project.store.issues(limit=100).issues:
        if sample.project.store.issue(issue.id).state is IssueState.OPEN:
            kind = DecisionKind.SKIP if issue.id == sample.issues[0].id else DecisionKind.KEEP
            decide(sample.project.store, Decision(uuid.uuid4().hex, kind, "ann", issue.id))
    done = data_of(sample)["empty"]
    assert done["command"] == "curate retrain"
    assert [address for _, address in done["ways"]] == ["train", "queue?state=skipped", "frames"]


def test_every_kind_has_its_words(sample) -> None:
    assert set(TITLES) == set(IssueType)
    assert set(VERDICTS) == set(DecisionKind)
    spoken = {issue.proposal.kind: proposal_sentence(issue) for issue in sample.issues}
    assert all(bool(text) == (kind is not ProposalKind.NONE) for kind, text in spoken.items())


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.07, "0.07"), (0.4213, "0.421"), (1e-5, "1e-05")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text


def test_stages_point_at_the_first_thing_to_do(sample) -> None:
    rows = stages(sample.project, project_status(sample.project))
    assert [row.state for row in rows] == ["done", "done", "done", "done", "now", "later"]
    assert {row["Issue"] for row in type_rows(sample.project.store)} == {
        TITLES[i.type] for i in sample.issues
    }


def test_recent_decisions_in_words(sample) -> None:
    store = sample.project.store
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.APPLY, "ann", sample.issues[6].id, group=True))
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.UNDO, "ann"))
    assert [entry.text for entry in recent_decisions(store)] == [
        "took back: proposal applied, 3 labels",
        "proposal applied (undone since), 3 labels",
    ]


def test_what_two_people_say_of_the_same_issues(sample) -> None:
    store = sample.project.store
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.APPLY, "zoe", sample.issues[5].id))
    give_opinion(store, sample.issues[5].id, "<b>ann", DecisionKind.KEEP)
    decide(store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "zoe", sample.issues[0].id))
    give_opinion(store, sample.issues[0].id, "<b>ann", DecisionKind.KEEP)
    pairs = agreement_by_pair(store)
    (row,) = pair_rows(pairs)
    assert (row["One"], row["Other"], row["Issues"], row["Same verdict"]) == ("<b>ann", "zoe", 2, 50)
    assert (row["Mean IoU"], row["Boxes"]) == (pytest.approx(1), 1)
    table = class_confusion(pairs["<b>ann", "zoe"])
    assert list(table) == ["bicycle", "person", "nothing"]
    assert (table.loc["person", "bicycle"], table.loc["nothing", "nothing"], table.to_numpy().sum()) == (
        1,
        1,
        2,
    )
    assert [entry["Second opinions"] for entry in people_rows(reviewer_stats(store))] == [2, 0]


def test_frames_by_filter_and_their_neighbours(sample) -> None:
    project = sample.project
    everything = matching_frames(project, FrameFilter(source="cheap"))
    assert len(everything) == 24
    bicycles = matching_frames(project, FrameFilter(source="cheap", label="bicycle"))
    assert [frame.name for frame in bicycles] == [everything[8].name]
    assert matching_frames(project, FrameFilter(source="cheap", kind="labelled")) == everything
    bases = [editor_base(project, SyncResult(), "ann", source) for source in ("cheap", "gold", "new")]
    assert [base["masks"] for base in bases] == [True, False, True], "boxes only where labels are boxes"
    assert len(matching_frames(project, FrameFilter(source="gold", kind="gold"))) == 6
    assert matching_frames(project, FrameFilter(source="cheap", kind="empty")) == []
    card = frame_cards(project, everything[8:9], "cheap")[0]
    assert len(card.pictures[0].shapes) == 3
    data = frames_data(
        project,
        everything,
        "cheap",
        SyncResult(),
        current=everything[0].id,
        wanted=everything[0].id,
        token="t",
        reviewer="ann",
    )
    assert [item["key"] for item in data["items"]] == [frame.id for frame in everything[:9]]


def points(project) -> pd.DataFrame:
    labels = project.store.annotations(source="cheap")
    boxes = [label.bbox_xyxy for label in labels]
    return pd.DataFrame(
        {
            "annotation_id": [label.id for label in labels],
            "frame_id": [label.frame_id for label in labels],
            "x": range(len(labels)),
            "y": range(len(labels)),
            "label": [label.label for label in labels],
            "issue_type": ["outlier" if index % 2 else "" for index in range(len(labels))],
            "source": ["ann" if index == 3 else "cheap" for index in range(len(labels))],
            "fold": [-1 if index == 0 else index % 2 for index in range(len(labels))],
            "revision": [label.revision for label in labels],
            "score": [float("nan")] + [0.5] * (len(labels) - 1),
            **{side: [box[at] for box in boxes] for at, side in enumerate(("x1", "y1", "x2", "y2"))},
        }
    )


def test_the_map_can_be_coloured_in_every_way_and_every_point_has_its_code(sample) -> None:
    table = points(sample.project)
    cloud = crop_cloud(sample.project, table)
    layers = {layer.key: layer for layer in cloud.layers}
    assert list(layers) == ["label", "issue", "source", "fold", "score"]
    named = {key: [entry.name for entry in layer.categories] for key, layer in layers.items()}
    assert named["label"] == ["person", "bicycle"]
    assert named["issue"] == ["Unlike its class", "No open issue"]
    assert named["source"] == ["ann", "cheap"]
    assert named["fold"] == ["Fold 1", "Fold 2", "In no fold"]
    spoken = [layers["label"].categories[code].name for code in layers["label"].codes]
    assert spoken == list(table["label"])
    assert layers["score"].codes[:2].tolist() == [255, 127]
    packed = cloud.packed()
    sent, numbers = unpacked(packed)
    assert np.allclose(numbers(sent["xy"], "<f4").reshape(-1, 2), table[["x", "y"]])
    assert numbers(sent["layers"][4]["codes"], "u1").tolist() == layers["score"].codes.tolist()
    assert [packed.frames[n] for n in numbers(sent["pictures"]["frame"], "<u4")] == list(table["frame_id"])
    assert sum(entry["count"] for entry in sent["layers"][1]["entries"]) == len(table)
    assert packed.digest == crop_cloud(sample.project, table).packed().digest
    assert packed.digest != crop_cloud(sample.project, table[1:]).packed().digest


def unpacked(cloud: PackedCloud):
    """The JSON of a map, and what reads one of its arrays."""
    size = int.from_bytes(cloud.content[:4], "little")
    assert size % 4 == 0

    def numbers(where: dict, kind: str) -> np.ndarray:
        assert where["at"] % 4 == 0
        return np.frombuffer(cloud.content, kind, where["length"], 4 + size + where["at"])

    return json.loads(cloud.content[4 : 4 + size]), numbers


def test_what_the_browser_chose_comes_as_bits_of_these_points_only() -> None:
    bits = base64.b64encode(np.packbits([0, 1, 0, 0, 0, 0, 0, 1, 1, 0]).tobytes()).decode()
    assert chosen_rows({"token": "t", "bits": bits}, "t", 10).tolist() == [1, 7, 8]
    for wrong in (
        {"token": "old", "bits": bits},
        {"token": "t", "bits": "%%"},
        {"token": "t", "bits": ""},
        None,
    ):
        assert len(chosen_rows(wrong, "t", 10)) == 0
    assert len(chosen_rows({"token": "t", "bits": bits}, "t", 300)) == 0


def test_chosen_rows_are_labels_without_asking_the_database(sample) -> None:
    known = {a.id: a for a in sample.project.store.annotations(source="cheap", masks=False)}
    found = chosen_labels(points(sample.project), np.array([0, 17, 5]), "cheap")
    assert len(found) == 3
    assert [known[label.id] for label in found] == found
    assert [label.label for label in found] == sorted(label.label for label in found)


def test_a_legend_of_many_names_has_wide_codes() -> None:
    layer = category_layer("clip", "Recording", [f"clip {n}" for n in range(400)], {})
    assert len(layer.categories) == 400
    cloud = PointCloud("t", np.zeros((400, 2)), (layer,), np.zeros(400, bool), "frame")
    sent, numbers = unpacked(cloud.packed())
    assert sent["layers"][0]["codes"]["kind"] == "u16"
    assert numbers(sent["layers"][0]["codes"], "<u2").tolist() == layer.codes.tolist()


def test_many_labels_at_once_all_or_none_and_back(sample) -> None:
    project = sample.project
    labels = [
        a
        for a in project.store.annotations(source="cheap")
        if a.id in ("cheap-6-1", "cheap-7-0", "cheap-7-1")
    ]
    frames = {frame.id: frame for frame in project.store.frames()}
    assert [card.title for card in crop_cards(project, labels, frames)] == ["person"] * 3
    made = act_on(project, labels, DecisionKind.RELABEL, "ann", "bicycle")
    assert {project.store.annotation(label.id).label for label in labels} == {"bicycle"}
    with pytest.raises(ConflictError):
        act_on(project, labels, DecisionKind.DELETE_LABEL, "bob")
    assert len(project.store.decisions()) == 3
    undo_all(project, made, "ann")
    assert {project.store.annotation(label.id).label for label in labels} == {"person"}


def test_the_app_does_not_load_torch() -> None:
    code = "import sys, crossguard_app.views, crossguard_app.routes; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_layers_leave_out_the_edited_source_and_the_test(sample) -> None:
    assert [entry["key"] for entry in layer_choices(sample.project, "cheap")] == ["run:bundled"]
    assert layer_choices(sample.project, "gold") == [], "no model's word gets into the test"
    assert "labels:cheap" in {entry["key"] for entry in layer_choices(sample.project, "other")}
