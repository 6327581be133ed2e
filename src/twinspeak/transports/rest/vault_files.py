"""The files of the vault, for whoever may open them: `/uploads/<user>/<name>` (reference content 3.2).

What a stranger put into a file never runs here: only kinds that a browser shows without running anything are shown,
all others are saved; what has no sign-in gets the same answer whether the file exists or not.
"""

from html import escape
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from twinspeak.domain.errors import CallerError
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import LinkFollower, router, services_of
from twinspeak.transports.http.schemas import failures

ROUTER = router("IP vault")

_SHOWN = frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp"})
_PLAIN = "text/plain; charset=utf-8"
_ID_CHARS = 24
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "…"}},
        "description": "The file",
    }
}


@ROUTER.get(
    wire.UPLOADS_PATH + "/{userId}/{filename}",
    summary="Open a file",
    response_class=Response,
    responses={**_FILE, **failures(401, 404)},
)
async def open_file(
    request: Request,
    caller: LinkFollower,
    user_id: Annotated[str, Path(alias="userId", description="Who brought it.")],
    filename: Annotated[str, Path(description="As `file_url` has it.")],
) -> Response:
    """Return a file: a public one to everybody, another to who may read its document, by token or cookie."""
    try:
        document, path = await services_of(request).vaults.file(caller, filename[:_ID_CHARS])
    except CallerError as refusal:
        if "text/html" in request.headers.get("accept", ""):
            return _refusal(refusal)
        raise
    del user_id  # part of the address that clients know; the id alone decides
    shown = document.media_type in _SHOWN
    plain = document.media_type.startswith("text/") and document.media_type != "text/html"
    answer = FileResponse(
        path,
        media_type=document.media_type if shown else _PLAIN if plain else "application/octet-stream",
        filename=document.name,
        content_disposition_type="inline" if shown or plain else "attachment",
    )
    answer.headers["cache-control"] = "private, no-cache"
    return answer


def _refusal(error: CallerError) -> HTMLResponse:
    title = "Sign-in required" if error.status == 401 else "You cannot open this file"
    words = escape(error.message)
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f'<main><h1>{title}</h1><p>{words}</p><p><a href="/signin">Sign in</a></p></main>'
    )
    return HTMLResponse(page, status_code=error.status)
