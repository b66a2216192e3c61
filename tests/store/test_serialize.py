import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.annotations import (
    Annotation,
    Decision,
    DecisionKind,
    Frame,
    Issue,
    IssueState,
    IssueType,
    Polygon,
    Proposal,
    ProposalKind,
    Rle,
)
from curate.errors import CurateError, FormatError
from curate.store import serialize

numbers = st.floats(0, 1000, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w + 1, y + h + 1), numbers, numbers, numbers, numbers)
rings = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=5).map(tuple)
polygons = st.lists(st.builds(Polygon, rings, st.lists(rings, max_size=2).map(tuple)), max_size=2).map(tuple)
rles = st.lists(st.integers(1, 400), min_size=1, max_size=9).map(lambda runs: Rle(1, sum(runs), tuple(runs)))
masks = st.none() | polygons | rles
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=2)
)
shares = st.floats(0, 1)
proposals = st.builds(Proposal, st.sampled_from(ProposalKind), st.none() | texts, st.none() | boxes, masks)


def named(*names):
    """Texts for the fields that would else be made of any characters, NUL among them, which no database takes."""
    return dict.fromkeys(names, texts)


def maybe(*names):
    return dict.fromkeys(names, st.none() | texts)


nouns = {
    "frame": st.builds(
        Frame,
        **named("id", "name", "camera", "clip", "sha256", "path", "source"),
        captured_at=numbers,
        index=st.integers(0),
    ),
    "annotation": st.builds(
        Annotation,
        **named("id", "frame_id", "label"),
        **maybe("track_id"),
        bbox_xyxy=boxes,
        mask=masks,
        score=st.none() | shares,
        attributes=st.dictionaries(texts, values, max_size=3),
        revision=st.integers(0, 9),
    ),
    "proposal": proposals,
    "issue": st.builds(
        Issue,
        **named("id", "frame_id", "explanation"),
        **maybe("annotation_id", "label", "group_id"),
        bbox_xyxy=st.none() | boxes,
        severity=shares,
        probability=shares,
        evidence=st.dictionaries(texts, numbers, max_size=3),
        proposal=proposals,
        type=st.sampled_from(IssueType),
        state=st.sampled_from(IssueState),
    ),
    "decision": st.builds(
        Decision,
        **named("id", "reviewer", "note"),
        **maybe("issue_id", "frame_id", "annotation_id", "label", "undoes"),
        kind=st.sampled_from(DecisionKind),
        bbox_xyxy=st.none() | boxes,
        mask=masks,
        flags=st.dictionaries(texts, st.booleans(), max_size=2),
        created_at=numbers,
    ),
}


@pytest.mark.parametrize("noun", nouns)
@given(data=st.data())
def test_every_noun_survives_the_way_through_json(noun, data):
    value = data.draw(nouns[noun])
    text = json.dumps(getattr(serialize, f"{noun}_to_dict")(value), allow_nan=False)
    assert getattr(serialize, f"{noun}_from_dict")(json.loads(text)) == value


def test_defaults_are_left_out():
    decision = Decision("d", DecisionKind.KEEP, "ann", issue_id="i")
    assert serialize.decision_to_dict(decision) == {
        "id": "d",
        "kind": "keep",
        "reviewer": "ann",
        "issue_id": "i",
    }


def test_no_mask_and_empty_mask_are_two_things():
    empty = Decision("d", DecisionKind.EDIT, "ann", mask=())
    assert serialize.decision_to_dict(empty)["mask"] == {"polygons": []}
    assert serialize.decision_from_dict(serialize.decision_to_dict(empty)).mask == ()


def test_numbers_of_numpy_become_plain():
    issue = Issue(
        "i",
        IssueType.MISSING,
        "f",
        None,
        tuple(np.asarray([1, 2, 3, 4], np.float32)),
        None,
        np.float64(0.5),
        np.float64(0.25),
        "",
        {"x": np.float32(2)},
        Proposal(ProposalKind.NONE),
    )
    assert json.loads(json.dumps(serialize.issue_to_dict(issue)))["evidence"] == {"x": 2.0}


GOOD = {"id": "d", "kind": "edit", "reviewer": "ann"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "JSON object"),
        ({"id": "d", "kind": "edit"}, "'reviewer' is missing"),
        (GOOD | {"colour": 1}, "unknown key 'colour'; allowed: .*issue_id"),
        (GOOD | {"kind": "explode"}, "one of apply, keep.*'explode'"),
        (GOOD | {"kind": ["edit"]}, "one of apply"),
        (GOOD | {"reviewer": 7}, "expected text, got 7"),
        (GOOD | {"reviewer": None}, "'reviewer' is missing"),
        (GOOD | {"bbox_xyxy": [1, 2, 3]}, "four numbers"),
        (GOOD | {"bbox_xyxy": [1, 2, 3, "4"]}, "expected a number, got '4'"),
        (GOOD | {"bbox_xyxy": [1, 2, 3, True]}, "expected a number"),
        (GOOD | {"bbox_xyxy": [1, 2, 3, float("nan")]}, "finite"),
        (GOOD | {"bbox_xyxy": [1, 2, 3, 10**400]}, "finite"),
        (GOOD | {"mask": []}, "polygons"),
        (GOOD | {"mask": {"polygons": [], "counts": "x"}}, "polygons"),
        (GOOD | {"mask": {"polygons": [{"exterior": [[1, 2], [3, 4]]}]}}, "at least three"),
        (GOOD | {"mask": {"polygons": [{"exterior": [[1, 2], [3, 4], [5]]}]}}, "two numbers"),
        (GOOD | {"mask": {"polygons": [{"exterior": [[1, 2]] * 3, "holes": {}}]}}, "holes"),
        (GOOD | {"mask": {"polygons": [[1, 2, 3, 4, 5, 6]]}}, "exterior"),
        (GOOD | {"mask": {"size": [4, 4], "counts": [3]}}, "run lengths"),
        (GOOD | {"mask": {"size": [4, 4], "counts": "~~"}}, "RLE"),
        (GOOD | {"flags": {"ignore": 1}}, "true or false"),
        (GOOD | {"flags": [1]}, "JSON object"),
        (GOOD | {"expected_revision": 1.0}, "whole number"),
        (GOOD | {"group": "yes"}, "true or false"),
    ],
)
def test_broken_decisions_are_refused(value, message):
    with pytest.raises(FormatError, match=message):
        serialize.decision_from_dict(value)


def test_a_label_needs_its_box_and_class():
    label = {"id": "a", "frame_id": "f", "label": "person", "bbox_xyxy": [1, 2, 3, 4]}
    for name in label:
        with pytest.raises(FormatError, match=f"'{name}' is missing"):
            serialize.annotation_from_dict({key: value for key, value in label.items() if key != name})
    with pytest.raises(CurateError, match="x2 > x1"):
        serialize.annotation_from_dict(label | {"bbox_xyxy": [3, 2, 1, 4]})
