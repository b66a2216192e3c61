"""`recipe: maskrcnn` through the workflows: where its weights come from, a run, its figures, its card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from curate.annotations import Decision, DecisionKind
from curate.bench.kept import Kept
from curate.bench.label_errors import recover
from curate.bench.null import bench_null
from curate.bench.train_data import train_data
from curate.config import recipe_for
from curate.detectors import maskrcnn, maskrcnn_start
from curate.errors import ConfigError, ModelError
from curate.review import decide
from curate.workflows import starting_point as starting_point_module
from curate.workflows.evaluate import evaluate_run, load_detector, needed_gold
from curate.workflows.export_model import export_model
from curate.workflows.progress import Quiet, SubReporter
from curate.workflows.project import Project
from curate.workflows.retrain import retrain
from curate.workflows.snapshot import snapshot
from curate.workflows.starting_point import FALLBACK, starting_point
from curate.workflows.train import train_config, train_version

pytestmark = pytest.mark.usefixtures("one_thread")


class Told(Quiet):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def update(self, fraction: float, message: str) -> None:
        self.messages.append(message)


def with_recipe(project: Project, weights: str | None = None) -> Project:
    path = project.root / "site.yaml"
    chosen = "recipe: maskrcnn" + (f", weights: {weights}" if weights else "")
    path.write_text(path.read_text().replace("model: {", f"model: {{{chosen}, "))
    project.store.close()
    return Project.open(project.root)


@pytest.mark.parametrize(
    ("name", "cuda", "coco", "architecture"),
    [
        ("auto", False, False, "nanodet-g"),
        ("auto", False, True, "nanodet-g"),
        ("auto", True, False, "nanodet-g"),
        ("auto", True, True, "maskrcnn-resnet50-fpn-v2"),
        ("gpu", True, True, "nanodet-g"),
        ("maskrcnn", False, False, "maskrcnn-resnet50-fpn-v2"),
    ],
)
def test_auto_takes_the_widest_network_that_is_here(
    name: str, cuda: bool, coco: bool, architecture: str
) -> None:
    recipe = recipe_for(name, cuda=cuda, coco_weights=coco)
    assert recipe.architecture == architecture
    assert (recipe.input_size is None) == (cuda or name == "maskrcnn")  # the frames' own resolution


def test_weights_go_with_the_recipe_that_reads_them(empty_project: Project) -> None:
    path = empty_project.root / "site.yaml"
    path.write_text("classes: [person]\nmodel: {recipe: cpu, weights: coco}\n")
    with pytest.raises(ConfigError, match="`weights` goes with `recipe: maskrcnn`"):
        Project.open(empty_project.root)


def test_without_cocos_weights_the_bundled_backbone_is_used_and_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline() -> Path:
        raise ModelError("torchvision's COCO weights cannot be had: no network")

    monkeypatch.setattr(starting_point_module, "fetch_coco_weights", offline)
    opened, told = with_recipe(project), Told()
    config = train_config(opened)
    assert (config.architecture, config.weights) == ("maskrcnn-resnet50-fpn-v2", "coco")
    point = starting_point(opened, config, told)
    assert (point.config.architecture, point.config.weights) == (FALLBACK, "bundled")
    assert point.weights.name == "nanodet_g_coco_416.onnx"
    (message,) = told.messages
    assert "no network" in message
    assert "bundled backbone instead" in message


def test_a_download_that_failed_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Folds and seeds of a machine without a network do not wait for each other's time-outs."""
    tried = []

    def offline(url: str, timeout: float) -> None:
        tried.append(url)
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(maskrcnn_start, "urlopen", offline)
    for _ in range(3):
        with pytest.raises(ModelError, match="no route to host"):
            maskrcnn_start.fetch_coco_weights()
    assert len(tried) == 1


def test_a_file_is_part_of_the_run_by_its_content(project: Project) -> None:
    opened = with_recipe(project, "own.safetensors")
    with pytest.raises(ModelError, match="no such weights file"):
        starting_point(opened, train_config(opened), Quiet())
    with train_data(opened.root, None) as data, pytest.raises(ModelError, match="no such weights file"):
        bench_null(
            data,
            Kept(opened.root),
            comparisons=1,
            seeds=1,
            pool=2,
            steps=1,
            reporter=SubReporter(Quiet(), 0, 1),
        )
    with pytest.raises(ModelError, match="no such weights file"):
        recover._train_and_judge(opened, [], 0, opened.root, SubReporter(Quiet(), 0, 1))
    names = []
    for content in (b"one", b"other"):
        (opened.root / "own.safetensors").write_bytes(content)
        names.append(starting_point(opened, train_config(opened), Quiet()).config.weights)
    assert names[0] != names[1]
    assert all(name.startswith("own.safetensors ") for name in names)
    with pytest.raises(ModelError, match="cannot be read"):
        train_version(opened, snapshot(opened).id)
    (run,) = opened.store.runs(kind="train")
    assert run.state == "failed"


def small_parts(rows: int) -> MaskRCNN:
    """torchvision's Mask R-CNN as it is, but on a ResNet-18 and with narrow heads."""
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5)
    heads = {
        "box_head": TwoMLPHead(256 * 7 * 7, 32),
        "box_predictor": FastRCNNPredictor(32, rows),
        "mask_head": MaskRCNNHeads(256, (32,), 1),
        "mask_predictor": MaskRCNNPredictor(32, 32, rows),
    }
    return MaskRCNN(backbone, **heads)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network and numbers of boxes that a test can wait for."""
    monkeypatch.setattr(maskrcnn, "_SAMPLED_BOXES", (16, 0.25))
    monkeypatch.setattr(maskrcnn, "_PROPOSALS", {"training": 60, "testing": 20})
    for module in (maskrcnn, maskrcnn_start):
        monkeypatch.setattr(module, "torchvision_parts", small_parts)
    maskrcnn_start._coco_shapes.cache_clear()
    yield
    maskrcnn_start._coco_shapes.cache_clear()


@pytest.mark.slow
def test_retraining_and_comparing_with_weights_of_a_file(small: None, project: Project) -> None:
    """The button with this recipe: a first detector, a fix, a second one from the first, before against after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        state = small_parts(maskrcnn.COCO_ROWS).state_dict()
    save_file(state, project.root / "own.safetensors")
    opened = with_recipe(project, "own.safetensors")
    first = retrain(opened)
    label = opened.store.annotations(source="cheap")[0]
    delete = Decision("one", DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id)
    decide(opened.store, delete)
    second = retrain(opened)
    assert (first.starts, second.starts) == ((None,), first.runs)
    before, after = (opened.store.run(result.runs[0]) for result in (first, second))
    assert before.config["architecture"] == after.config["architecture"] == "maskrcnn-resnet50-fpn-v2"
    assert after.config["weights"].startswith("own.safetensors ")
    assert after.config["steps"] < before.config["steps"]
    assert second.against_before is not None
    assert (second.against_before.before, second.against_before.after) == (first.runs, second.runs)
    assert any("steps more" in note for note in second.against_before.comparison.notes)
    measured = {entry.metric for entry in second.against_before.comparison.differences}
    assert {"box_ap", "box_ap50", "mask_ap"} <= measured
    assert retrain(opened).runs == second.runs  # nothing is trained twice
    one, other = (load_file(opened.root / run.path / "model.safetensors") for run in (before, after))
    assert any(not torch.equal(one[name], other[name]) for name in one)
    opened.store.close()


@pytest.mark.slow
def test_a_run_is_trained_judged_on_gold_and_described(small: None, project: Project, tmp_path: Path) -> None:
    opened = with_recipe(project, "bundled")
    run = train_version(opened, snapshot(opened).id)
    assert run.state == "done"
    assert run.config["architecture"] == FALLBACK
    detector = load_detector(opened, run)
    assert detector.has_masks
    judged = evaluate_run(opened, run, needed_gold(opened))
    assert all(found.masks is not None for found in judged.detections)
    card = (opened.root / run.path / "model-card.md").read_text()
    assert "Mask R-CNN on NanoDet-G's backbone" in card
    assert "the bundled COCO weights" in card
    with pytest.raises(ModelError, match="only NanoDet-G"):
        export_model(opened, tmp_path / "onnx", run=run.id)
