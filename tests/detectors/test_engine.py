"""The trainer under pressure: little memory, several processes, early ends, starts from earlier weights."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from curate.detectors import SiteDetector, TrainingSample, TrainingStopped, train_detector
from curate.detectors.frames import FrameCache
from curate.detectors.learner import SiteLearner, autocast, multiplies_bfloat16
from curate.detectors.model import new_site_network
from curate.detectors.prefetch import Prefetch
from curate.detectors.trainer import Trainer
from curate.errors import ConfigError, ImageError, ModelError, TrainingError


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


class Frugal(SiteLearner):
    """Runs out of memory with more than so many frames at once."""

    most = 1

    def losses(self, batch, step):
        if len(batch.items) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        return super().losses(batch, step)


def trainer_of(scene, weights, learner=SiteLearner, **changes):
    config = replace(scene.config, batch_size=4, **changes)
    model = new_site_network(weights, scene.classes, channels=3, mask_head=False, seed=0)
    return Trainer(learner(model, config), FrameCache(scene.samples(8), config, None), config)


def test_a_batch_that_does_not_fit_is_cut_and_the_step_is_the_same(scene, weights):
    whole, cut = trainer_of(scene, weights), trainer_of(scene, weights, Frugal)
    for trainer in (whole, cut):
        report = trainer.advance()
        assert set(report.losses) >= {"quality", "giou", "total"}
    assert cut.checkpoint("run").parts == 4
    assert whole.checkpoint("run").parts == 1
    # Parts are normalised by their own objects, so the step is alike, not equal.
    one, other = whole.checkpoint("run").tensors, cut.checkpoint("run").tensors
    name = "optimizer.dense.stem.weight.exp_avg"
    cosine = torch.nn.functional.cosine_similarity(one[name].flatten(), other[name].flatten(), 0)
    assert cosine > 0.9


def test_when_not_even_one_frame_fits_it_says_so(scene, weights):
    class Hopeless(Frugal):
        most = 0

    with pytest.raises(TrainingError, match="not even one frame of 128"):
        trainer_of(scene, weights, Hopeless).advance()


def test_other_runtime_errors_are_not_taken_for_lack_of_memory(scene, weights):
    class Broken(SiteLearner):
        def losses(self, batch, step):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        trainer_of(scene, weights, Broken).advance()


def test_early_stop_keeps_the_best_and_goes_on_exactly_after_a_stop(scene, weights, tmp_path):
    """Scores that fall after the second validation: the run ends early, with the weights of that step."""
    config = replace(scene.config, steps=12, patience=2, ema=0.0, learning_rate=1e-3)
    scores = {2: 0.1, 4: 0.5, 6: 0.3, 8: 0.2, 10: 0.9, 12: 0.9}
    seen: dict[int, SiteDetector] = {}

    def train(folder, stop_at=0):
        steps = []

        def validate(detector, step):
            seen[step] = detector
            return scores[step]

        return train_detector(
            scene.samples(5),
            scene.classes,
            config,
            weights,
            folder,
            validate=validate,
            validate_every=2,
            progress=lambda report: steps.append(report.step),
            should_stop=lambda: steps[-1] == stop_at,
        )

    train(tmp_path / "whole")
    assert max(seen) == 8
    seen[4].save(tmp_path / "fourth")
    assert largest_difference(weights_of(tmp_path / "whole"), weights_of(tmp_path / "fourth")) == 0
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [line["validation"] for line in lines if "validation" in line] == [0.1, 0.5, 0.3, 0.2]
    seen.clear()
    with pytest.raises(TrainingStopped):
        train(tmp_path / "stopped", stop_at=5)
    train(tmp_path / "stopped")
    assert max(seen) == 8
    assert largest_difference(weights_of(tmp_path / "whole"), weights_of(tmp_path / "stopped")) == 0
    assert not (tmp_path / "stopped" / "best").exists()


def test_batches_are_made_one_step_ahead_and_are_the_same(scene):
    made = []

    class Frames(FrameCache):
        def batch(self, step, rank=0, ranks=1):
            made.append((step, threading.current_thread().name.partition("_")[0]))
            return super().batch(step, rank, ranks)

    frames = Frames(scene.samples(6), scene.config, None)
    ahead = Prefetch(frames, 4, torch.device("cpu"), (0, 1))
    for step in (0, 1, 3):  # a resumed run may begin anywhere
        batch = ahead.batch(step)
        expected = FrameCache(scene.samples(6), scene.config, None).batch(step)
        assert torch.equal(batch.canvases, expected.canvases)
        np.testing.assert_array_equal(batch.items[1].boxes, expected.items[1].boxes)
    assert made == [(step, "batches") for step in (0, 1, 2, 3)]  # nothing beyond the end


def test_a_frame_that_cannot_be_read_is_an_error_of_its_step(scene, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    samples = [*scene.samples(1), TrainingSample("a", broken, [], [])]
    ahead = Prefetch(FrameCache(samples, scene.config, None), 4, torch.device("cpu"), (0, 1))
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        ahead.batch(0)


def test_a_run_may_start_from_an_earlier_detector(scene, weights, tmp_path):
    config = replace(scene.config, learning_rate=1e-3, steps=30)
    losses: dict[str, float] = {}

    def train(name, settings, start=None):
        first = []
        train_detector(
            scene.samples(6),
            scene.classes,
            settings,
            weights,
            tmp_path / name,
            start=start,
            progress=lambda report: first.append(report.losses["total"]),
        )
        losses[name] = first[0]

    train("cold", config)
    train("warm", replace(config, steps=2), tmp_path / "cold")
    assert losses["warm"] < 0.8 * losses["cold"]
    prints = {name: SiteDetector.load(tmp_path / name).fingerprint for name in ("cold", "warm")}
    assert prints["cold"] != prints["warm"]
    with pytest.raises(ModelError, match="other classes or channels"):
        train_detector(
            scene.samples(4),
            ("cone",) * 1 + ("person", "dog"),
            config,
            weights,
            tmp_path / "x",
            start=tmp_path / "cold",
        )


def test_a_processor_computes_in_bfloat16_where_it_multiplies_it_and_the_network_may(monkeypatch):
    cpu = torch.device("cpu")
    for able in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda answer=able: answer, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
        assert multiplies_bfloat16(cpu) == able
        for precision, processors in (("auto", True), ("auto", False), ("float32", True)):
            with autocast(precision, cpu, processors=processors):
                assert torch.is_autocast_enabled("cpu") == (able and precision == "auto" and processors)


def test_precision_and_determinism_can_be_chosen(scene, weights, tmp_path):
    cpu = torch.device("cpu")
    with autocast("bfloat16", cpu):
        assert torch.is_autocast_enabled("cpu")
    with pytest.raises(ConfigError, match="precision"):
        replace(scene.config, precision="half")
    config = replace(scene.config, steps=2, precision="bfloat16", deterministic=True)
    detector = train_detector(scene.samples(4), scene.classes, config, weights, tmp_path)
    assert all(parameter.dtype == torch.float32 for parameter in detector._network.parameters())
    assert not torch.are_deterministic_algorithms_enabled()


DISTRIBUTED = """
import importlib.util, sys
from pathlib import Path
import torch
spec = importlib.util.spec_from_file_location("scene", sys.argv[1])
scene_module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene_module)
torch.set_num_threads(1)
from curate.detectors import train_detector
from curate.detectors.distributed import join_world
scene = scene_module.Scene()
folder = Path(sys.argv[3])
detector = train_detector(scene.samples(6), scene.classes, scene.config, Path(sys.argv[2]), folder)
rank = join_world().rank
detector.save(folder / f"rank-{rank}")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_one_detector(scene, weights, tmp_path):
    """torchrun with two gloo processes: both end with the same weights, near those of one process."""
    script = tmp_path / "train.py"
    script.write_text(DISTRIBUTED)
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
        str(script),
    ]
    arguments = [str(Path(__file__).with_name("conftest.py")), str(weights), str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [weights_of(folder / f"rank-{rank}") for rank in (0, 1)]
    assert largest_difference(*ranks) == 0
    assert largest_difference(ranks[0], weights_of(folder)) == 0
    train_detector(scene.samples(6), scene.classes, scene.config, weights, tmp_path / "alone")
    start = new_site_network(weights, scene.classes, channels=3, mask_head=False, seed=0).state_dict()
    moves = [
        torch.cat([(state[name] - value).flatten() for name, value in start.items() if "dense" in name])
        for state in (ranks[0], weights_of(tmp_path / "alone"))
    ]
    assert torch.nn.functional.cosine_similarity(*moves, 0) > 0.5
    lines = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, scene.config.steps + 1))
