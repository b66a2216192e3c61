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
from curate.bench.detect import bench_detect
from curate.bench.detect_backbone import Lite0
from curate.bench.detect_peer import FcosDetector, FcosLearner, new_fcos
from curate.bench.null import bench_null
from curate.bench.train_data import TrainData, train_data
from curate.cli.main import app
from curate.detectors import TrainConfig
from curate.detectors.frames import FrameCache
from curate.detectors.trainer import Trainer
from curate.errors import ConfigError
from curate.workflows.progress import Quiet, SubReporter


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    model = new_fcos(weights_path(EMBEDDER), len(data.project.config.classes), 0)
    trainer = Trainer(FcosLearner(model, config), FrameCache(data.samples[:2], config, None), config)
    losses = [trainer.advance().losses["total"] for _ in range(config.steps)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    detector = FcosDetector(model, data.project.config.classes, 160)
    found = detector.predict([data.samples[0].image()])[0]
    assert (np.diff(found.scores) <= 0).all()
    assert set(found.classes.tolist()) <= {0, 1}


@pytest.mark.slow
def test_detectors_are_compared_row_by_row(data: TrainData) -> None:
    rows = bench_detect(data, minutes=[0.001], ablations=["scratch"], reporter=SubReporter(Quiet(), 0, 1))
    assert [row["model"] for row in rows] == [
        "generic",
        "ours",
        "torchvision FCOS, EfficientNet-Lite0",
        "ours, without pretrained weights",
    ]
    assert "minutes" not in rows[0]
    assert all(row["minutes"] == 0.001 for row in rows[1:])
    for row in rows:
        assert {"box_ap", "box_ap50", "precision_at_30", "fppi", "mask_ap", "ms_per_frame", "peak_mb"} <= set(
            row
        )
        assert row["ms_per_frame"] > 0
        assert row["peak_mb"] > 50
    assert rows[1]["box_ap50"] > rows[3]["box_ap50"]
    with pytest.raises(ConfigError, match="ablations"):
        bench_detect(data, minutes=[1], ablations=["magic"], reporter=SubReporter(Quiet(), 0, 1))


@pytest.mark.slow
def test_both_loops_are_timed_and_written_down(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    arguments = [
        "--steps",
        "1",
        "--rounds",
        "1",
        "--frames",
        "3,30",
        "--project",
        str(folder),
        "--json",
        str(file),
    ]
    result = CliRunner().invoke(app, ["bench", "train", *arguments])
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    ratio = figures["images_per_second"] / figures["reference_images_per_second"]
    assert figures["ratio_to_reference"] == pytest.approx(ratio, rel=0.05)
    assert [row["frames"] for row in figures["growth"]] == [3, 30]


def test_seeds_of_one_recipe_are_compared_with_themselves(data: TrainData) -> None:
    reporter = SubReporter(Quiet(), 0, 1)
    figures = bench_null(data, comparisons=2, seeds=1, pool=2, steps=2, reporter=reporter)
    assert {"box_ap", "box_ap50", "precision"} <= set(figures["claims"]) | {"precision"}
    assert all(0 <= row["claims"] <= row["comparisons"] <= 2 for row in figures["claims"].values())
    with pytest.raises(ConfigError, match="pool"):
        bench_null(data, comparisons=1, seeds=3, pool=4, steps=1, reporter=reporter)
