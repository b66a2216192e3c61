"""How fluid the embedding map is with many points, in a real browser."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from curate.bench.ui_browser import browser_page, served
from curate.bench.ui_project import queue_project
from curate.workflows.crop_map import embedding_map
from curate.workflows.embedding_store import Embedded, crop_key, save_vectors, vectors_path
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = ["MapBench", "bench_map"]

_DIMS, _CLUSTERS = 64, 40
_SECONDS = 4
_MOVE = """
async (stage, seconds) => {
  const map = stage.closest('.map');
  const box = stage.getBoundingClientRect();
  const before = Number(map.dataset.paints);
  const costs = [];
  const started = performance.now();
  let frames = 0;
  while (performance.now() - started < seconds * 1000) {
    await new Promise(requestAnimationFrame);
    const turn = (performance.now() - started) / 700;
    stage.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, pointerId: 1,
      clientX: box.left + box.width * (0.5 + 0.2 * Math.cos(turn)),
      clientY: box.top + box.height * (0.5 + 0.2 * Math.sin(turn)) }));
    frames += 1;
    costs.push(Number(map.dataset.paintMs));
  }
  const passed = (performance.now() - started) / 1000;
  return { painted: (Number(map.dataset.paints) - before) / passed, offered: frames / passed, costs };
}
"""


@dataclass(frozen=True)
class MapBench:
    """What was measured.

    Attributes:
        points: On the map.
        layout_s: Laying the map out, once per scan (embeddings to places), seconds.
        first_open_ms: Opening the page when this server has not read the map yet, until it is painted.
        open_ms: Opening it after that.
        pan_fps: Painted frames a second while the map is dragged (the browser offers at most 60).
        paint_ms: One painting, median, milliseconds.
        recolour_ms: Click on another colouring until it is painted.
        loop_ms: End of the loop drawn around points until their list is on the page.
        chosen: Points in that loop.
    """

    points: int
    layout_s: float
    first_open_ms: float
    open_ms: float
    pan_fps: float
    paint_ms: float
    recolour_ms: float
    loop_ms: float
    chosen: int

    @property
    def figures(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @property
    def markdown(self) -> str:
        """The table for docs/benchmarks.md."""
        rows = [
            ("points on the map", f"{self.points:,}"),
            ("laid out, once after a scan", f"{self.layout_s:.1f} s"),
            (
                "page opened, server has not read the map yet / has",
                f"{self.first_open_ms:.0f} / {self.open_ms:.0f} ms",
            ),
            ("dragging the map", f"{self.pan_fps:.0f} frames a second, {self.paint_ms:.1f} ms a painting"),
            ("another colouring", f"{self.recolour_ms:.0f} ms"),
            (f"loop around {self.chosen:,} points until their list shows", f"{self.loop_ms:.0f} ms"),
        ]
        return "\n".join(
            ["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)]
        )


def bench_map(folder: Path, *, points: int = 100_000, reporter: Reporter | None = None) -> MapBench:
    """Measure the map of labels with so many points, an open issue on each.

    Args:
        folder: For the project that is measured on; one from an earlier time is used again.
        points: Labels.
        reporter: Told how far it is.
    """
    report = reporter or Quiet()
    report.update(0.0, f"project with {points:,} labels")
    project = queue_project(folder, points)
    _embed(project)
    report.update(0.4, "laying the map out")
    (project.cache_dir / "embeddings" / "map.npz").unlink(missing_ok=True)
    (project.cache_dir / "embeddings" / "map-points.npz").unlink(missing_ok=True)
    started = time.perf_counter()
    embedding_map(project)
    layout = time.perf_counter() - started
    report.update(0.6, "in the browser")
    with served(project) as url, browser_page() as page:
        first, opened = _open(page, url), _open(page, url)
        stage = page.locator(".map .stage")
        fps, costs = _pan(page, stage)
        recolour = _recolour(page)
        loop, chosen = _loop(page, stage)
    report.update(1.0, "done")
    return MapBench(points, layout, first, opened, fps, median(costs), recolour, loop, chosen)


def _embed(project: Project) -> None:
    """Vectors in clusters, as embeddings have them; their length does not matter to the page."""
    path = vectors_path(project, Embedded.CROP)
    if path.exists():
        return
    keys = [crop_key(label) for label in project.store.annotations(source=project.config.labels.working)]
    rng = np.random.default_rng(0)
    middles = rng.normal(0, 1, (_CLUSTERS, _DIMS))
    vectors = middles[rng.integers(0, _CLUSTERS, len(keys))] + rng.normal(0, 1.1, (len(keys), _DIMS))
    save_vectors(path, dict(zip(keys, vectors.astype(np.float32), strict=True)))


def _open(page: Any, url: str) -> float:
    """Milliseconds from asking for the page until the map is painted."""
    page.goto("about:blank")
    started = time.perf_counter()
    page.goto(f"{url}/map")
    page.locator(".map[data-paints]").wait_for()
    return (time.perf_counter() - started) * 1000


def _pan(page: Any, stage: Any) -> tuple[float, list[float]]:
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down(button="right")
    found = stage.evaluate(_MOVE, _SECONDS)
    page.mouse.up(button="right")
    return float(found["painted"]), [float(cost) for cost in found["costs"]]


def _recolour(page: Any, repeats: int = 5) -> float:
    """Median milliseconds from the click until the map is painted anew."""
    script = """
    async (map, key) => {
      const before = map.dataset.paints;
      const started = performance.now();
      map.querySelector(`[data-layer="${key}"]`).click();
      while (map.dataset.paints === before) await new Promise(requestAnimationFrame);
      return performance.now() - started;
    }
    """
    keys = ["issue", "source", "fold", "score", "label"] * repeats
    return float(median(page.locator(".map").evaluate(script, key) for key in keys[: 5 * repeats]))


def _loop(page: Any, stage: Any) -> tuple[float, int]:
    """Draw around the middle of the map; milliseconds until the list shows, and how many were chosen."""
    box = stage.bounding_box()
    x, y, reach = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["height"] * 0.08
    page.mouse.move(x + reach, y)
    page.mouse.down()
    for turn in np.linspace(0, 2 * np.pi, 24):
        page.mouse.move(x + reach * float(np.cos(turn)), y + reach * float(np.sin(turn)))
    started = time.perf_counter()
    page.mouse.up()
    page.get_by_text("Click a picture to leave it out").wait_for()
    page.locator(".gallery .card").first.wait_for()
    passed = (time.perf_counter() - started) * 1000
    text = page.locator(".map .foot b").inner_text()
    return passed, int(text.split()[0].replace(",", ""))
