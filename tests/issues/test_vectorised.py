"""What is looked up in sorted numbers gives the same as the plain loops that it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curate.geometry.boxes import box_area, box_iou, box_iou_pairwise
from curate.issues.inputs import FrameTable, LabelTable
from curate.issues.pairs import best_of, iter_frame_pairs, overlaps, stable_order
from curate.issues.places import recurring
from curate.issues.tracks import affinity, link_tracks, shapes
from curate.types import FloatArray, IntArray

SEEDS = range(25)


def boxes_near(rng: np.random.Generator, count: int) -> FloatArray:
    """Boxes around a few places of a small picture: many meet, some are the same, some have no area."""
    places = rng.uniform(0, [400, 300], (int(rng.integers(1, 12)), 2))
    centres = places[rng.integers(len(places), size=count)] + rng.normal(
        0, rng.choice([0, 3, 30]), (count, 2)
    )
    sizes = rng.choice([8.0, 20.0, 21.0, 60.0], (count, 2)) * rng.choice([0.0, 1.0, 1.0, 1.0], (count, 1))
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_overlaps_are_those_of_two_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count_a, count_b = rng.integers(0, 50, 2)
    a, b = boxes_near(rng, int(count_a)), boxes_near(rng, int(count_b))
    if seed % 5 == 0:
        a[:1] *= 1e9  # beyond what the keys tell apart
    frames_a, frames_b = rng.integers(0, 4, count_a), rng.integers(0, 4, count_b)
    area_a, area_b = box_area(a), box_area(b)
    expected = []
    for i in range(len(a)):
        for j in range(len(b)):
            wide = min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0])
            high = min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1])
            if frames_a[i] == frames_b[j] and wide > 0 and high > 0:
                inter = wide * high
                iou = inter / (area_a[i] + area_b[j] - inter)
                expected.append((i, j, iou, inter / area_a[i], inter / area_b[j]))
    found = overlaps(frames_a, a, frames_b, b)
    columns = np.array(expected).reshape(-1, 5).T
    for column, value in zip(
        columns, (found.a, found.b, found.iou, found.inside_a, found.inside_b), strict=True
    ):
        np.testing.assert_array_equal(value, column)
    rows = [pair for chunk in iter_frame_pairs(frames_a, frames_b) for pair in zip(*chunk, strict=True)]
    assert rows == [(i, j) for i, x in enumerate(frames_a) for j, y in enumerate(frames_b) if x == y]


def test_boxes_without_numbers_meet_nothing() -> None:
    boxes = np.array([[0, 0, 10, 10], [np.nan] * 4, [5, 5, 15, 15]])
    pairs = overlaps(np.zeros(3, int), boxes, np.zeros(3, int), boxes)
    assert pairs.a.tolist() == [0, 0, 2, 2]
    assert pairs.b.tolist() == [0, 2, 0, 2]
    assert not len(overlaps(np.zeros(1, int), boxes[1:2], np.zeros(1, int), boxes[1:2]).a)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_is_the_last_of_the_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, values = rng.integers(0, 8, 30), rng.integers(0, 4, 30) / 4
    best, at = best_of(rows, values, 10)
    for row in range(10):
        mine = [position for position in range(30) if rows[position] == row]
        top = max(mine, key=lambda position: (values[position], position), default=-1)
        assert at[row] == top
        assert best[row] == (values[top] if mine else 0)


@pytest.mark.parametrize("span", [3, 2**40, 2**61])
def test_equal_keys_keep_their_order(span: int) -> None:
    keys = np.random.default_rng(0).integers(0, 5, 200) * (span // 5) - span // 2
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))
    assert not len(stable_order(np.zeros(0, np.int64)))


def plain_places(boxes: FloatArray, classes: IntArray, iou: float) -> IntArray:
    """Places by the definition: cells one by one, the fullest first, each against all others."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    level = np.round(np.log(size) / 0.35)
    centre = np.round((boxes[:, :2] + boxes[:, 2:]) / 2 / (np.exp(level * 0.35) * 0.25))
    members: dict[tuple[float, ...], list[int]] = {}
    for row, cell in enumerate(np.column_stack([classes, level, centre]).tolist()):
        members.setdefault(tuple(cell), []).append(row)
    cells = sorted(members)
    middle = {cell: members[cell][len(members[cell]) // 2] for cell in cells}
    place: dict[tuple[float, ...], int] = {}
    number = 0
    for leader in sorted(cells, key=lambda cell: (-len(members[cell]), cell)):
        if leader in place:
            continue
        likeness = box_iou(boxes[middle[leader]][None], boxes[[middle[cell] for cell in cells]])[0]
        for cell, value in zip(cells, likeness, strict=True):
            if cell == leader or (cell not in place and cell[0] == leader[0] and value >= iou):
                place[cell] = number
        number += 1
    result = np.zeros(len(boxes), np.int64)
    for cell, rows in members.items():
        result[rows] = place[cell]
    return result


def lower_median(values: FloatArray) -> float:
    return float(np.sort(values)[(len(values) - 1) // 2])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("first", [1, 4096])
def test_places_are_those_found_one_by_one(seed: int, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.issues.places._FIRST", first)
    rng = np.random.default_rng(seed)
    count, iou = int(rng.integers(1, 150)), float(rng.choice([0.3, 0.5, 0.5, 0.8]))
    boxes, classes, frames = boxes_near(rng, count), rng.integers(0, 2, count), rng.integers(0, 20, count)
    if seed % 7 == 0:
        boxes[0] *= 1e9  # numbers of cells that fit into no word together
    found = recurring(frames, boxes, classes, 20, iou=iou)
    np.testing.assert_array_equal(found.ids, plain_places(boxes, classes, iou))
    for row, place in enumerate(found.ids):
        mine = found.ids == place
        taken = len(set(frames[mine].tolist()))
        middle = np.array([[lower_median(column) for column in boxes[mine].T]])
        still = lower_median(box_iou_pairwise(np.repeat(middle, mine.sum(), 0), boxes[mine]))
        assert (found.counts[row], found.shares[row]) == (taken, taken / 20)
        assert found.stillness[row] == pytest.approx(still if taken > 1 else 0, abs=1e-9)


def plain_links(frames: IntArray, boxes: FloatArray) -> IntArray:
    """Links by the definition: all pairs of two steps, the likest first, each label once."""
    count = len(boxes)

    def step(velocity: FloatArray, steps: int, ends: set[int], starts: set[int]) -> dict[int, int]:
        half = np.concatenate([velocity, velocity], 1) * (steps / 2)
        pairs = []
        for i in sorted(ends):
            for j in sorted(starts):
                if frames[j] == frames[i] + steps:
                    like = float(affinity(shapes((boxes + half)[[i]]), shapes((boxes - half)[[j]]))[0])
                    pairs.append((like, i, j))
        chosen: dict[int, int] = {}
        for like, i, j in sorted(pairs, reverse=True):
            if like >= 0.15 and i not in chosen and j not in chosen.values():
                chosen[i] = j
        return chosen

    def velocity(after: dict[int, int]) -> FloatArray:
        centres, moved, seen = (boxes[:, :2] + boxes[:, 2:]) / 2, np.zeros((count, 2)), np.zeros(count)
        for i, j in after.items():
            for row in (i, j):
                moved[row] += centres[j] - centres[i]
                seen[row] += 1
        return moved / np.maximum(seen, 1)[:, None]

    everything = set(range(count))
    after = step(np.zeros((count, 2)), 1, everything, everything)
    after = step(velocity(after), 1, everything, everything)
    for steps in (2, 3):
        after |= step(velocity(after), steps, everything - set(after), everything - set(after.values()))
    return np.array([after.get(row, -1) for row in range(count)])


@pytest.mark.parametrize("seed", SEEDS)
def test_links_are_those_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    walkers, length = int(rng.integers(1, 6)), 8
    frames = np.tile(np.arange(length), walkers)
    who = np.repeat(np.arange(walkers), length)
    start, pace, size = (
        rng.uniform(0, 300, (walkers, 2)),
        rng.normal(0, 15, (walkers, 2)),
        rng.uniform(15, 60, walkers),
    )
    centre = start[who] + pace[who] * frames[:, None] + rng.normal(0, 2, (len(frames), 2))
    half = np.column_stack([size, 2 * size])[who] / 2 * rng.uniform(0.9, 1.1, (len(frames), 2))
    some = rng.permutation(np.flatnonzero(rng.random(len(frames)) < 0.75))
    boxes, frames = np.concatenate([centre - half, centre + half], 1)[some], frames[some]
    ids = tuple(str(number) for number in range(len(some)))
    labels = LabelTable(ids, np.zeros(len(some), np.int64), frames, boxes, np.zeros(len(some), np.int64))
    found = link_tracks(frame_table(length), labels)
    np.testing.assert_array_equal(found.after, plain_links(frames, boxes))
    empty = replace(
        labels, ids=(), revisions=frames[:0], frames=frames[:0], boxes=boxes[:0], classes=frames[:0]
    )
    assert not len(link_tracks(frame_table(length), empty).after)


def frame_table(count: int) -> FrameTable:
    zeros = np.zeros(count, np.int64)
    return FrameTable(
        ids=tuple(f"f{number}" for number in range(count)),
        times=np.arange(count, dtype=float),
        clips=("clip",) * count,
        blocks=zeros,
        folds=zeros,
        widths=zeros + 400,
        heights=zeros + 300,
    )
