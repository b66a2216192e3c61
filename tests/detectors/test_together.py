"""Several trainings at once: each becomes what it becomes alone, and one that fails stops the others."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from curate.detectors import TrainConfig, TrainingStopped, together, train_detector
from curate.detectors.distributed import World
from curate.detectors.together import at_once, memory_needed, train_together
from curate.errors import TrainingError

CPU = torch.device("cpu")


def test_two_at_once_end_with_the_weights_of_each_alone(scene, weights, tmp_path):
    """Bit for bit, on a processor; and they do run at the same time."""
    both = threading.Barrier(2)
    jobs = []
    for seed in (0, 1):
        config = replace(scene.config, seed=seed, steps=4, deterministic=seed == 1)
        samples = scene.samples(4 + seed, masks=True)
        train_detector(samples, scene.classes, config, weights, tmp_path / f"alone-{seed}")

        def job(should_stop, samples=samples, config=config, seed=seed):
            def meet(report):
                if report.step == 2:
                    both.wait(60)

            folder = tmp_path / f"together-{seed}"
            return train_detector(
                samples, scene.classes, config, weights, folder, progress=meet, should_stop=should_stop
            )

        jobs.append(job)
    looks = []
    found = train_together(jobs, 2, CPU, lambda: looks.append(1))
    assert [detector.config.seed for detector in found] == [0, 1]
    assert looks
    assert not torch.are_deterministic_algorithms_enabled()
    for seed in (0, 1):
        one, other = (
            load_file(tmp_path / f"{name}-{seed}" / "model.safetensors") for name in ("alone", "together")
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def waits(begun):
    def job(should_stop):
        begun.set()
        while not should_stop():
            threading.Event().wait(0.01)
        raise TrainingStopped("stopped")

    return job


def test_the_first_failure_stops_the_others_and_is_told():
    begun, never = threading.Event(), threading.Event()

    def fails(should_stop):
        begun.wait(60)
        raise TrainingError("not finite")

    with pytest.raises(TrainingError, match="not finite"):
        train_together([waits(begun), fails, waits(never), waits(never)], 2, CPU, lambda: None)
    assert begun.is_set()


def test_who_watches_can_stop_all():
    begun = [threading.Event() for _ in range(2)]

    def watch():
        if all(event.is_set() for event in begun):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_together([waits(event) for event in begun], 2, CPU, watch)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("training")]


@pytest.mark.parametrize(
    ("free", "wanted", "jobs", "expected"),
    [(80, None, 5, 4), (80, None, 2, 2), (10, None, 5, 1), (0.1, None, 5, 1), (0.1, 3, 5, 3), (80, 9, 2, 2)],
)
def test_a_card_takes_as_many_as_its_free_memory(monkeypatch, free, wanted, jobs, expected):
    config = TrainConfig(batch_size=16, input_size=768, device="cuda")
    assert 6 * 2**30 < memory_needed(config) < 10 * 2**30
    monkeypatch.setattr(together, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * 2**30), 80 * 2**30))
    assert at_once(config, wanted, jobs) == expected


def test_a_processor_takes_one_unless_asked(monkeypatch):
    config = TrainConfig(device="cpu")
    assert at_once(config, None, 5) == 1
    assert at_once(config, 2, 5) == 2
    monkeypatch.setattr(together, "join_world", lambda: World(rank=0, size=2))
    assert at_once(config, 2, 5) == 1
