"""What lies around an issue, fetched by the queue when a person looks at it for more than a moment.

Beside Streamlit's routes, so that neither the next issue nor the run of the page's script waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from crossguard_app.presenters.issue_context import issue_context
from crossguard_app.resources import ROUTE, base_path, current_project, project_secret
from crossguard_app.signing import verify
from curate.errors import CurateError, NotFoundError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["context_routes"]

_HEADERS = {
    # Labels change: asked for again with every visit, and never kept by anything in between.
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def context_routes() -> list[Route]:
    """The route, to be put in front of Streamlit's."""
    return [Route(f"{base_path()}/{ROUTE}/context/{{issue_id}}", _context, methods=["GET"])]


async def _context(request: Request) -> Response:
    issue_id = request.path_params["issue_id"]
    try:
        project = await run_in_threadpool(current_project)
        if not verify(project_secret(project), request.query_params.get("s", ""), "context", issue_id):
            return PlainTextResponse("this address was not written by the app", 403, headers=_HEADERS)
        return JSONResponse(await run_in_threadpool(issue_context, project, issue_id), headers=_HEADERS)
    except NotFoundError:
        return PlainTextResponse("no such issue", 404, headers=_HEADERS)
    except CurateError as error:
        return PlainTextResponse(error.message, 500, headers=_HEADERS)
