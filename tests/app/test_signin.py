"""Sign-in: only where it is asked for, and then for everything."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlencode, urlsplit

import pytest

from crossguard_app import signin, signing
from crossguard_app.resources import image_url, project_secret
from curate.cli.main import app as cli
from curate.errors import AccessError, ConfigError
from curate.store import Role
from curate.workflows.jobs import start_job
from curate.workflows.people import Attempts, add_user, set_password
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot

PASSWORD = "correct horse battery"


@pytest.fixture
def people(sample):
    store = sample.project.store
    add_user(store, "ann", Role.OWNER, PASSWORD)
    add_user(store, "eve", Role.VIEWER, PASSWORD)
    return sample.project


def test_a_session_ends_with_time_password_and_membership(people, monkeypatch) -> None:
    cookie = signin.session_cookie(people, "ann")
    assert signin._name_in(people, cookie) == "ann"
    for wrong in (
        "",
        ".",
        cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        "x" + cookie,
        cookie.split(".")[0] + ".",
    ):
        assert signin._name_in(people, wrong) is None
    other = signin.session_cookie(people, "eve")
    assert signin._name_in(people, other.split(".")[0] + "." + cookie.split(".")[1]) is None
    set_password(people.store, "eve", "something else long")
    assert signin._name_in(people, other) is None
    assert signin._name_in(people, signin.session_cookie(people, "ann", expires=time.time() - 1)) is None
    assert signin._name_in(people, signin.session_cookie(people, "nobody")) is None
    people.store.remove_user("eve")
    assert signin._name_in(people, signin.session_cookie(people, "eve")) is None


def test_picture_addresses_expire(sample, get, monkeypatch) -> None:
    frame = sample.project.store.frames()[0]
    address = image_url(sample.project, frame, width=160)
    assert get(address)[0] == 200
    assert image_url(sample.project, frame, width=160) == address, "the browser finds it in its cache"
    now = time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + 2 * signing.SECONDS + 1)
    assert get(address)[0] == 403
    fresh = image_url(sample.project, frame, width=160)
    assert fresh != address
    assert get(fresh)[0] == 200
    secret = project_secret(sample.project)
    token = signing.sign(secret, "x")
    later = f"{int(token.split('-')[0], 16) + 9999:x}-{token.split('-')[1]}"
    assert signing.verify(secret, token, "x")
    for wrong in (later, "", "-", "zz-1", token + "0"):
        assert not signing.verify(secret, wrong, "x")


@pytest.fixture
def guarded(people, monkeypatch, request):
    """A real server that asks for sign-in."""
    monkeypatch.setenv("CROSSGUARD_SIGN_IN", "1")
    return request.getfixturevalue("server")


@pytest.fixture
def ask(guarded):
    """Requests to it."""
    server = guarded
    parts = urlsplit(server.url)

    def request(method: str, path: str, fields=None, **headers):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        body = None if fields is None else urlencode(fields)
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    return request


def test_the_form_of_a_real_server(ask, people) -> None:
    path = "/crossguard/sign-in"
    status, headers, text = ask("GET", path)
    assert (status, "password" in text) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    good = {"name": "ann", "password": PASSWORD}
    status, headers, _ = ask("POST", path, good)
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    value = cookie.split(";")[0].split("=", 1)[1].strip('"')
    assert signin._name_in(people, value) == "ann"
    assert ask("POST", path, good, Origin="http://evil.example")[0] == 403
    assert ask("POST", path, {"name": "ann", "password": "x" * 9000})[0] == 413
    status, _, text = ask("POST", path, {"name": "<script>", "password": "wrong"})
    assert (status, "<script>" in text) == (401, False)
    statuses = [ask("POST", path, {"name": "ann", "password": f"wrong {number}"})[0] for number in range(6)]
    assert statuses[-1] == 429, "guessing is slowed down"
    status, headers, _ = ask("POST", path, good)
    assert (status, int(headers["retry-after"]) > 0) == (429, True), "also with the right one"
    # A proxy on this machine says who is behind it: what one of them mistyped keeps no other out, nor ann elsewhere.
    assert ask("POST", path, good, X_Forwarded_For="192.0.2.7")[0] == 303
    for number in range(20):
        wrong = {"name": f"guess {number}", "password": "wrong"}
        assert ask("POST", path, wrong, X_Forwarded_For="192.0.2.8")[0] == 401
    assert ask("POST", path, good, X_Forwarded_For="192.0.2.8")[0] == 429, "a list of names runs dry"
    assert ask("POST", path, good, X_Forwarded_For="203.0.113.1, 192.0.2.8")[0] == 429, (
        "only the proxy is believed"
    )
    assert ask("POST", path, good, X_Forwarded_For="192.0.2.9")[0] == 303
    assert ask("POST", "/crossguard/sign-out")[1]["location"] == path
    log = [(entry.actor, entry.action) for entry in people.store.audit_log(50)]
    assert ("ann", "signin") in log
    assert ("ann", "signin.refused") in log
    assert PASSWORD not in json.dumps([entry.detail for entry in people.store.audit_log(50)])


@pytest.mark.browser
def test_nothing_is_shown_before_sign_in(guarded, chromium) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(guarded.url + "/queue")
    page.get_by_text("Sign in to see this project.").wait_for(timeout=60_000)
    assert page.get_by_text("Review", exact=True).count() == 0
    page.get_by_text("Sign in with a name and a password").click()
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("ann, owner").wait_for(timeout=60_000)
    context.close()


def test_viewers_and_strangers_change_nothing(people) -> None:
    for name in ("eve", "mallory", ""):
        with people.store.acting(name), pytest.raises(AccessError):
            start_job(people, "scan")
        with people.store.acting(name), pytest.raises(AccessError):
            snapshot(people)
    assert people.store.jobs() == []
    with people.store.acting("ann"):
        assert snapshot(people).id


def test_other_addresses_need_somebody_who_can_sign_in(sample) -> None:
    root = str(sample.project.root)
    with pytest.raises(ConfigError, match="nobody who could sign in"):
        cli(["app", root, "--address", "0.0.0.0"], standalone_mode=False)
    assert Project.open(root).store.users() == []


@pytest.mark.parametrize(("address", "required"), [("127.0.0.1", False), ("0.0.0.0", True), ("", True)])
def test_the_address_decides(address, required, monkeypatch) -> None:
    monkeypatch.setattr("streamlit.config.get_option", lambda name: address)
    assert signin.sign_in_required() is required
    monkeypatch.setenv("CROSSGUARD_SIGN_IN", "1")
    assert signin.sign_in_required()


def test_attempts_of_many_names_from_one_place_are_one_place() -> None:
    attempts = Attempts(limit=2)
    for name in ("a", "b"):
        attempts.failed(f"name {name}", "from here")
    assert attempts.wait("name c", "from here") > 0
