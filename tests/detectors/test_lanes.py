"""Halves of a batch side by side: the same sums as one after the other, the same bits every time."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from curate.detectors import train_detector
from curate.detectors.frames import FrameCache
from curate.detectors.lanes import Lanes, lanes_for
from curate.detectors.learner import SiteLearner
from curate.detectors.model import new_site_network
from curate.detectors.trainer import Trainer
from curate.errors import TrainingError


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Watched(SiteLearner):
    """Tells which threads compute losses, and of how many frames."""

    def __init__(self, model, config):
        super().__init__(model, config)
        self.calls = []

    def losses(self, batch, step):
        self.calls.append((threading.current_thread().name, len(batch.items), torch.get_num_threads()))
        return super().losses(batch, step)


def trainer_of(scene, weights, learner=SiteLearner, **changes):
    config = replace(scene.config, **({"batch_size": 4} | changes))
    model = new_site_network(weights, scene.classes, channels=3, mask_head=True, seed=0)
    made = learner(model, config)
    return Trainer(made, FrameCache(scene.samples(8, masks=True), config, None), config), made


def state_after(trainer, steps):
    for _ in range(steps):
        report = trainer.advance()
    return trainer.checkpoint("run").tensors, report.losses


def test_a_processor_with_two_threads_works_on_halves(scene, weights, two_threads):
    trainer, learner = trainer_of(scene, weights, Watched)
    trainer.advance()
    assert sorted(learner.calls) == [("lane_0", 2, 1), ("lane_1", 2, 1)]
    assert torch.get_num_threads() == 2


def test_one_thread_a_gpu_or_one_frame_keep_the_batch_whole(scene, weights, two_threads):
    assert lanes_for(torch.device("cuda")) == 1
    trainer, learner = trainer_of(scene, weights, Watched, batch_size=1)
    trainer.advance()
    torch.set_num_threads(1)
    assert lanes_for(torch.device("cpu")) == 1
    trainer, other = trainer_of(scene, weights, Watched)
    trainer.advance()
    assert [frames for _, frames, _ in learner.calls + other.calls] == [1, 4]


def test_the_step_is_that_of_the_halves_one_after_the_other(scene, weights, two_threads):
    side_by_side, losses = state_after(trainer_of(scene, weights)[0], 3)
    torch.set_num_threads(1)
    trainer, learner = trainer_of(scene, weights, Watched)
    trainer._parts = 2
    in_turn, others = state_after(trainer, 3)
    assert [frames for _, frames, _ in learner.calls] == [2] * 6
    assert losses == others
    assert in_turn.keys() == side_by_side.keys()
    assert all(torch.equal(in_turn[name], side_by_side[name]) for name in in_turn)


def test_the_same_bits_every_time_and_after_a_stop(scene, weights, two_threads, tmp_path):
    config = replace(scene.config, batch_size=4)
    kept = []
    for name in ("once", "again"):
        detector = train_detector(scene.samples(6), scene.classes, config, weights, tmp_path / name)
        kept.append(detector._network.state_dict())
    begun, _ = trainer_of(scene, weights)
    state_after(begun, 2)
    resumed, _ = trainer_of(scene, weights)
    resumed.resume(begun.checkpoint("run"))
    straight, _ = trainer_of(scene, weights)
    kept += [state_after(resumed, 2)[0], state_after(straight, 4)[0]]
    for one, other in (kept[:2], kept[2:]):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_fails_in_one_half_fails_the_step(scene, weights, two_threads):
    class Infinite(SiteLearner):
        def losses(self, batch, step):
            found = super().losses(batch, step)
            return found | {
                "giou": found["giou"] * (float("inf") if threading.current_thread().name[-1] == "1" else 1)
            }

    class Broken(SiteLearner):
        def losses(self, batch, step):
            raise ZeroDivisionError("of one half")

    with pytest.raises(TrainingError, match="giou"):
        trainer_of(scene, weights, Infinite)[0].advance()
    with pytest.raises(ZeroDivisionError, match="of one half"):
        trainer_of(scene, weights, Broken)[0].advance()


def test_without_memory_for_two_halves_at_once_they_take_turns(scene, weights, two_threads):
    class Frugal(SiteLearner):
        def losses(self, batch, step):
            if threading.current_thread().name.startswith("lane"):
                raise RuntimeError(
                    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
                )
            return super().losses(batch, step)

    trainer, _ = trainer_of(scene, weights, Frugal)
    trainer.advance()
    assert trainer.checkpoint("run").parts == 2


def test_threads_that_begin_later_keep_their_number(two_threads):
    lanes = Lanes(2)
    assert lanes.map(lambda _: torch.get_num_threads(), [0, 1]) == [1, 1]
    told = []
    later = threading.Thread(target=lambda: told.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert told == [2]
