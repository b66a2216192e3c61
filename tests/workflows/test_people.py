import os
import time

import pytest

from curate.cli.main import app
from curate.errors import AccessError, ConfigError, ConflictError, DataError
from curate.files import read_secret_file
from curate.store import Role, Store
from curate.workflows.people import (
    Attempts,
    add_user,
    check_password,
    is_loopback,
    set_password,
)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "x.db") as opened:
        yield opened


def test_passwords_are_kept_as_argon2id_hashes(store):
    add_user(store, "ann", Role.OWNER, "correct horse battery")
    assert store.password_hash("ann").startswith("$argon2id$")
    assert "horse" not in store.password_hash("ann")
    assert check_password(store, "ann", "correct horse battery").role is Role.OWNER
    for name, password in (("ann", "correct horse"), ("bob", "correct horse battery"), ("", "")):
        with pytest.raises(AccessError, match="wrong name or password"):
            check_password(store, name, password)
    set_password(store, "ann", "another long one")
    with pytest.raises(AccessError):
        check_password(store, "ann", "correct horse battery")
    for short in ("short", "x" * 600):
        with pytest.raises(DataError, match="10 to 512"):
            set_password(store, "ann", short)


def test_who_signs_in_elsewhere_or_was_removed_has_no_password(store):
    add_user(store, "ann", Role.OWNER, "correct horse battery")
    add_user(store, "bob@example.org", Role.REVIEWER)
    with pytest.raises(AccessError):
        check_password(store, "bob@example.org", "correct horse battery")
    add_user(store, "cleo", Role.VIEWER, "correct horse battery")
    store.remove_user("cleo")
    with pytest.raises(AccessError):
        check_password(store, "cleo", "correct horse battery")


def test_attempts_are_limited(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    attempts = Attempts(limit=3, seconds=60)
    for _ in range(3):
        assert attempts.wait("ann", "10.0.0.1") == 0
        attempts.failed("ann", "10.0.0.1")
    assert attempts.wait("ann", "10.0.0.2") == 60
    assert attempts.wait("bob", "10.0.0.1") == 60
    assert attempts.wait("bob", "10.0.0.2") == 0
    now = 1061.0
    assert attempts.wait("ann", "10.0.0.1") == 0
    attempts.failed("ann")
    attempts.succeeded("ann")
    assert attempts.wait("ann") == 0


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        (None, False),
        ("192.168.1.7", False),
        ("example.org", False),
    ],
)
def test_loopback(address, expected):
    assert is_loopback(address) is expected


def test_secrets_that_others_can_read_are_refused(tmp_path):
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert read_secret_file(file) == "s3cret"
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="others can read"):
        read_secret_file(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret_file(tmp_path / "missing")


def test_users_from_the_command_line(empty_project, monkeypatch, capsys):
    def curate(*arguments):
        app([*arguments, "--project", str(empty_project.root)], standalone_mode=False)
        return capsys.readouterr().out

    monkeypatch.setenv("CROSSGUARD_PASSWORD", "correct horse battery")
    monkeypatch.setenv("CROSSGUARD_REVIEWER", "ann")
    with pytest.raises(ConflictError, match="first user"):
        curate("users", "add", "bob")
    curate("users", "add", "ann", "--role", "owner")
    curate("users", "add", "bob", "--oidc")
    curate("users", "role", "bob", "viewer")
    out = curate("users", "list")
    assert "ann" in out
    assert "viewer" in out
    assert check_password(empty_project.store, "ann", "correct horse battery")
    monkeypatch.setenv("CROSSGUARD_REVIEWER", "bob")
    with pytest.raises(AccessError, match="needs the role owner, yours is viewer"):
        curate("users", "remove", "ann")
    assert os.environ["CROSSGUARD_PASSWORD"] not in curate("db", "log")
