"""The editor as a browser test sees it: the pointer in pixels of the frame, the labels as the database holds them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.annotations import Annotation, Frame

Point = tuple[float, float]


@dataclass
class EditorPage:
    """One page of the app with a frame in the editor."""

    page: Any
    url: str
    store: Any
    frame: Frame | None = None

    def open(self, name: str, source: str = "cheap") -> Frame:
        """Go to a frame; the whole of it is in view."""
        self.frame = next(frame for frame in self.store.frames() if frame.name.endswith(name))
        self.page.goto(f"{self.url}/frames?frame={self.frame.id}&source={source}")
        self.on(self.frame.id)
        self.press("0")
        return self.frame

    def on(self, key: str) -> None:
        """Wait until the item is shown."""
        self.page.locator(f'.workbench[data-item="{key}"]').wait_for()

    def press(self, *keys: str, times: int = 1) -> None:
        """Press keys, each so many times."""
        for key in keys:
            for _ in range(times):
                self.page.keyboard.press(key)

    def button(self, name: str) -> None:
        """Click the first button of that command."""
        self.page.locator(f'[data-action="{name}"]:visible').first.click()

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.page.locator('[data-testid="saved-state"][data-kind="saved"]').wait_for()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds in the database: what goes through the server first has no other sign."""
        for _ in range(600):
            if holds():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError("it never came to hold")

    def says(self, text: str) -> None:
        """Wait for a message of the editor."""
        self.page.locator(".message", has_text=text).wait_for()

    def view(self) -> tuple[float, float, float]:
        """Left, top and scale of the picture on the screen."""
        box = self.page.locator(".picture img").bounding_box()
        return box["x"], box["y"], box["width"] / self.frame.width

    def at(self, x: float, y: float) -> Point:
        """Whole pixels of the screen near a place of the frame."""
        left, top, scale = self.view()
        return float(round(left + x * scale)), float(round(top + y * scale))

    def real(self, x: float, y: float) -> Point:
        """Where on the frame `at` really points, in hundredths."""
        left, top, scale = self.view()
        sx, sy = self.at(x, y)
        return round((sx - left) / scale, 2), round((sy - top) / scale, 2)

    def click(self, x: float, y: float, **options: Any) -> Point:
        """Click near a place; gives the place that was hit."""
        self.page.mouse.click(*self.at(x, y), **options)
        return self.real(x, y)

    def drag(self, start: Point, end: Point, *, button: str = "left") -> tuple[Point, Point]:
        """Drag; gives both places that were hit."""
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down(button=button)
        mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        mouse.move(*self.at(*end), steps=2)
        mouse.up(button=button)
        return self.real(*start), self.real(*end)

    def cross(self, x: int, y: int) -> None:
        """Move the keyboard's cross there from where it is, or from the middle of the frame."""
        current = getattr(self, "_cross", None)
        if current is None:
            self.press("ArrowLeft")  # the first arrow only shows it
            current = (self.frame.width // 2, self.frame.height // 2)
        for axis, (less, more) in enumerate((("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown"))):
            way = (x, y)[axis] - current[axis]
            key = more if way > 0 else less
            self.press(f"Shift+{key}", times=abs(way) // 10)
            self.press(key, times=abs(way) % 10)
        self._cross = (x, y)

    def tool(self, key: str) -> None:
        """Take a tool by its key: the cross begins in the middle again."""
        self.press(key)
        self._cross = None

    def shot(self, name: str) -> None:
        """Keep a picture of the page in the folder that CROSSGUARD_SHOTS names, if it does."""
        if folder := os.environ.get("CROSSGUARD_SHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def labels(self) -> dict[str, Annotation]:
        """The frame's labels as stored, by id."""
        self.saved()
        return {label.id: label for label in self.store.annotations(None, [self.frame.id])}

    def select(self, label_id: str) -> None:
        """Select by the list of labels."""
        self.page.locator(f'.row[data-label="{label_id}"]').click()

    def new(self, before: dict[str, Annotation]) -> Annotation:
        """The one label that was not there before."""
        (found,) = (label for key, label in self.labels().items() if key not in before)
        return found
