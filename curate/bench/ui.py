"""How fast the app is in a real browser: the next frame, dragging, the first page of long queues."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from curate.bench.ui_browser import browser_page, served
from curate.bench.ui_project import crowded_project, place_of, queue_project, walkers
from curate.errors import DataError
from curate.workflows.progress import Quiet, Reporter

__all__ = ["UiBench", "bench_ui"]

QUEUES = (1_000, 100_000, 1_000_000)
CROWDS = (100, 1_000, 3_000)
_KEYS = ("Space", "b", "Space", "x", "Space", "Control+Space")
_THINK_MS = 700
_ITEM = ".workbench[data-item]"


@dataclass(frozen=True)
class UiBench:
    """What was measured.

    Attributes:
        next_frame_ms: Key press to the next frame painted: p50, p95, samples.
        click_to_mask_ms: Click to the mask on the screen, the frame read by the segmenter before: p50, p95, samples.
        drag_fps: Shapes on the frame -> frames a second in which the dragged vertex moved.
        first_page_ms: Length of the queue -> milliseconds from the click on "Queue" to the first issue painted.
        decisions_per_minute: Of a reviewer who decides as soon as the next issue is on the screen.
    """

    next_frame_ms: dict[str, float]
    click_to_mask_ms: dict[str, float]
    drag_fps: dict[str, float]
    first_page_ms: dict[str, float]
    decisions_per_minute: float

    @property
    def figures(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "next_frame_ms": self.next_frame_ms,
            "click_to_mask_ms": self.click_to_mask_ms,
            "drag_fps": self.drag_fps,
            "first_page_ms": self.first_page_ms,
            "decisions_per_minute": self.decisions_per_minute,
        }

    @property
    def markdown(self) -> str:
        """The table for docs/benchmarks.md."""
        named = (
            ("key press to the next frame painted", self.next_frame_ms),
            ("click to mask", self.click_to_mask_ms),
        )
        rows = [(f"{what}, p50 / p95", f"{ms['p50']:.0f} / {ms['p95']:.0f} ms") for what, ms in named]
        rows += [
            (f"dragging a vertex, {count} shapes on the frame", f"{fps:.0f} frames a second")
            for count, fps in self.drag_fps.items()
        ]
        rows += [
            (f"first page of the queue, {int(count):,} issues", f"{ms:.0f} ms")
            for count, ms in self.first_page_ms.items()
        ]
        rows.append(("decisions a minute, scripted", f"{self.decisions_per_minute:.0f}"))
        return "\n".join(
            ["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)]
        )


def bench_ui(
    folder: Path,
    *,
    queues: Sequence[int] = QUEUES,
    crowds: Sequence[int] = CROWDS,
    decisions: int = 120,
    reporter: Reporter | None = None,
) -> UiBench:
    """Measure all of it, one thing after the other.

    Args:
        folder: For the projects that are measured on; those that are there from an earlier time are used again.
        queues: Lengths of the queues.
        crowds: Numbers of shapes.
        decisions: Of each of the two scripted reviewers.
        reporter: Told how far it is.
    """
    report = reporter or Quiet()
    folder.mkdir(parents=True, exist_ok=True)
    first: dict[str, float] = {}
    for at, count in enumerate(queues):
        report.update(0.6 * at / len(queues), f"first page of {count:,} issues")
        first[str(count)] = _first_page(folder / f"queue-{count}", count)
    report.update(0.6, "next frame")
    following, pace = _review(folder / f"review-{time.time_ns()}", decisions)
    report.update(0.75, "click to mask")
    mask = _masks(folder / f"masks-{time.time_ns()}", max(10, decisions // 4))
    report.update(0.85, "dragging")
    drag = _drag(folder / f"crowd-{time.time_ns()}", tuple(crowds))
    report.update(1.0, "done")
    return UiBench(following, mask, drag, first, pace)


def _first_page(folder: Path, count: int, repeats: int = 5) -> float:
    """Median over reloads: click on "Queue" in the side bar until the first issue is painted."""
    times = []
    with served(queue_project(folder, count)) as url, browser_page() as page:
        for _ in range(repeats + 1):
            page.goto(f"{url}/versions")
            page.get_by_role("link", name="Queue").wait_for()
            page.wait_for_timeout(1500)
            page.get_by_role("link", name="Queue").click()
            page.locator(_ITEM).wait_for()
            page.wait_for_function("window.benchLog.items.length > 0")
            log = page.evaluate("window.benchLog")
            times.append(log["items"][0][2] - log["clicks"][-1])
    return float(median(times[1:]))  # the first one filled the caches of server and browser


def _review(folder: Path, decisions: int) -> tuple[dict[str, float], float]:
    """Next frame for a reviewer who looks for a moment, and the pace of one who does not."""
    with served(queue_project(folder, 1_000)) as url, browser_page() as page:
        page.goto(f"{url}/queue")
        page.locator(_ITEM).wait_for()
        page.wait_for_timeout(2000)
        page.evaluate("window.benchLog.keys.length = window.benchLog.items.length = 0")
        for number in range(decisions):
            page.keyboard.press(_KEYS[number % len(_KEYS)])
            page.wait_for_timeout(_THINK_MS)
        times = _painted(page.evaluate("window.benchLog"), decisions)
        started = time.monotonic()
        for number in range(decisions):
            seen = len(page.evaluate("window.benchLog.items"))
            page.keyboard.press(_KEYS[number % len(_KEYS)])
            page.wait_for_function("(seen) => window.benchLog.items.length > seen", arg=seen, polling="raf")
        pace = 60 * decisions / (time.monotonic() - started)
    return _spread(times), pace


def _spread(times: Sequence[float]) -> dict[str, float]:
    p50, p95 = (float(np.percentile(times, share)) for share in (50, 95))
    return {"p50": p50, "p95": p95, "samples": len(times)}


def _masks(folder: Path, clicks: int) -> dict[str, float]:
    """Clicks on people, each on a frame that the segmenter has read: until the mask is painted."""
    project = queue_project(folder, 1_000)
    frames = [frame for frame in project.store.frames() if frame.name.startswith("street")]
    places = [(frame, place) for frame in frames for place in walkers(frame)]
    times: list[float] = []
    with served(project) as url, browser_page() as page:
        shown = None
        for frame, (x, y) in places[:: max(1, len(places) // clicks)][:clicks]:
            if shown != frame.id:
                page.goto(f"{url}/frames?frame={frame.id}")
                page.locator(f'.workbench[data-frame="{frame.id}"]').wait_for()
                page.keyboard.press("0")
                page.keyboard.press("s")
                page.locator('.stage [data-state="ready"]').wait_for()
                page.wait_for_timeout(500)
                shown = frame.id
            picture = page.locator(".picture img").bounding_box()
            scale = picture["width"] / frame.width
            seen = page.evaluate("window.benchLog.masks.length")
            page.mouse.click(picture["x"] + x * scale, picture["y"] + y * scale)
            page.wait_for_function("(seen) => window.benchLog.masks.length > seen", arg=seen)
            log = page.evaluate("window.benchLog")
            times.append(log["masks"][-1][2] - log["released"])
            page.keyboard.press("Escape")
            page.keyboard.press("s")
            page.wait_for_timeout(200)
    return _spread(times)


def _painted(log: dict[str, Any], expected: int) -> list[float]:
    """Milliseconds from each key press to the frame on the screen.

    The browser's Event Timing gives the time until the frame after the key's handlers was presented, in steps of
    8 ms. Where the next frame came later than that (its picture was not there yet), the end is the frame after
    the picture was put in.
    """
    times = []
    for (start, duration), (_, put_in, painted) in _pairs(log):
        presented = start + duration
        times.append(duration if put_in < presented else painted - start)
    if len(times) < expected // 2:
        raise DataError(f"the browser told of {len(times)} of {expected} key presses", item="next frame")
    return times


def _pairs(log: dict[str, Any]) -> list[tuple[list[float], list[Any]]]:
    """Each item with the last key press before it was put in."""
    keys = sorted(log["keys"])
    pairs = []
    for item in log["items"]:
        before = [key for key in keys if key[0] <= item[1]]
        if before:
            pairs.append((before[-1], item))
    return pairs


_WATCH_DRAG = """
() => {
  const find = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.classList?.contains("workbench")) return node;
      const found = node.shadowRoot && find(node.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  const bench = find(document);
  const state = (window.benchDrag = { frames: 0, first: 0, last: 0, seen: "", on: true });
  const look = (now) => {
    const path = bench.querySelector(".label.selected .body")?.getAttribute("d") ?? "";
    if (path !== state.seen) {
      state.seen = path;
      state.frames += 1;
      state.first ||= now;
      state.last = now;
    }
    if (state.on) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


def _drag(folder: Path, crowds: tuple[int, ...], steps: int = 150) -> dict[str, float]:
    """Frames a second in which a vertex followed the pointer."""
    project, frames = crowded_project(folder, crowds)
    result = {}
    with served(project) as url:
        for count, frame in frames.items():
            with browser_page() as page:
                page.goto(f"{url}/frames?frame={frame.id}")
                page.locator(_ITEM).wait_for()
                page.keyboard.press("0")
                picture = page.locator(".picture img").bounding_box()
                middle, scale = place_of(count // 2, count), picture["width"] / frame.width
                page.mouse.click(picture["x"] + middle[0] * scale, picture["y"] + middle[1] * scale)
                page.keyboard.press("z")
                vertex = page.locator(".vertex").first.bounding_box()
                x, y = vertex["x"] + vertex["width"] / 2, vertex["y"] + vertex["height"] / 2
                page.mouse.move(x, y)
                page.mouse.down()
                page.evaluate(_WATCH_DRAG)
                for step in range(steps):
                    page.mouse.move(x + 40 * np.sin(step / 9), y + 40 * np.cos(step / 9))
                page.wait_for_timeout(50)
                seen = page.evaluate("(window.benchDrag.on = false, window.benchDrag)")
                page.mouse.up()
                result[str(count)] = 1000 * (seen["frames"] - 1) / max(seen["last"] - seen["first"], 1.0)
    return result
