import pytest

from curate.annotations import Polygon, Rle, replace
from curate.errors import ConflictError, DataError, NotFoundError
from curate.store import SourceCount


def _ids(annotations):
    return [annotation.id for annotation in annotations]


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": None, "score": None},
        {"mask": Rle(240, 320, (5, 7, 240 * 320 - 12))},
        {"mask": (Polygon(((1.5, 2.25), (9, 2), (9, 9)), (((3, 3), (4, 3), (4, 4)),)),)},
        {"track_id": "7", "iscrowd": True, "occluded": True, "difficult": True, "ignore": True},
        {"attributes": {"colour": "rot", "parts": [1, 2.5, None, {"ä": True}]}},
        {"bbox_xyxy": (0.1, 1e-9, 319.99999999999994, 240)},
    ],
)
def test_labels_come_back_as_they_went_in(store, make_label, changes):
    label = make_label("new", 1, **changes)
    assert store.add_annotations([label], "cheap") == 1
    assert store.annotation("new") == label


def test_the_same_file_again_adds_nothing_and_keeps_edits(store, make_label):
    label = make_label("a", 0)
    edited = store.append_revision(replace(label, label="car"), parent=0, actor="ann", decision_id=None)
    assert edited.revision == 1
    again = [make_label(name, number) for number, name in enumerate("abcd")]
    assert store.add_annotations([*again, *again], "cheap") == 0
    assert store.annotation("a").label == "car"


def test_known_id_with_other_content_is_a_conflict_and_adds_nothing(store, make_label):
    with pytest.raises(ConflictError, match=r"annotation a.*another label"):
        store.add_annotations([make_label("new", 1), make_label("a", 0, label="car")], "cheap")
    assert not store.has_annotation("new")


def test_label_of_an_unknown_frame_adds_nothing(store, make_label):
    with pytest.raises(NotFoundError, match="annotation bad"):
        store.add_annotations([make_label("new", 1), make_label("bad", 99)], "cheap")
    assert not store.has_annotation("new")


def test_attributes_must_be_json(store, make_label):
    with pytest.raises(DataError, match="annotation new"):
        store.add_annotations([make_label("new", 1, attributes={"x": float("nan")})], "cheap")


def test_filters_and_stable_order(store, make_frame, make_label):
    store.add_annotations([make_label("A", 3, label="car"), make_label("z", 1)], "cheap")
    assert _ids(store.annotations()) == ["a", "g", "b", "z", "c", "A", "d"]
    assert _ids(store.annotations(source="gold")) == ["g"]
    assert _ids(store.annotations(label="car")) == ["A"]
    frames = [make_frame(3).id, make_frame(1).id, "unknown"]
    assert _ids(store.annotations(source="cheap", frame_ids=frames, label="person")) == ["b", "z", "d"]
    assert store.annotations(frame_ids=[]) == []


def test_history_is_append_only(store, make_label):
    label = make_label("a", 0)
    store.append_revision(replace(label, label="car"), parent=0, actor="ann", decision_id=None)
    store.append_revision(label, parent=1, actor="bob", decision_id=None, deleted=True)
    store.append_revision(label, parent=2, actor="bob", decision_id=None, restores=0)
    history = store.revisions("a")
    assert [entry.annotation.revision for entry in history] == [0, 1, 2, 3]
    assert [entry.parent for entry in history] == [None, 0, 1, 2]
    assert [entry.content_of for entry in history] == [0, 1, 2, 0]
    assert [entry.deleted for entry in history] == [False, False, True, False]
    assert [entry.actor for entry in history] == ["cheap", "ann", "bob", "bob"]
    assert store.annotation("a") == replace(label, revision=3)
    head = store.label_heads("cheap")["a"]
    assert (head.revision, head.content_of, head.label) == (3, 0, "person")


def test_a_revision_needs_the_newest_parent(store, make_label):
    store.append_revision(make_label("a", 0, label="car"), parent=0, actor="ann", decision_id=None)
    for parent in (0, 5, None):
        with pytest.raises(ConflictError, match="expected revision"):
            store.append_revision(make_label("a", 0), parent=parent, actor="bob", decision_id=None)
    assert len(store.revisions("a")) == 2


def test_deleted_labels_are_gone_but_remembered(store, make_label, make_frame):
    store.append_revision(make_label("a", 0), parent=0, actor="ann", decision_id=None, deleted=True)
    assert "a" not in _ids(store.annotations())
    assert "a" not in store.label_heads(frame_ids=[make_frame(0).id])
    assert store.has_annotation("a")
    assert store.last_revision("a").deleted
    with pytest.raises(NotFoundError, match="deleted by ann"):
        store.annotation("a")


def test_unknown_labels_are_named(store):
    for call in (store.annotation, store.revisions, store.last_revision):
        with pytest.raises(NotFoundError, match="annotation nowhere"):
            call("nowhere")


def test_sources_are_counted(store, make_label):
    store.append_revision(make_label("a", 0), parent=0, actor="ann", decision_id=None, deleted=True)
    store.add_annotations([make_label("b2", 1)], "cheap")
    assert store.sources() == [SourceCount("cheap", 4, 3), SourceCount("gold", 1, 1)]


def test_exact_revisions(store, make_label):
    store.append_revision(make_label("a", 0, label="car"), parent=0, actor="ann", decision_id=None)
    old, new = store.exact_revisions({"a": 0}), store.exact_revisions({"b": 0, "a": 1})
    assert [(label.id, label.label, label.revision) for label in old] == [("a", "person", 0)]
    assert [(label.id, label.label, label.revision) for label in new] == [("a", "car", 1), ("b", "person", 0)]
    with pytest.raises(NotFoundError, match="no revision 4"):
        store.exact_revisions({"a": 4, "b": 0})


def test_digest_tells_contents_apart(store, make_label):
    store.append_revision(make_label("a", 0, label="car"), parent=0, actor="ann", decision_id=None)
    store.append_revision(make_label("a", 0), parent=1, actor="ann", decision_id=None)
    before = store.labels_digest({"a": 0, "b": 0})
    assert store.labels_digest({"b": 0, "a": 0}) == before
    assert store.labels_digest({"a": 2, "b": 0}) == before
    assert store.labels_digest({"a": 1, "b": 0}) != before
    with pytest.raises(NotFoundError, match="1 of 2"):
        store.labels_digest({"a": 3, "b": 0})


def test_many_labels_go_in_chunks(store, make_label, make_frame):
    labels = [make_label(f"m{number:05d}", number % 4, mask=None) for number in range(2500)]
    assert store.add_annotations(iter(labels), "bulk") == 2500
    assert store.add_annotations(iter(labels), "bulk") == 0
    assert len(store.annotations(frame_ids=[make_frame(number).id for number in range(4)])) == 2505
    assert len(store.exact_revisions({label.id: 0 for label in labels})) == 2500


def test_whether_a_source_has_masks(store, make_label):
    assert store.has_masks("nobody") is None
    boxes = [make_label(f"box-{number}", number, mask=None, source="boxes") for number in range(3)]
    store.add_annotations(boxes, "boxes")
    assert store.has_masks("boxes") is False
    outlined = make_label("outlined", 1, source="boxes", mask=Rle(240, 320, (5, 7, 240 * 320 - 12)))
    store.add_annotations([outlined], "boxes")
    assert store.has_masks("boxes") is True
    store.append_revision(outlined, parent=0, actor="ann", decision_id=None, deleted=True)
    assert store.has_masks("boxes") is False
