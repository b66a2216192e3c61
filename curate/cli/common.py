"""What every command shares: the project option, output as table or JSON, progress bars, exit codes."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from curate.workflows.progress import Reporter, eta_seconds
from curate.workflows.project import Project

__all__ = [
    "JsonOption",
    "ProjectOption",
    "console",
    "emit_json",
    "errors",
    "example",
    "plain",
    "print_table",
    "progress_bar",
]

_LOG_SECONDS = 10.0

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

ProjectOption = Annotated[
    Path,
    typer.Option(
        "--project", "-C", help="Folder of the project (site.yaml there or above).", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def open_project(folder: Path) -> Project:
    """The project of `--project`."""
    return Project.open(folder)


def example(*lines: str) -> str:
    """The epilog that shows a command in use."""
    return "Example: " + " ; ".join(f"`{line}`" for line in lines)


def plain(value: Any) -> Any:
    """Dataclasses, arrays and paths as JSON has them; not-a-number becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def emit_json(value: Any) -> None:
    """Print dataclasses, mappings and lists as JSON on standard output; not-a-number becomes null."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table for people; numbers are right-aligned, text is shown as it is (no markup)."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def _cell(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("[", "\\[")


class _RichReporter:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=1.0)
        self._started = time.monotonic()

    def update(self, fraction: float, message: str) -> None:
        left = eta_seconds(self._started, fraction)
        eta = "" if left is None or fraction >= 1 else f", {_minutes(left)} left"
        self._progress.update(
            self._task, completed=fraction, description=f"{message}{eta}".replace("[", "\\[")
        )

    def should_stop(self) -> bool:
        return False


class _PlainReporter:
    """For logs: a line every few seconds at most, and one at the end."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last = -_LOG_SECONDS

    def update(self, fraction: float, message: str) -> None:
        now = time.monotonic() - self._started
        if now - self._last >= _LOG_SECONDS or fraction >= 1:
            self._last = now
            left = eta_seconds(self._started, fraction)
            eta = "" if left is None or fraction >= 1 else f", {_minutes(left)} left"
            errors.print(f"{fraction:5.0%}  {message}{eta}", markup=False, soft_wrap=True)

    def should_stop(self) -> bool:
        return False


@contextmanager
def progress_bar() -> Iterator[Reporter]:
    """A reporter that draws a bar with an ETA on a terminal, and writes plain lines anywhere else."""
    if not errors.is_terminal:
        yield _PlainReporter()
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True) as progress:
        yield _RichReporter(progress)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
