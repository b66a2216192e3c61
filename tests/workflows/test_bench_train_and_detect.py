"""`curate bench train` and `bench detect` on a rendered junction: the figures are all there and make sense."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from curate.assist import EMBEDDER, weights_path
from curate.bench import detect, train_reference
from curate.bench import detect_jobs as jobs
from curate.bench.detect import bench_detect, detect_markdown
from curate.bench.detect_backbone import Lite0
from curate.bench.detect_peer import ANCHORS, PEER, PeerDetector, PeerLearner, new_peer, site_anchors
from curate.bench.kept import Kept
from curate.bench.null import bench_null
from curate.bench.time_to_ap import times_to
from curate.bench.train_data import TrainData, train_data
from curate.cli.main import app
from curate.detectors import TrainConfig
from curate.detectors.frames import FrameCache
from curate.detectors.learner import ParameterGroup
from curate.detectors.trainer import Trainer
from curate.errors import ConfigError, TrainingError
from curate.workflows.progress import Cancelled, Quiet, SubReporter
from curate.workflows.train import train_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(labelled_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bench") / "site"
    shutil.copytree(labelled_template, root)
    return root


@pytest.fixture
def data(folder: Path) -> Iterator[TrainData]:
    with train_data(folder, None) as found:
        yield found
        found.project.store.close()


def test_the_bundled_backbone_is_the_embedder_s_network() -> None:
    """Its last maps, averaged as the graph does, are what onnxruntime computes."""
    images = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    session = onnxruntime.InferenceSession(weights_path(EMBEDDER), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"image": images})
    backbone = Lite0(weights_path(EMBEDDER)).eval()
    with torch.inference_mode():
        maps = backbone(torch.from_numpy(images))
        head = torch.nn.functional.relu6(backbone.convolutions[-1](maps["32"])).mean((2, 3))
    assert {name: tuple(value.shape[1:]) for name, value in maps.items()} == {
        "8": (40, 28, 28),
        "16": (112, 14, 14),
        "32": (320, 7, 7),
    }
    np.testing.assert_allclose(head.numpy().reshape(expected.shape), expected, atol=1e-3)


def test_the_peer_learns_what_it_is_shown(data: TrainData) -> None:
    config = TrainConfig(
        steps=24,
        batch_size=2,
        learning_rate=1e-3,
        input_size=160,
        device="cpu",
        warmup_steps=3,
        augment=False,
    )
    classes = data.project.config.classes
    model = new_peer(PEER, weights_path(EMBEDDER), len(classes), data.samples, config)
    trainer = Trainer(PeerLearner(model, config), FrameCache(data.samples[:2], config, None), config)
    losses = [trainer.advance().losses["total"] for _ in range(config.steps)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    detector = PeerDetector(model, classes, 160)
    found = detector.predict([data.samples[0].image()])[0]
    assert (np.diff(found.scores) <= 0).all()
    assert set(found.classes.tolist()) <= {0, 1}


def test_anchors_have_the_sizes_and_shapes_of_the_labels(data: TrainData) -> None:
    anchors = site_anchors(data.samples, 160)
    sizes = [size for level in anchors.sizes for size in level]
    assert sizes == sorted(sizes)
    assert len(sizes) == 15
    height, width = data.samples[0].image().shape[:2]
    boxes = np.concatenate([sample.boxes for sample in data.samples]) * 160 / max(height, width)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sizes[7] == pytest.approx(np.median(np.sqrt(sides.prod(1))), rel=0.02)
    assert anchors.aspect_ratios[0][1] == pytest.approx(np.median(sides[:, 1] / sides[:, 0]), rel=0.02)
    config = TrainConfig(steps=1, batch_size=1, input_size=160, device="cpu")
    model = new_peer(ANCHORS[1], weights_path(EMBEDDER), 2, data.samples, config)
    trainer = Trainer(PeerLearner(model, config), FrameCache(data.samples[:1], config, None), config)
    assert set(trainer.advance().losses) == {"classification", "bbox_regression", "total"}


@pytest.mark.slow
def test_detectors_are_compared_row_by_row(
    data: TrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_FEWEST_STEPS", 5)
    monkeypatch.setattr(jobs, "_PACE_STEPS", 1)
    kept, reporter = Kept(tmp_path), SubReporter(Quiet(), 0, 1)
    bench = bench_detect(data, kept, minutes=[1e-6], ablations=["scratch"], reporter=reporter, seeds=2)
    seed = train_config(data.project).seed
    assert [row.get("seed") for row in bench.rows] == [None, seed, seed + 1, None, None]
    assert bench.rows[1]["box_ap"] != bench.rows[2]["box_ap"]
    (gains,) = bench.against_generic
    mean = np.mean([row["box_ap"] for row in bench.rows[1:3]])
    assert gains["seeds"] == 2
    assert gains["gains"]["box_ap"]["value"] == pytest.approx(mean - bench.rows[0]["box_ap"], abs=1e-6)
    assert "2 seeds, minus generic: box_ap" in detect_markdown(bench)
    rows = [bench.rows[0], *bench.rows[2:]]
    assert [row["model"] for row in rows] == [
        "generic",
        "ours",
        PEER,
        "ours, without pretrained weights",
    ]
    names = [job.model for job in detect._jobs(data, kept, [1, 3], ["anchors", "paste"])]
    assert names == ["generic", *["ours", PEER] * 2, *ANCHORS, "ours, with pasted objects"]
    assert "minutes" not in rows[0]
    assert all(row["minutes"] == 1e-6 for row in rows[1:])
    for row in rows:
        assert {"box_ap", "box_ap50", "precision_at_30", "fppi", "mask_ap", "ms_per_frame", "peak_mb"} <= set(
            row
        )
        assert row["ms_per_frame"] > 0
        assert row["peak_mb"] > 50
    assert rows[1]["box_ap50"] > rows[3]["box_ap50"]
    assert rows[1]["mask_ap"] is not None
    with pytest.raises(ConfigError, match="ablations"):
        bench_detect(data, kept, minutes=[1], ablations=["magic"], reporter=reporter)


def test_the_pace_is_that_of_undisturbed_steps() -> None:
    moments = np.cumsum([100.0, 3.0, 1.0, 1.0, 5.0, 1.0, 9.0, 1.0])
    pace = jobs.Pace.of(moments.tolist())
    assert pace == jobs.Pace(start=2.0, step=1.0)
    assert pace.steps(62) == 60
    assert pace.steps(1) == 0


class StopsAfter(Quiet):
    """Cancels once a training has made so many steps."""

    def __init__(self, step: str) -> None:
        self._step = step
        self.told: list[str] = []

    def update(self, fraction: float, message: str) -> None:
        self.told.append(message)

    def should_stop(self) -> bool:
        return any(self._step in message for message in self.told)


@pytest.mark.slow
def test_a_bench_that_was_cut_off_goes_on(
    data: TrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a training; what is finished is not trained again, and ends the same."""
    monkeypatch.setattr(jobs, "_FEWEST_STEPS", 6)
    monkeypatch.setattr(jobs, "_every", lambda _: 2)
    config = train_config(data.project)
    kept = Kept(tmp_path / "cut")
    for train, name in ((jobs.train_ours, None), (jobs.train_peer, PEER)):
        stopped = StopsAfter("step 4 of 6")
        with pytest.raises(Cancelled):
            train(data, kept, config, 1e-6, name, SubReporter(stopped, 0, 1).update)
        told = StopsAfter("never")
        found = train(data, kept, config, 1e-6, name, SubReporter(told, 0, 1).update)
        # The step at which it was told to stop comes again: it was cancelled before the checkpoint.
        assert told.told == [f"step {step} of 6" for step in (5, 6)]
        again = StopsAfter("never")
        same = train(data, kept, config, 1e-6, name, SubReporter(again, 0, 1).update)
        assert again.told == []
        whole = train(data, Kept(tmp_path / "whole"), config, 1e-6, name, lambda *_: None)
        image = data.samples[0].image()
        expected = whole.detector.predict([image])[0]
        for detector in (found.detector, same.detector):
            np.testing.assert_array_equal(detector.predict([image])[0].scores, expected.scores)
        assert (found.steps, found.seconds) == (same.steps, same.seconds) == (6, found.seconds)


@pytest.mark.slow
def test_both_loops_are_timed_and_written_down(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    options = ["--steps", "1", "--rounds", "1", "--frames", "3,30", "--minutes", "0.0001"]
    places = ["--project", str(folder), "--json", str(file), "--cache", str(tmp_path / "kept")]
    result = CliRunner().invoke(app, ["bench", "train", *options, *places])
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    ratio = figures["images_per_second"] / figures["reference_images_per_second"]
    assert figures["ratio_to_reference"] == pytest.approx(ratio, rel=0.05)
    rows = {row["frozen_parts"]: row for row in figures["by_frozen_parts"]}
    assert rows.keys() == {0, figures["frozen_parts"] or 2}
    assert rows[figures["frozen_parts"]]["ratio_to_reference"] == figures["ratio_to_reference"]
    assert "all but the first 2 parts of the backbone" in result.output
    assert [row["frames"] for row in figures["growth"]] == [3, 30]
    assert all(row["recipe_seconds"] > row["seconds_to_first_step"] for row in figures["growth"])
    reached = figures["time_to_ap"]
    for loop in ("ours", "reference"):
        assert reached[loop]["error"] == ""
        assert [row["step"] for row in reached[loop]["curve"]] == list(range(1, 9))
        seconds = [row["seconds"] for row in reached[loop]["curve"]]
        assert seconds == sorted(seconds)
    assert set(reached["to"]) == {"box_ap", "box_ap50"}
    again = CliRunner().invoke(app, ["bench", "train", *options, *places])
    assert again.exit_code == 0, again.output
    assert json.loads(file.read_text()) == figures


def test_time_to_ap_is_that_to_the_largest_value_that_both_reach() -> None:
    def curve(*values: float) -> list[dict[str, float]]:
        return [{"seconds": 10.0 * (at + 1), "box_ap": ap, "box_ap50": 0.9} for at, ap in enumerate(values)]

    reached = times_to(curve(0.5, 0.7, 0.72, 0.71), curve(0.4, 0.45, 0.6, 0.7))
    assert reached["box_ap"] == {"target": 0.7, "ours": 20.0, "reference": 40.0, "ratio": 2.0}
    assert reached["box_ap50"] == {"target": 0.9, "ours": 10.0, "reference": 10.0, "ratio": 1.0}
    assert times_to([], curve(0.5))["box_ap"]["target"] is None


def test_the_reference_loop_has_the_reference_s_schedule_and_ends_at_a_nan(data: TrainData) -> None:
    """Warm-up over the first epoch, a tenth from 16 / 26 and from 22 / 26 on."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    schedule = train_reference._schedule(optimizer, 11, 260)
    rates = []
    for _ in range(260):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert (rates[0], rates[10], rates[159]) == pytest.approx((0.001, 1.0, 1.0))
    assert (rates[160], rates[219], rates[220]) == pytest.approx((0.1, 0.1, 0.01))

    class Broken:
        model, groups = torch.nn.Linear(1, 1), (ParameterGroup([weight], 1.0),)

        def losses(self, batch: object, step: int) -> dict[str, torch.Tensor]:
            return {"loss": weight.sum() * float("nan")}

    config = TrainConfig(steps=2, batch_size=2, input_size=160, device="cpu")
    loop = train_reference.ReferenceLoop(Broken(), data.samples, config, 1e-3)
    with pytest.raises(TrainingError, match="step 1"):
        loop.advance()


def test_seeds_of_one_recipe_are_compared_with_themselves(data: TrainData, tmp_path: Path) -> None:
    kept, reporter = Kept(tmp_path), SubReporter(Quiet(), 0, 1)
    figures = bench_null(data, kept, comparisons=2, seeds=1, pool=2, steps=2, reporter=reporter)
    assert {"box_ap", "box_ap50", "precision"} <= set(figures["claims"]) | {"precision"}
    assert all(0 <= row["claims"] <= row["comparisons"] <= 2 for row in figures["claims"].values())
    assert figures["headline"] == {"metric": "box_ap50", **figures["claims"]["box_ap50"]}
    files = sorted(tmp_path.rglob("*.parquet"))
    assert len(files) == 2
    times = [file.stat().st_mtime_ns for file in files]
    assert bench_null(data, kept, comparisons=2, seeds=1, pool=2, steps=2, reporter=reporter) == figures
    assert [file.stat().st_mtime_ns for file in files] == times
    with pytest.raises(ConfigError, match="pool"):
        bench_null(data, kept, comparisons=1, seeds=3, pool=4, steps=1, reporter=reporter)
