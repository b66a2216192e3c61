"""Who is at the browser. On this machine alone nobody has to sign in; bound to any other address everybody has to.

A local user's name and password come by a plain form of our own, not through a page script, so that a cookie can be
set that scripts cannot read. Whoever signs in elsewhere (OIDC) does it through Streamlit's `st.login`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import json
import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from crossguard_app.resources import ROUTE, base_path, current_project, project_secret
from curate.errors import AccessError, CurateError
from curate.workflows.people import Attempts, check_password, is_loopback
from curate.workflows.project import Project

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = [
    "COOKIE",
    "has_oidc",
    "person",
    "session_cookie",
    "sign_in_required",
    "sign_out_form",
    "signin_routes",
    "signin_url",
]

COOKIE = "crossguard_session"
_HOURS = 12
_MOST_BYTES = 4096
_PAIR, _ADDRESS, _NAME = Attempts(5), Attempts(20), Attempts(30)
"""Failed attempts of one name from one address, of one address, of one name: five wrong passwords typed somewhere
else keep nobody out, nor do those of a colleague behind the same proxy; a list of names or of addresses runs dry."""
_checking = asyncio.Lock()
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Crossguard</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 16px system-ui, sans-serif; max-width: 22rem; margin: 12vh auto; padding: 0 1rem; }}
label {{ display: block; margin: 1rem 0; }}
input {{ font: inherit; width: 100%; padding: .5rem; box-sizing: border-box; }}
button {{ font: inherit; padding: .5rem 1.5rem; }} p {{ color: #a4262c; }}
</style></head><body><h1>Crossguard</h1>{message}<form method="post">
<label>Name<input name="name" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form></body></html>"""


def sign_in_required() -> bool:
    """Whether this server is reached from other machines, or CROSSGUARD_SIGN_IN=1 asks for it anyway."""
    from streamlit import config

    address = config.get_option("server.address")
    return os.environ.get("CROSSGUARD_SIGN_IN") == "1" or not is_loopback(address)


def has_oidc() -> bool:
    """Whether a provider is set up for `st.login`, in Streamlit's secrets file."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def person(project: Project) -> str | None:
    """The active user who is signed in on this page, or None."""
    name = _name_in(project, st.context.cookies.get(COOKIE, ""))
    if name is None and has_oidc() and st.user.is_logged_in and st.user.get("email_verified", False):
        name = str(st.user.get("email") or "")
    if not name or not project.store.users() or project.store.role_of(name) is None:
        return None
    return name


def session_cookie(project: Project, name: str, expires: float | None = None) -> str:
    """The value that says who signed in; it ends with the password that it was given for."""
    until = expires or time.time() + _HOURS * 3600
    # Without "=", for which a cookie would have to be quoted.
    payload = base64.urlsafe_b64encode(json.dumps([name, until]).encode()).decode().rstrip("=")
    return f"{payload}.{_seal(project, name, payload)}"


def _seal(project: Project, name: str, payload: str) -> str:
    password = project.store.password_hash(name) or ""
    message = f"session\0{payload}\0{password}".encode()
    return hmac.new(project_secret(project), message, hashlib.sha256).hexdigest()


def _name_in(project: Project, cookie: str) -> str | None:
    payload, _, seal = cookie.partition(".")
    try:
        name, until = json.loads(base64.urlsafe_b64decode(payload.encode() + b"=="))
        good = hmac.compare_digest(_seal(project, str(name), payload).encode(), seal.encode())
    except (ValueError, TypeError):
        return None
    # Without a password there was no sign-in here: an empty one would seal too.
    return str(name) if good and time.time() < until and project.store.password_hash(str(name)) else None


def signin_url() -> str:
    """Path of the form."""
    return f"{base_path()}/{ROUTE}/sign-in"


def signin_routes() -> list[Route]:
    """The form, what it sends, and the way out."""
    prefix = f"{base_path()}/{ROUTE}"
    return [
        Route(f"{prefix}/sign-in", _form, methods=["GET"]),
        Route(f"{prefix}/sign-in", _sign_in, methods=["POST"]),
        Route(f"{prefix}/sign-out", _sign_out, methods=["POST"]),
    ]


async def _form(_: Request) -> Response:
    return _page("")


def _page(message: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    shown = f"<p>{html.escape(message)}</p>" if message else ""
    return HTMLResponse(_PAGE.format(message=shown), status, headers=_HEADERS | (headers or {}))


async def _sign_in(request: Request) -> Response:
    if not _same_origin(request):
        return _page("This form came from another page.", 403)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            return _page("That is too long.", 413)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    name, password = (fields.get(field, [""])[0] for field in ("name", "password"))
    # Behind a proxy on this machine (or one that FORWARDED_ALLOW_IPS names) uvicorn puts in the address that it tells.
    client = request.client.host if request.client else "unknown"
    counted = ((_PAIR, f"{name[:64]}\0{client}"), (_ADDRESS, client), (_NAME, name[:64]))
    # One check at a time: many at once would all ask before any had failed, and each takes argon2's memory.
    async with _checking:
        wait = max(attempts.wait(key) for attempts, key in counted)
        if wait > 0:
            message = f"Too many attempts. Try again in {wait / 60:.0f} minutes."
            return _page(message, 429, {"Retry-After": f"{wait:.0f}"})
        try:
            cookie = await run_in_threadpool(_checked, name, password)
        except AccessError as error:
            for attempts, key in counted:
                attempts.failed(key)
            return _page(error.message.capitalize() + ".", 401)
        except CurateError as error:
            return _page(error.message, 500)
    _PAIR.succeeded(counted[0][1])
    answer = RedirectResponse(f"{base_path()}/", 303, headers=_HEADERS)
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=_HOURS * 3600,
        httponly=True,
        samesite="lax",
        secure=secure,
        path=base_path() or "/",
    )
    return answer


def _checked(name: str, password: str) -> str:
    project = current_project()
    with project.store.acting(name[:64] or "nobody"):
        try:
            user = check_password(project.store, name, password)
        except AccessError:
            project.store.log("signin.refused")
            raise
        project.store.log("signin", user.name)
    return session_cookie(project, user.name)


async def _sign_out(request: Request) -> Response:
    if not _same_origin(request):
        return _page("This form came from another page.", 403)
    answer = RedirectResponse(signin_url(), 303, headers=_HEADERS)
    answer.delete_cookie(COOKIE, path=base_path() or "/")
    return answer


def _same_origin(request: Request) -> bool:
    """A browser tells where a form came from; a request without that comes from no page."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


@lru_cache(maxsize=1)
def sign_out_form() -> str:
    """The button that ends a local session."""
    return f'<form method="post" action="{base_path()}/{ROUTE}/sign-out"><button>Sign out</button></form>'
