from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from curate.errors import FormatError
from curate.formats.cvat import ImportReport, cvat_to_annotations, read_cvat_video

TRACKS = Path(__file__).parent / "data" / "tracks.xml"
REAL = os.environ.get("CROSSGUARD_REAL_DATA", "")
BOX = '<box frame="{}" outside="0" occluded="0" keyframe="1" xtl="1" ytl="1" xbr="{}" ybr="9"/>'


@pytest.fixture
def video():
    return read_cvat_video(TRACKS)


@pytest.fixture
def frames(make_frame):
    return {index: make_frame(f"{index}.jpg", index, 320, 240) for index in range(20)}


@pytest.fixture
def xml_file(tmp_path):
    def write(body):
        path = tmp_path / "x.xml"
        path.write_text(f"<annotations>{body}</annotations>")
        return path

    return write


def test_the_head_is_read_and_other_shapes_are_told(tmp_path):
    report = ImportReport("fail")
    video = read_cvat_video(TRACKS, report=report)
    assert (video.width, video.height, video.last_frame) == (320, 240, 19)
    assert video.labels == {"vehicle": {"parked": "checkbox", "type": "select", "wheels": "number"}}
    assert [track.id for track in video.tracks] == ["0", "1"]
    assert report.by_kind == {"other_shape": 2}
    assert "polyline" in report.problems[0].message


@pytest.mark.parametrize(
    ("frame", "box", "occluded"),
    [
        (1, None, None),  # before the first keyframe
        (2, (10, 20, 30, 40), False),
        (3, (15, 20, 36, 42), False),  # between keyframes; what the file says there is not a person's work
        (4, (20, 20, 42, 44), False),
        (6, (30, 20, 54, 48), True),
        (9, (30, 20, 54, 48), True),  # stands still until it leaves
        (10, None, None),
        (13, None, None),
        (14, (100, 20, 120, 48), False),
        (16, (100, 20, 120, 48), False),  # the file goes on to 16
        (17, None, None),
    ],
)
def test_keyframes_are_interpolated(video, frame, box, occluded):
    found = video.tracks[0].at(frame)
    if box is None:
        assert found is None
        return
    assert found.bbox_xyxy == pytest.approx(box)
    assert (found.frame, found.occluded, found.outside) == (frame, occluded, False)


def test_a_lone_keyframe_holds_to_the_end_of_the_task(video):
    assert video.tracks[1].at(19).bbox_xyxy == (-1, 100, 40, 140)
    assert video.tracks[1].at(20) is None


def test_annotations_carry_ids_flags_and_attributes(video, frames):
    report = ImportReport()
    chosen = {index: frames[index] for index in (4, 6, 12)}
    found = cvat_to_annotations(video, chosen, "cvat", report=report)
    assert [annotation.id for annotation in found] == [
        "clip/0/4",
        "clip/1/4",
        "clip/0/6",
        "clip/1/6",
        "clip/1/12",
    ]
    assert found[2].attributes == {"parked": True, "type": "car", "wheels": 4}
    assert found[2].occluded
    assert (found[2].label, found[2].track_id, found[2].frame_id) == ("vehicle", "clip/0", frames[6].id)
    assert found[1].bbox_xyxy == (0, 100, 40, 140)
    assert report.by_kind == {"box_clipped": 3}
    assert cvat_to_annotations(video, chosen, "cvat") == found


def test_classes_by_label_and_by_attribute(video, frames):
    chosen = {4: frames[4]}

    def classes(rules):
        return [annotation.label for annotation in cvat_to_annotations(video, chosen, "s", label_map=rules)]

    assert classes({"vehicle": "car"}) == ["car", "car"]
    assert classes({"vehicle": "car", "vehicle[type=truck]": "truck"}) == ["car", "truck"]
    assert classes({"vehicle[parked=false]": "moving", "vehicle": "car"}) == ["moving", "car"]
    assert classes({"vehicle[type=car]": None, "vehicle": "other"}) == ["other"]
    with pytest.raises(FormatError, match="type=truck"):
        classes({"vehicle[type=car]": "car"})
    report = ImportReport("skip")
    cvat_to_annotations(video, chosen, "s", label_map={"bus": "bus"}, report=report)
    assert report.by_kind == {"unknown_class": 2}


POLYGONS = """<track id="0" label="car">
<polygon frame="0" points="324.79,213.16;323.74,227.90;347.42,237.37" outside="0" occluded="1" keyframe="1"/>
<polygon frame="1" points="325.79,213.16;324.74,227.90;348.42,237.37" outside="0" occluded="1" keyframe="0"/>
<polygon frame="4" points="324.79,213.16;323.74,227.90;347.42,237.37" outside="1" occluded="0" keyframe="1"/>
<polygon frame="6" points="305.32,237.90;312.16,207.90;352.69,206.32" outside="0" occluded="0" keyframe="1"/>
<polygon frame="7" points="305.32,237.90;312.16,207.90;352.69,206.32" outside="1" occluded="0" keyframe="1"/></track>"""


def test_polygons_are_taken_as_cvat_wrote_them(xml_file, make_frame):
    frames = {index: make_frame(f"{index}.jpg", index) for index in range(9)}
    found = cvat_to_annotations(read_cvat_video(xml_file(POLYGONS)), frames, "s")
    assert [label.id for label in found] == [f"clip/0/{index}" for index in (0, 1, 2, 3, 6)]
    assert found[1].mask[0].exterior == ((325.79, 213.16), (324.74, 227.9), (348.42, 237.37))
    assert found[1].bbox_xyxy == (324.74, 213.16, 348.42, 237.37)
    assert found[3].mask == found[1].mask
    assert [label.occluded for label in found] == [True] * 4 + [False]


def test_pictures_of_another_size_are_refused(video, make_frame):
    with pytest.raises(FormatError, match="320 x 240 pixels, the frame has 640 x 480"):
        cvat_to_annotations(video, {0: make_frame("0.jpg")}, "s")


def test_a_rotated_box_becomes_the_box_around_it(xml_file):
    body = (
        '<track id="0" label="car"><box frame="0" keyframe="1" rotation="90.0" '
        'xtl="10" ytl="10" xbr="30" ybr="20"/></track>'
    )
    report = ImportReport()
    box = read_cvat_video(xml_file(body), report=report).tracks[0].at(0)
    assert box.bbox_xyxy == pytest.approx((15, 5, 25, 25))
    assert report.by_kind == {"rotated": 1}


@pytest.mark.parametrize(
    ("track", "kind"),
    [
        ('<track label="car">' + BOX.format(0, 9) + "</track>", "missing_key"),
        ('<track id="5">' + BOX.format(0, 9) + "</track>", "missing_key"),
        ('<track id="5" label="car"></track>', "no_keyframe"),
        ('<track id="5" label="car"><box keyframe="1"/></track>', "missing_key"),
        ('<track id="5" label="car">' + BOX.format("x", 9) + "</track>", "wrong_type"),
        ('<track id="5" label="car">' + BOX.format(-1, 9) + "</track>", "wrong_type"),
        ('<track id="5" label="car">' + BOX.format(0, "wide") + "</track>", "wrong_type"),
        ('<track id="5" label="car">' + BOX.format(0, "nan") + "</track>", "not_finite"),
        ('<track id="5" label="car">' + BOX.format(0, "1e999") + "</track>", "not_finite"),
        ('<track id="5" label="car">' + BOX.format(0, 0.5) + "</track>", "box_size"),
        ('<track id="5" label="car">' + BOX.format(0, 9) + BOX.format(0, 8) + "</track>", "duplicate_frame"),
        ('<track id="1" label="car">' + BOX.format(0, 9) + "</track>", "duplicate_id"),
    ],
)
def test_a_bad_track_stops_the_import_or_is_left_out(xml_file, track, kind):
    path = xml_file('<track id="1" label="car">' + BOX.format(0, 9) + "</track>" + track)
    with pytest.raises(FormatError, match="track"):
        read_cvat_video(path)
    report = ImportReport("skip")
    assert len(read_cvat_video(path, report=report).tracks) == 1
    assert report.by_kind == {kind: 1}


def test_a_box_far_out_of_its_frame(xml_file, make_frame):
    path = xml_file('<track id="1" label="car">' + BOX.format(0, 999) + "</track>")
    frames = {0: make_frame("0.jpg")}
    with pytest.raises(FormatError, match="out of its frame"):
        cvat_to_annotations(read_cvat_video(path), frames, "s")
    report = ImportReport("skip")
    assert cvat_to_annotations(read_cvat_video(path), frames, "s", report=report) == []
    assert report.by_kind == {"box_outside": 1}


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>
<annotations><version>&c;</version></annotations>"""
LEAK = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><annotations>&f;</annotations>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1, column 1"),
        ("<annotations><track></annotations>", "line 1, column"),
        ("no xml", "not valid XML"),
        (BOMB, "refused"),
        (LEAK, "refused"),
        ('<?xml version="1.0" encoding="x-none"?><annotations/>', "not valid XML"),
        ("<boxes/>", "expected <annotations>"),
        ('<annotations><image id="0"/></annotations>', "for images"),
    ],
)
def test_files_that_are_no_tracks_are_refused(tmp_path, content, message):
    path = tmp_path / "x.xml"
    path.write_text(content)
    with pytest.raises(FormatError) as caught:
        read_cvat_video(path, report=ImportReport("skip"))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_folder_and_too_large(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_cvat_video(tmp_path / "missing.xml")
    with pytest.raises(FormatError, match="folder"):
        read_cvat_video(tmp_path)
    with pytest.raises(FormatError, match="limit is 10"):
        read_cvat_video(TRACKS, max_bytes=10)


@pytest.mark.skipif(
    not REAL,
    reason="CROSSGUARD_REAL_DATA does not name a folder of CVAT video files with every frame written",
)
def test_real_tracks_interpolate_to_the_boxes_that_cvat_wrote():
    paths = sorted(Path(REAL).rglob("*.xml"))
    assert paths, f"no XML file in {REAL}"
    for path in paths:
        wanted = {
            (track.get("id"), int(box.get("frame"))): [
                float(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")
            ]
            for track in ElementTree.parse(path).getroot().iter("track")
            for box in track
            if box.get("outside") == "0"
        }
        video = read_cvat_video(path)
        end = max(frame for _, frame in wanted) + 10
        found = {(track.id, box.frame): box.bbox_xyxy for f in range(end) for track, box in video.boxes_at(f)}
        assert found.keys() == wanted.keys()
        for key, box in wanted.items():
            assert found[key] == pytest.approx(box, abs=0.01), key
