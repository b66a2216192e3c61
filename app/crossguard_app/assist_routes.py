"""What the editor asks for besides its frames: masks for clicks, overlays, labels in between.

One POST route with signed frames, beside Streamlit's: an answer must not wait for a run of the page's script.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from crossguard_app.presenters.shapes import label_values
from crossguard_app.resources import ROUTE, base_path, current_project, project_secret
from crossguard_app.signing import sign, verify
from curate.annotations import GOLD_SOURCE, Rle
from curate.errors import CurateError, DataError
from curate.geometry.combine import subtracted, united
from curate.store.serialize import mask_from_dict, mask_to_dict
from curate.workflows.assist_client import AssistClient
from curate.workflows.project import SITE_FILE, Project
from curate.workflows.tracks import interpolated

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["assist_routes"]

_MOST_BYTES = 2_000_000
_PICTURE = re.compile(r"^[0-9a-f]{12}-[0-9a-f]{32}\.png$")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "ready": ("frame", "ahead"),
    "segment": ("frame", "box", "points", "positive"),
    "detect": ("frame", "run"),
    "outline": ("frame", "run", "shapes"),
    "difference": ("frame",),
    "parked": ("frame", "source"),
}
"""Operations of the helper process and what each takes; `layer`, `interpolate` and `combine` are answered here."""
_LONGEST_SECONDS = 120
_LOOK_SECONDS = 0.5
_COMBINATIONS = {"unite": united, "subtract": subtracted}


def assist_routes() -> list[Route]:
    """The routes, to be put in front of Streamlit's."""
    prefix = f"{base_path()}/{ROUTE}"
    return [
        Route(f"{prefix}/assist", _assist, methods=["POST"]),
        Route(f"{prefix}/difference/{{name}}", _difference, methods=["GET"]),
    ]


_clients: dict[str, tuple[int, AssistClient]] = {}
_guard = threading.Lock()


def client_of(project: Project) -> AssistClient:
    """The project's helper process; another one when site.yaml changes, and the old one ends."""
    root = str(project.root)
    stamp = (project.root / SITE_FILE).stat().st_mtime_ns
    with _guard:
        known = _clients.get(root)
        if known is not None and known[0] == stamp:
            return known[1]
        client = AssistClient(project)
        _clients[root] = (stamp, client)
    if known is not None:
        threading.Thread(target=known[1].close, daemon=True).start()
    return client


async def _assist(request: Request) -> Response:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return _refusal("expected application/json", 415)
    body = b""
    async for part in request.stream():  # Counted as it comes: nobody has shown a token yet.
        body += part
        if len(body) > _MOST_BYTES:
            return _refusal("the request is too long", 413)
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return _refusal("the request is no JSON", 400)
    if not isinstance(asked, dict) or not isinstance(asked.get("frame"), str):
        return _refusal("the request names no frame", 400)
    try:
        project = await run_in_threadpool(current_project)
        token = asked.get("token")
        if not isinstance(token, str) or not verify(project_secret(project), token, "assist", asked["frame"]):
            return _refusal("this address was not written by the app", 403)
        return JSONResponse(await _answer(project, asked, request), headers={"Cache-Control": "no-store"})
    except CurateError as error:
        return _refusal(f"{error.message} ({error.hint})" if error.hint else error.message, 422)


async def _answer(project: Project, asked: Mapping[str, Any], request: Request) -> dict[str, Any]:
    operation = str(asked.get("op"))
    if operation == "layer":
        return await run_in_threadpool(_layer, project, asked["frame"], str(asked.get("source")))
    if operation == "interpolate":
        return await run_in_threadpool(_interpolate, project, asked["frame"], str(asked.get("label")))
    if operation == "combine":
        return await run_in_threadpool(_combine, asked)
    if operation not in _FIELDS:
        raise DataError(f"no such operation: {operation!r}")
    fields = {name: asked[name] for name in _FIELDS[operation] if asked.get(name) is not None}
    future = await run_in_threadpool(lambda: client_of(project).request(operation, **fields))
    result = await _awaited(future, request)
    if operation == "difference":
        name = str(result["file"]).rpartition("/")[2]
        signature = sign(project_secret(project), "difference", name)
        return {"url": f"{base_path()}/{ROUTE}/difference/{name}?s={signature}"}
    if operation == "parked":
        return await run_in_threadpool(_parked, project, list(result["labels"]))
    return result


async def _awaited(future: Future[dict[str, Any]], request: Request) -> dict[str, Any]:
    """The result, unless the browser goes away first: a server that is told to stop waits for open requests."""
    waiting = asyncio.wrap_future(future)
    for _ in range(round(_LONGEST_SECONDS / _LOOK_SECONDS)):
        done, _pending = await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
        if done:
            return waiting.result()
        if await request.is_disconnected():
            break
    waiting.cancel()
    raise DataError(f"no answer within {_LONGEST_SECONDS} seconds", hint="try again; the machine may be busy")


def _parked(project: Project, label_ids: list[str]) -> dict[str, Any]:
    return {"shapes": [label_values(project.store.annotation(label_id)) for label_id in label_ids]}


def _layer(project: Project, frame_id: str, source: str) -> dict[str, Any]:
    if source == GOLD_SOURCE:
        raise DataError("the test labels suggest nothing: who trains must not copy from them")
    labels = project.store.annotations(source, [frame_id])
    return {"shapes": [label_values(label) | {"score": label.score} for label in labels]}


def _combine(asked: Mapping[str, Any]) -> dict[str, Any]:
    first, second = (mask_from_dict(asked.get(name), name) for name in ("first", "second"))
    how = _COMBINATIONS.get(str(asked.get("how")))
    if how is None or isinstance(first, Rle) or isinstance(second, Rle):
        raise DataError(f"expected two polygon masks and one of {', '.join(_COMBINATIONS)}")
    return {"mask": mask_to_dict(how(first, second))}


def _interpolate(project: Project, frame_id: str, label_id: str) -> dict[str, Any]:
    if project.store.annotation(label_id).frame_id != frame_id:
        raise DataError("this label is on another frame", item=f"annotation {label_id}")
    shapes = interpolated(project, label_id)
    return {"shapes": [label_values(label) | {"frame_id": label.frame_id} for label in shapes]}


async def _difference(request: Request) -> Response:
    name = request.path_params["name"]
    try:
        project = await run_in_threadpool(current_project)
    except CurateError as error:
        return PlainTextResponse(error.message, 500)
    signature = request.query_params.get("s", "")
    path = project.cache_dir / "difference" / name
    if not _PICTURE.match(name) or not verify(project_secret(project), signature, "difference", name):
        return PlainTextResponse("this address was not written by the app", 403)
    if not path.is_file():
        return PlainTextResponse("no such picture", 404)
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return FileResponse(path, media_type="image/png", headers=headers)


def _refusal(text: str, status: int) -> Response:
    return JSONResponse({"error": text}, status, headers={"Cache-Control": "no-store"})
