"""The formats for people: the table of what is lost, as shown by `curate formats` and printed in docs/formats.md."""

from __future__ import annotations

from dataclasses import asdict

from curate.formats.keeps import FEATURES
from curate.formats.registry import FORMATS, Format

__all__ = ["formats_markdown", "losses", "losses_help"]

_MASKS = ("polygons", "parts", "holes", "rle")


def losses(entry: Format) -> str:
    """What a format loses, in words."""
    lost = list(entry.keeps.lost())
    words = []
    if set(_MASKS) <= set(lost):
        words.append("masks")
        lost = [name for name in lost if name not in _MASKS]
    flags = [name for name in lost if FEATURES[name].startswith("flag ")]
    words += [FEATURES[name].partition(", to ")[0] for name in lost if name not in flags]
    if flags:
        words.append(f"flags {'/'.join(FEATURES[name].removeprefix('flag ') for name in flags)}")
    return ", ".join(words) if words else "nothing"


def losses_help() -> str:
    """For `curate export --help`: one line a format."""
    return "\n".join(f"* `{entry.name}` loses: {losses(entry)}" for entry in FORMATS.values() if entry.write)


def formats_markdown() -> str:
    """Two tables: the formats with what they lose and what else is to know, and feature by feature."""
    rows = ["| format | what it is | in | out | lost on the way out | to know |", "|---|---|---|---|---|---|"]
    for entry in FORMATS.values():
        way = ["yes" if part else "" for part in (entry.read, entry.write)]
        cells = [
            f"`{entry.name}`",
            f"{entry.title}: {entry.layout}",
            *way,
            losses(entry),
            " ".join(entry.notes),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    names = list(FORMATS)
    rows += ["", f"| kept | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for feature, meaning in FEATURES.items():
        marks = ["yes" if asdict(FORMATS[name].keeps)[feature] else "-" for name in names]
        rows.append(f"| {meaning} | {' | '.join(marks)} |")
    return "\n".join(rows) + "\n"
