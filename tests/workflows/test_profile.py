"""The reviewer's name: kept for the account, the same for the app and the command line."""

from __future__ import annotations

import getpass

import pytest

from curate.errors import ProjectError
from curate.workflows.profile import clean_name, profile_path, reviewer_name, set_reviewer_name


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CROSSGUARD_REVIEWER", raising=False)


def test_the_login_until_a_name_is_kept(monkeypatch) -> None:
    assert reviewer_name() == getpass.getuser()
    assert set_reviewer_name("  Ann\nLee ") == "AnnLee"
    assert reviewer_name() == "AnnLee"
    monkeypatch.setenv("CROSSGUARD_REVIEWER", "night shift")
    assert reviewer_name() == "night shift"
    monkeypatch.delenv("CROSSGUARD_REVIEWER")
    assert set_reviewer_name("") == getpass.getuser()


@pytest.mark.parametrize("text", ["", "[]", '{"reviewer": 7}', "\xff broken"])
def test_a_broken_profile_is_no_name(text) -> None:
    profile_path().parent.mkdir(parents=True)
    profile_path().write_text(text, encoding="latin-1")
    assert reviewer_name() == getpass.getuser()


def test_an_account_without_a_name(monkeypatch) -> None:
    def nobody() -> str:
        raise OSError("no login")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert reviewer_name() == "reviewer"


def test_a_folder_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "config").write_text("a file where the folder should be")
    with pytest.raises(ProjectError, match="CROSSGUARD_REVIEWER"):
        set_reviewer_name("Ann")


def test_names_are_one_line_and_short() -> None:
    assert clean_name("a\tb\u2028c") == "abc"
    assert len(clean_name("x" * 500)) == 64
