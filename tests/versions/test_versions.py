import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from curate.annotations import Decision, DecisionKind, replace
from curate.errors import DataError, FormatError, NotFoundError, ProjectError, StoreError
from curate.review import decide, undo_last
from curate.store import Store, pack_text
from curate.versions import (
    LabelChange,
    create_version,
    diff_versions,
    get_version,
    list_versions,
    load_version_annotations,
)
from curate.versions.manifest import Manifest, manifest_from_pieces, manifest_pieces, manifest_to_json


@pytest.fixture
def create(store):
    """A version of all frames, the last one for validation."""

    def make(**changes):
        frames = store.frames()
        splits = {frame.id: "val" if frame.index == 3 else "train" for frame in frames}
        values = {"source": "cheap", "splits": splits, "classes": ["person", "car"], "created_by": "ann"}
        return create_version(store, **values | changes)

    return make


def _decide(store, number, kind, **values):
    decide(store, Decision(f"d{number}", DecisionKind(kind), "ann", **values))


def test_a_version_holds_the_labels_as_they_were(store, create):
    version = create()
    before = load_version_annotations(store, version)
    assert before == store.annotations(source="cheap")
    _decide(store, 1, "delete_label", annotation_id="a")
    _decide(store, 2, "relabel", annotation_id="b", label="car")
    assert load_version_annotations(store, get_version(store, version.id)) == before
    assert [label.id for label in load_version_annotations(store, version, split="val")] == ["d"]


def test_what_it_is_made_of(store, create, make_frame):
    version = create(policy_hash="p", note="first")
    assert version.manifest.annotations == {"a": 0, "b": 0, "c": 0, "d": 0}
    assert version.manifest.classes == ("person", "car")
    assert version.frame_ids("val") == [make_frame(3).id]
    assert len(version.frame_ids()) == 4
    assert version.content_hash == version.manifest.content_hash
    assert version.content_hash.startswith(version.id)
    assert get_version(store, version.id[:6]) == version
    (record,) = list_versions(store)
    assert (record.id, record.frames, record.labels, record.note) == (version.id, 4, 4, "first")


def test_the_same_content_is_the_same_version(store, create):
    version = create(note="first")
    assert create(note="second", created_by="bob", parent=version.id) == version
    assert create(splits=dict(reversed(version.manifest.splits.items()))) == version
    assert len(list_versions(store)) == 1


def test_an_edit_and_its_undo_leave_the_version_as_it_was(store, create):
    version = create()
    _decide(store, 1, "relabel", annotation_id="b", label="car")
    other = create(parent=version.id)
    assert (other.id != version.id, other.parent) == (True, version.id)
    undo_last(store, "ann")
    assert create() == version


@pytest.mark.parametrize(
    "changes",
    [{"source": "gold"}, {"classes": ["car", "person"]}, {"policy_hash": "new"}, "split", "frame"],
)
def test_other_content_is_another_version(create, changes):
    version = create()
    first, *rest = version.manifest.splits
    if changes == "split":
        changes = {"splits": {**version.manifest.splits, first: "val"}}
    elif changes == "frame":
        changes = {"splits": {frame: version.manifest.splits[frame] for frame in rest}}
    assert create(**changes).content_hash != version.content_hash


def test_the_hash_is_of_the_labels_not_of_their_numbers(store, create, make_frame, make_label, tmp_path):
    """Two projects with the same ids and revision numbers, but another box, hold different data."""
    with Store.open(tmp_path / "other.db") as other:
        other.add_frames(store.frames())
        other.add_annotations([make_label(name, n) for n, name in enumerate("abc")], "cheap")
        other.add_annotations([make_label("d", 3, bbox_xyxy=(10, 10, 30, 41))], "cheap")
        mine = create()
        values = {"source": "cheap", "splits": mine.manifest.splits, "classes": ["person", "car"]}
        theirs = create_version(other, **values)
    assert theirs.manifest.annotations == mine.manifest.annotations
    assert theirs.content_hash != mine.content_hash


def test_excluded_frames_stay_out(store, create, make_frame):
    _decide(store, 1, "exclude_frame", frame_id=make_frame(0).id)
    version = create()
    assert make_frame(0).id not in version.manifest.splits
    assert "a" not in version.manifest.annotations


def test_diff(store, create, make_frame):
    before = create()
    _decide(store, 1, "delete_label", annotation_id="a")
    _decide(store, 2, "relabel", annotation_id="b", label="car")
    _decide(store, 3, "edit", annotation_id="c", bbox_xyxy=(1, 2, 3, 4))
    values = {"frame_id": make_frame(1).id, "bbox_xyxy": (1, 2, 3, 4), "annotation_id": "n"}
    _decide(store, 4, "add", label="car", **values)
    splits = {frame: "train" for frame in before.manifest.splits if frame != make_frame(0).id}
    after = create(splits=splits, parent=before.id, policy_hash="new")
    diff = diff_versions(store, before, after)
    ids = [make_frame(number).id for number in range(4)]
    assert diff.removed == (LabelChange("a", ids[0], "person", None, 0, None),)
    assert diff.added == (LabelChange("n", ids[1], None, "car", None, 0),)
    assert diff.changed == (
        LabelChange("b", ids[1], "person", "car", 0, 1),
        LabelChange("c", ids[2], "person", "person", 0, 1),
    )
    assert diff.labels_by_class() == {
        "car": {"added": 1, "removed": 0, "changed": 1},
        "person": {"added": 0, "removed": 1, "changed": 1},
    }
    assert diff.frames_by_class() == diff.labels_by_class()
    assert (diff.frames_added, diff.frames_removed, diff.frames_moved) == ((), (ids[0],), (ids[3],))
    assert (diff.classes_changed, diff.policy_changed, diff.is_empty) == (False, True, False)
    back = diff_versions(store, after, before)
    assert (back.added[0].annotation_id, back.frames_added) == ("a", (ids[0],))
    assert diff_versions(store, before, before).is_empty


def test_the_manifest_file(store, create, tmp_path):
    folder = tmp_path / "versions"
    version = create(folder=folder, note="erste")
    value = json.loads((folder / f"{version.id}.json").read_text(encoding="utf-8"))
    assert (value["id"], value["note"], value["created_at"]) == (version.id, "erste", version.created_at)
    inner = json.dumps(value["manifest"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert manifest_from_pieces([inner]) == version.manifest
    text = (folder / f"{version.id}.json").read_bytes()
    create(folder=folder, note="again")
    assert (folder / f"{version.id}.json").read_bytes() == text
    assert [file.name for file in folder.iterdir()] == [f"{version.id}.json"]


def test_a_folder_that_cannot_be_written(create, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match="cannot be written"):
        create(folder=tmp_path / "file" / "versions")


def test_bad_versions(store, create, make_label):
    with pytest.raises(DataError, match=r"1 of 1 frames are not in the store"):
        create(splits={"nowhere": "train"})
    with pytest.raises(DataError, match="at least one frame"):
        create(splits={})
    with pytest.raises(NotFoundError, match="version nowhere"):
        create(parent="nowhere")
    with pytest.raises(NotFoundError, match="version nowhere"):
        get_version(store, "nowhere")
    store.add_annotations([make_label("bus", 1, label="bus")], "cheap")
    with pytest.raises(DataError, match="1 labels of source 'cheap' have class 'bus'; allowed: person, car"):
        create()
    assert list_versions(store) == []


def _set_manifest(store, text):
    with store.begin() as connection:
        update = sa.text("UPDATE version_parts SET content = :content")
        connection.execute(update, {"content": text})


def test_a_changed_manifest_is_found_out(store, create):
    version = create()
    text = store.version_manifest(version.id)
    _set_manifest(store, pack_text([text.replace('"b":0', '"b":1')])[0])
    with pytest.raises(StoreError, match="changed after"):
        get_version(store, version.id)
    _set_manifest(store, b"not compressed")
    with pytest.raises(StoreError, match="part 0 of the manifest is damaged"):
        get_version(store, version.id)


def test_a_version_of_many_labels_takes_several_parts(store, create, make_label):
    labels = [
        make_label(f"m\u00e4{number:05d}-{'x' * 60}", number % 4, mask=None) for number in range(20_000)
    ]
    store.add_annotations(labels, "bulk")
    version = create()
    with store.begin() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM version_parts")).scalar() > 1
    again = get_version(store, version.id)
    assert again == version
    assert again.manifest.annotations[labels[777].id] == 0
    assert "m" not in again.manifest.annotations
    assert len(load_version_annotations(store, again)) == 20_004
    _decide(store, 1, "relabel", annotation_id=labels[3].id, label="car")
    diff = diff_versions(store, version, create(parent=version.id))
    assert [change.annotation_id for change in diff.changed] == [labels[3].id]
    assert (diff.added, diff.removed) == ((), ())


def test_edits_go_on_while_a_version_is_read(store, make_label):
    """What is made from one view of the store holds nothing that came later."""
    with store.reading():
        first = [label.annotation_id for label in store.label_contents("cheap")]
        with ThreadPoolExecutor() as pool:
            pool.submit(store.add_annotations, [make_label("z", 1)], "cheap").result()
        assert [label.annotation_id for label in store.label_contents("cheap")] == first
        with pytest.raises(StoreError, match="inside a view for reading"):
            store.set_ack("tab", 1)
    assert store.has_annotation("z")


IDS = st.text(
    st.sampled_from('a1":,{}\\\n\u00e4\U0001f697') | st.characters(exclude_categories=["Cs"]), max_size=8
)


@given(
    ids=st.dictionaries(IDS, st.integers(0, 99), max_size=30),
    at=st.lists(st.integers(0, 400), max_size=12),
    source=IDS,
)
def test_a_manifest_is_read_in_pieces_of_any_length(ids, at, source):
    """Whatever the ids look like: also like the separators between them."""
    whole = Manifest(source, ("car", "},"), "", {"f": "train"}, ids, "h")
    text = manifest_to_json(whole)
    cuts = [0, *sorted(min(cut, len(text)) for cut in at), len(text)]
    read = manifest_from_pieces(text[a:b] for a, b in pairwise(cuts))
    assert read == whole
    assert "".join(manifest_pieces(read)) == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text[:-1],
        lambda text: text[:30],
        lambda text: text.replace('"format":1', '"format":2'),
        lambda text: text.replace('"format":1,', ""),
        lambda text: text.replace('"a":0', '"a":"x"'),
        lambda text: text.replace('},"classes"', '},"kinds"'),
    ],
)
def test_broken_manifests(create, change):
    text = manifest_to_json(create().manifest)
    with pytest.raises(FormatError):
        manifest_from_pieces([change(text)])


def test_versions_never_change(create):
    version = create()
    with pytest.raises(AttributeError):
        version.note = "other"
    assert replace(version) == version
