"""The points of the embedding maps, fetched once by the browser as they are: beside Streamlit's routes.

What is chosen on a map makes its page run again; megabytes of points would travel with each of those runs.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from crossguard_app.components.cloud import PackedCloud
from crossguard_app.resources import ROUTE, base_path, current_project, image_url, project_secret
from crossguard_app.signing import SECONDS, sign, verify
from curate.errors import CurateError, NotFoundError
from curate.workflows.project import Project

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["cloud_routes", "keep_cloud"]

_MOST_KEPT = 8
_THUMBNAIL = 320
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
_DIGEST = re.compile(r"^[0-9a-f]{32}$")
_kept: OrderedDict[tuple[str, str], PackedCloud] = OrderedDict()
_guard = threading.Lock()


def keep_cloud(project: Project, cloud: PackedCloud) -> dict[str, str]:
    """Have a map ready to be fetched: signed addresses of its points, and of the picture of one by its number."""
    with _guard:
        key = (str(project.root), cloud.digest)
        _kept[key] = cloud
        _kept.move_to_end(key)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    signature = sign(project_secret(project), "cloud", cloud.digest)
    address = f"{base_path()}/{ROUTE}/cloud/{cloud.digest}"
    pictures = f"{address}/picture/NUMBER?s={signature}" if cloud.frames else ""
    return {"points": f"{address}?s={signature}", "pictures": pictures}


def cloud_routes() -> list[Route]:
    """The routes, to be put in front of Streamlit's."""
    prefix = f"{base_path()}/{ROUTE}/cloud/{{digest}}"
    return [
        Route(prefix, _points, methods=["GET"]),
        Route(f"{prefix}/picture/{{number:int}}", _picture, methods=["GET"]),
    ]


async def _points(request: Request) -> Response:
    found = await run_in_threadpool(_find, request)
    if isinstance(found, Response):
        return found
    _, cloud = found
    headers = _HEADERS | {"Cache-Control": f"private, max-age={SECONDS}, immutable"}
    return Response(cloud.content, media_type="application/octet-stream", headers=headers)


async def _picture(request: Request) -> Response:
    found = await run_in_threadpool(_find, request)
    if isinstance(found, Response):
        return found
    project, cloud = found
    number = int(request.path_params["number"])
    try:
        if number >= len(cloud.frames):
            return PlainTextResponse("no such picture", 404, headers=_HEADERS)
        frame = await run_in_threadpool(project.store.frame, cloud.frames[number])
    except NotFoundError:
        return PlainTextResponse("no such frame", 404, headers=_HEADERS)
    except CurateError as error:
        return PlainTextResponse(error.message, 500, headers=_HEADERS)
    address = image_url(project, frame, width=0 if cloud.crops else _THUMBNAIL)
    return RedirectResponse(address, 302, headers=_HEADERS | {"Cache-Control": "no-store"})


def _find(request: Request) -> tuple[Project, PackedCloud] | Response:
    digest = str(request.path_params["digest"])
    try:
        project = current_project()
        signature = request.query_params.get("s", "")
        if not _DIGEST.match(digest) or not verify(project_secret(project), signature, "cloud", digest):
            return PlainTextResponse("this address was not written by the app", 403, headers=_HEADERS)
    except CurateError as error:
        return PlainTextResponse(error.message, 500, headers=_HEADERS)
    with _guard:
        cloud = _kept.get((str(project.root), digest))
    if cloud is None:
        return PlainTextResponse("this map is no longer kept: reload the page", 404, headers=_HEADERS)
    return project, cloud
