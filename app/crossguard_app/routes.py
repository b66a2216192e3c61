"""Routes beside Streamlit's: the frames' pictures and the modules of the editor.

A picture's address holds the digest of its content, so that a browser may keep it as long as the address is good.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from crossguard_app.assist_routes import assist_routes
from crossguard_app.cloud_routes import cloud_routes
from crossguard_app.context_routes import context_routes
from crossguard_app.resources import ROUTE, base_path, current_project, project_secret
from crossguard_app.signin import signin_routes
from crossguard_app.signing import SECONDS, verify
from curate.errors import CurateError, ImageError, NotFoundError
from curate.workflows.project import Project

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["MEDIA_TYPES", "WIDTHS", "app_routes", "asset_url", "assets_digest", "modules_of"]

COMPONENTS = Path(__file__).parent / "components"
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "BMP": "image/bmp"}
"""What is served as it is; other image files are sent as JPEG."""
WIDTHS = frozenset({0, 160, 240, 320, 480, 640, 960})
_FOREVER = "private, max-age=31536000, immutable"
_WHILE_SIGNED = f"private, max-age={SECONDS}, immutable"
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_FRAME_ID = re.compile(r"^[0-9a-f]{32}$")
_IMPORT = re.compile(r"""\bfrom\s+["']\./([a-z_]+\.js)["']""")
_ASSET = re.compile(r"^[a-z_]+\.js$")


def app_routes() -> list[Route]:
    """The routes, to be put in front of Streamlit's."""
    prefix = f"{base_path()}/{ROUTE}"
    return [
        Route(f"{prefix}/image/{{frame_id}}", _image, methods=["GET"]),
        Route(f"{prefix}/assets/{{digest}}/{{name}}", _asset, methods=["GET"]),
        *assist_routes(),
        *cloud_routes(),
        *context_routes(),
        *signin_routes(),
    ]


@lru_cache(maxsize=1)
def assets_digest() -> str:
    """Digest of all modules: a new release has new addresses."""
    digest = sha256()
    for path in sorted(COMPONENTS.glob("*.js")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def asset_url(name: str) -> str:
    """Path of a module of the editor."""
    return f"{base_path()}/{ROUTE}/assets/{assets_digest()}/{name}"


@lru_cache(maxsize=8)
def modules_of(entry: str) -> tuple[str, ...]:
    """A module and all that it imports, directly or by others."""
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += _IMPORT.findall((COMPONENTS / name).read_text(encoding="utf-8"))
    return tuple(found)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    path = COMPONENTS / name
    if not _ASSET.match(name) or not path.is_file():
        return PlainTextResponse("no such module", 404)
    headers = {"Cache-Control": _FOREVER, "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type="text/javascript", headers=headers)


async def _image(request: Request) -> Response:
    frame_id = request.path_params["frame_id"]
    width, crop = request.query_params.get("w", "0"), request.query_params.get("b", "")
    signature = request.query_params.get("s", "")
    try:
        project = current_project()
        if not _FRAME_ID.match(frame_id) or not verify(
            project_secret(project), signature, frame_id, width, crop
        ):
            return PlainTextResponse("this address was not written by the app", 403, headers=_SAFE)
        return await run_in_threadpool(_answer, project, frame_id, int(width), crop)
    except NotFoundError:
        return PlainTextResponse("no such frame", 404, headers=_SAFE)
    except CurateError as error:
        return PlainTextResponse(error.message, 500, headers=_SAFE)


def _answer(project: Project, frame_id: str, width: int, crop: str) -> Response:
    if width not in WIDTHS:
        return PlainTextResponse("no such size", 404, headers=_SAFE)
    frame = project.store.frame(frame_id)
    try:
        path = confined(project.frame_files.folder, project.frame_path(frame))
    except ImageError as error:
        return PlainTextResponse(error.message, 404, headers=_SAFE)
    if path is None:
        return PlainTextResponse("the picture's file is missing", 404, headers=_SAFE)
    headers = _SAFE | {"Cache-Control": _WHILE_SIGNED}
    max_pixels = project.config.frames.max_pixels
    try:
        kind = _kind(path, path.stat().st_mtime_ns, max_pixels)
        if kind is not None and not width and not crop:
            return FileResponse(path, media_type=kind, headers=headers)
        left, top, right, bottom = (int(side) for side in crop.split(",")) if crop else (0, 0, 0, 0)
        content = _render(path, width, (left, top, right, bottom) if crop else None)
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return PlainTextResponse(f"the picture cannot be read: {error}", 422, headers=_SAFE)
    return Response(content, media_type="image/jpeg", headers=headers)


@lru_cache(maxsize=4096)
def _kind(path: Path, _when: int, max_pixels: int) -> str | None:
    """What a file is by its first bytes, whatever its name says; None when it has to be sent as JPEG.

    Raises:
        OSError: It is no picture (an SVG is none).
        ValueError: It is too large for a browser to be handed it.
    """
    with Image.open(path) as image:
        if image.width * image.height > max_pixels:
            raise ValueError(f"{image.width} x {image.height} are more than {max_pixels:,} pixels")
        return MEDIA_TYPES.get(image.format or "")


def confined(folder: Path, name: Path) -> Path | None:
    """The file of that name if it lies inside the folder, links followed; else None."""
    root, path = folder.resolve(), name.resolve()
    return path if path.is_relative_to(root) and path.is_file() else None


def _render(path: Path, width: int, box: tuple[int, int, int, int] | None) -> bytes:
    with Image.open(path) as image:
        if box is None and width:
            # Lets the JPEG decoder halve the picture while it reads: far faster for thumbnails.
            image.draft("RGB", (width, width * image.height // image.width))
        shown = image.convert("RGB") if box is None else image.crop(box).convert("RGB")
        if width and shown.width != width:
            height = max(1, round(shown.height * width / shown.width))
            shown = shown.resize((width, height), Image.Resampling.BILINEAR)
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=82)
        return buffer.getvalue()
