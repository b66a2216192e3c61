"""`--frame-size`: what is no size gets one sentence."""

from __future__ import annotations

import pytest

from curate.cli.predict_cmd import _size
from curate.errors import ConfigError


@pytest.mark.parametrize(
    "text", ["64²x64", "0x5", "5x0", "x", "", "640", "640x", "-1x5", "1x2x3", "9" * 5000 + "x1", "١x١"]
)
def test_what_is_no_size_is_refused_in_words(text) -> None:
    with pytest.raises(ConfigError, match="expected WIDTHxHEIGHT"):
        _size(text)


def test_sizes() -> None:
    assert _size("1920x1080") == (1920, 1080)
    assert _size("640X480") == (640, 480)
    assert _size(None) is None
