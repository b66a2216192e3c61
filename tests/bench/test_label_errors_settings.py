"""What the command line accepts, and what it says about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.annotations import IssueType
from curate.bench.label_errors import LabelErrorsSettings, parse_rates, parse_tools
from curate.bench.label_errors.stranger import read_stranger
from curate.errors import ConfigError, DataError, FormatError


def test_rates_by_type_in_all_and_by_default() -> None:
    assert parse_rates(None) is None
    assert parse_rates("missing=0.05, duplicate=0.1") == {IssueType.MISSING: 0.05, IssueType.DUPLICATE: 0.1}
    halved = parse_rates("0.06")
    assert halved is not None
    assert sum(halved.values()) == pytest.approx(0.06)
    assert halved[IssueType.MISSING] == pytest.approx(0.0125)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("missing=1.5", "between 0 and 1"),
        ("missing=nan", "between 0 and 1"),
        ("missing", "type=share"),
        ("missing=x", "type=share"),
        ("outlier=0.1", "cannot be injected"),
        ("missing=0.7,spurious=0.7", "must not exceed 1"),
        ("7", "between 0 and 1"),
    ],
)
def test_bad_rates_are_explained(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_rates(text)


def test_unknown_tools_are_named() -> None:
    assert parse_tools("ours, cleanlab,ours") == ("ours", "cleanlab")
    for text in ("ours,labelbox", ""):
        with pytest.raises(ConfigError, match="expected tools out of"):
            parse_tools(text)


@pytest.mark.parametrize("change", [{"seeds": (-1,)}, {"seeds": ()}, {"steps": 0}, {"max_frames": 3}])
def test_impossible_settings_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        LabelErrorsSettings(**change)  # type: ignore[arg-type]


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such data set"):
        read_stranger(tmp_path / "nowhere.json", None, 100)
    with pytest.raises(DataError, match="no labels here"):
        read_stranger(tmp_path, None, 100)


def test_broken_files_and_missing_pictures_are_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text("{", "utf-8")
    with pytest.raises(FormatError):
        read_stranger(file, None, 100)
    file.write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],'
        ' "categories": [{"id": 1, "name": "car"}],'
        ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]}',
        "utf-8",
    )
    with pytest.raises(DataError, match="none of its 1 images is there"):
        read_stranger(file, None, 100)
    with pytest.raises(DataError, match="no such folder of frames"):
        read_stranger(file, tmp_path / "frames", 100)
