"""Regions that are not judged: the polygon counts, not the box around it, in every augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from curate.detectors import TrainingSample
from curate.detectors.frames import FrameCache
from curate.detectors.ignored import area_sums, not_judged, share_inside
from curate.detectors.roi_training import sample_rois

TRIANGLE = np.array([[0.0, 0], [100, 0], [0, 80]])


def test_the_share_of_a_box_is_that_of_the_polygon():
    """A box in the empty corner of the polygon's bounds counts; one under the polygon does not."""
    sums = area_sums([TRIANGLE], 80, 100)
    boxes = torch.tensor(
        [[2.0, 2, 22, 22], [70, 60, 98, 78], [0, 0, 100, 80], [-20, -20, 10, 10], [5, 5, 5, 5]]
    )
    share = share_inside(boxes, sums)
    torch.testing.assert_close(share, torch.tensor([1.0, 0, 0.5, 1, 0]), atol=0.02, rtol=0)
    assert not_judged(boxes[:2], torch.zeros(0, 4), sums).tolist() == [True, False]
    assert area_sums([], 80, 100) is None


def test_overlapping_regions_count_once():
    sums = area_sums([TRIANGLE, TRIANGLE], 80, 100)
    assert int(sums[-1, -1]) == int(area_sums([TRIANGLE], 80, 100)[-1, -1])


def test_regions_move_with_the_frame(scene):
    """The sample's whole frame is a region: after mirror, zoom and shift it covers what the frame covers."""
    config = replace(scene.config, batch_size=4, zoom=0.3, shift=0.2)
    left = np.array([[0.0, 0], [64, 0], [64, 96], [0, 96]])
    sample = TrainingSample("half", lambda: scene.image(1), [], [], ignore_regions=(left,))
    seen = set()
    for item in FrameCache([sample], config, None).batch(0).items:
        factor, offset = item.to_frame
        inside = np.array([[20.0, 40, 40, 60], [84, 40, 104, 60]])
        moved = (inside - offset) / factor
        moved = np.concatenate(
            [np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], 1
        )
        share = share_inside(torch.from_numpy(moved), item.ignored)
        assert share[0] > 0.9
        assert share[1] < 0.1
        seen.add(bool(factor[0] < 0))
    assert seen == {True, False}


def test_no_negative_is_drawn_from_a_region(scene):
    config = replace(scene.config, batch_size=2, augment=False)
    samples = [replace(scene.sample(index), ignore_regions=(TRIANGLE,)) for index in range(2)]
    batch = FrameCache(samples, config, None).batch(0)
    for item, rois in zip(batch.items, sample_rois(batch, np.random.default_rng(1)), strict=True):
        assert (share_inside(torch.from_numpy(rois.boxes), item.ignored) < 0.2).all()
