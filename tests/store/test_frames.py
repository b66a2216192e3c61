import pytest

from curate.annotations import replace
from curate.errors import ConflictError, NotFoundError
from curate.store import SiteSettings


def test_frames_come_back_as_they_went_in_by_recording_and_position(empty, make_frame):
    frames = [make_frame(2), make_frame(1, excluded=True), make_frame(3, clip="evening.avi", wall_time=True)]
    assert empty.add_frames(frames) == 3
    assert empty.frames() == [frames[2], frames[1], frames[0]]
    assert empty.frame(frames[1].id) == frames[1]
    assert empty.frame_by_name(frames[2].name) == frames[2]


def test_the_same_frames_again_add_nothing(store, make_frame):
    again = [make_frame(0), make_frame(1), make_frame(1), make_frame(9), make_frame(9)]
    assert store.add_frames(again) == 1
    assert len(store.frames()) == 5
    assert store.frame_aliases() == {}


def test_another_name_of_the_same_picture_becomes_an_alias(store, make_frame):
    copy = make_frame(1, name="copy.jpg", source="elsewhere")
    assert store.add_frames([copy, copy]) == 0
    assert store.frame_aliases() == {"copy.jpg": copy.id}
    assert store.frame_by_name("copy.jpg") == make_frame(1)
    assert store.frames(names=["copy.jpg", "unknown.jpg"]) == [make_frame(1)]


@pytest.mark.parametrize("taken", ["junction_000001.jpg", "copy.jpg"])
def test_a_name_belongs_to_one_frame(store, make_frame, taken):
    store.add_frames([make_frame(1, name="copy.jpg")])
    with pytest.raises(ConflictError, match="another frame"):
        store.add_frames([make_frame(8), make_frame(7, name=taken)])
    assert len(store.frames()) == 4, "nothing of the batch was added"


def test_filters_narrow(store, make_frame):
    store.add_frames([make_frame(5, clip="evening.avi")])
    store.set_frame_excluded(make_frame(0).id, True)
    ids = [make_frame(number).id for number in (0, 2, 5, 77)]
    assert [frame.index for frame in store.frames(ids=ids)] == [5, 0, 2]
    assert [frame.index for frame in store.frames(ids=ids, clip="morning.avi")] == [0, 2]
    assert [frame.index for frame in store.frames(ids=ids, include_excluded=False)] == [5, 2]
    assert [frame.index for frame in store.frames(ids=ids, names=["junction_000002.jpg"])] == [2]
    assert store.frames(ids=[]) == []
    assert [frame.index for frame in store.frames(include_excluded=False)] == [5, 1, 2, 3]


def test_excluding_is_kept_and_reversible(store, make_frame):
    store.set_frame_excluded(make_frame(2).id, True)
    assert store.frame(make_frame(2).id) == replace(make_frame(2), excluded=True)
    store.set_frame_excluded(make_frame(2).id, False)
    assert store.frame(make_frame(2).id) == make_frame(2)


def test_unknown_frames_are_named(store):
    for call in (store.frame, store.frame_by_name, lambda name: store.set_frame_excluded(name, True)):
        with pytest.raises(NotFoundError, match="frame nowhere"):
            call("nowhere")


def test_quarantine_keeps_the_newest_reason(empty):
    empty.quarantine("b.avi", "17", "truncated")
    empty.quarantine("a.jpg", "", "empty file")
    empty.quarantine("b.avi", "17", "cannot be decoded")
    found = [(entry.source, entry.item, entry.reason) for entry in empty.quarantined()]
    assert found == [("a.jpg", "", "empty file"), ("b.avi", "17", "cannot be decoded")]
    assert empty.release_quarantined("a.jpg")
    assert not empty.release_quarantined("a.jpg")
    assert len(empty.quarantined()) == 1


def test_site_settings(empty):
    assert empty.site() == SiteSettings(None, "cheap")
    empty.set_site(["person"], "cvat")
    empty.set_site(["person", "vélo"], "cvat")
    assert empty.site() == SiteSettings(("person", "vélo"), "cvat")


def test_order_is_by_bytes_on_every_database(empty, make_frame):
    names = ["b", "a", "B", "A", "_", "é", "10", "9"]
    empty.add_frames(make_frame(number, clip=name) for number, name in enumerate(names))
    assert [frame.clip for frame in empty.frames()] == sorted(names)


def test_the_frames_after_one_are_those_of_its_recording_that_are_not_excluded(empty, make_frame):
    frames = [make_frame(n, excluded=n == 2) for n in range(6)]
    empty.add_frames([*reversed(frames), make_frame(7, clip="evening.avi")])
    assert empty.frames_after(frames[0].id, 3) == [frames[1].id, frames[3].id, frames[4].id]
    assert empty.frames_after(frames[5].id, 3) == []
    with pytest.raises(NotFoundError):
        empty.frames_after("nowhere", 1)


def test_neighbours_in_time_stay_in_the_recording(store, make_frame):
    store.add_frames([make_frame(9, index=2), make_frame(7, clip="evening.avi")])
    before, after = store.frames_around(make_frame(2), 2)
    assert [frame.id[-1] for frame in before] == ["0", "1"]
    assert [frame.id[-1] for frame in after] == ["9", "3"], "two frames of one position go by id"
    assert store.frames_around(make_frame(0), 1)[0] == []
    assert store.frames_around(make_frame(7, clip="evening.avi"), 3) == ([], [])


def test_recordings_are_named_once(empty, make_frame):
    assert empty.clips() == []
    empty.add_frames([make_frame(1), make_frame(2), make_frame(3, clip="evening.avi")])
    assert empty.clips() == ["evening.avi", "morning.avi"]
