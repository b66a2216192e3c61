"""The points of a map beside the page: whole, once, and for nobody who was not given the address."""

from __future__ import annotations

from urllib.parse import urlsplit

import numpy as np
import pytest

from crossguard_app.cloud_routes import keep_cloud
from crossguard_app.components.cloud import Hover, PackedCloud, PointCloud
from crossguard_app.presenters.maps import category_layer


@pytest.fixture
def cloud(sample) -> PackedCloud:
    frames = tuple(frame.id for frame in sample.project.store.frames()[:2])
    layer = category_layer("label", "Class", ["person", "person", "bicycle"], {})
    hover = Hover((*frames, "0" * 32), np.array([0, 1, 2]), np.zeros((3, 4)))
    return PointCloud("t", np.eye(3)[:, :2], (layer,), np.zeros(3, bool), "label", hover).packed()


def test_a_map_is_fetched_whole_and_may_be_kept(sample, get, cloud: PackedCloud) -> None:
    status, headers, body = get(keep_cloud(sample.project, cloud)["points"])
    assert (status, body) == (200, cloud.content)
    assert headers["content-type"] == "application/octet-stream"
    assert "immutable" in headers["cache-control"]
    assert "private" in headers["cache-control"]


def test_the_picture_of_a_point_leads_to_its_frame(sample, get, cloud: PackedCloud) -> None:
    address = keep_cloud(sample.project, cloud)["pictures"]
    status, headers, _ = get(address.replace("NUMBER", "1"))
    assert (status, headers["cache-control"]) == (302, "no-store")
    assert urlsplit(headers["location"]).path.endswith(cloud.frames[1])
    assert get(headers["location"])[0] == 200
    assert get(address.replace("NUMBER", "2"))[0] == 404, "its frame is gone"
    assert get(address.replace("NUMBER", "3"))[0] == 404
    assert get(address)[0] == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.split("?")[0],
        lambda url: url.replace("s=", "s=0"),
        lambda url: url.replace("/cloud/", "/cloud/..%2f"),
    ],
    ids=["unsigned", "wrong", "path"],
)
def test_an_address_that_the_app_did_not_write_is_refused(sample, get, cloud, change) -> None:
    kept = keep_cloud(sample.project, cloud)
    assert get(change(kept["points"]))[0] in (403, 404)
    assert get(change(kept["pictures"].replace("NUMBER", "0")))[0] in (403, 404)


def test_only_the_newest_maps_are_kept(sample, get, cloud: PackedCloud) -> None:
    address = keep_cloud(sample.project, cloud)["points"]
    for number in range(8):
        other = PointCloud(
            f"t{number}", np.zeros((1, 2)), (category_layer("a", "A", ["x"], {}),), np.zeros(1, bool), "x"
        )
        assert keep_cloud(sample.project, other.packed())["pictures"] == ""
    assert get(address)[0] == 404
