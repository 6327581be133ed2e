"""The API documents: OpenAPI 3.1 from the routes themselves, and pages for people that load nothing from anywhere."""

from collections.abc import Iterable
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import HTMLResponse, Response

from twinspeak import __version__
from twinspeak.transports.http.access import SECURITY_SCHEMES
from twinspeak.transports.http.routes import router
from twinspeak.transports.rest import docs_page, examples

ROUTER = router("Documentation", public=True)

ADMINISTRATION = "Administration"
"""How the tags of the second document begin, beside `Operations`; every other route is in the first."""

_RUNTIME_TITLE = "Twinspeak runtime API"
_RUNTIME_TEXT = (
    "Sign in, ask a digital twin, read the answer as it is written. Every failure has one shape; codes never change "
    "their meaning. Send the token as `x-access-token`."
)
_ADMIN_TITLE = "Twinspeak administration API"
_ADMIN_TEXT = "Operate the server."
_HTML: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"example": "<!doctype html>…"}}, "description": "A page for people"}
}
_JSON: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/json": {"schema": {"type": "object"}, "example": {"openapi": "3.1.0", "paths": {}}}},
        "description": "An OpenAPI 3.1 document",
    }
}


@ROUTER.get("/api/rt-docs.json", summary="Read the runtime API's document", response_class=Response, responses=_JSON)
async def runtime_document(request: Request) -> Response:
    """Return OpenAPI 3.1, generated from the code that answers."""
    return Response(orjson.dumps(document(request.app, administration=False)), media_type="application/json")


@ROUTER.get(
    "/api/admin-docs.json", summary="Read the administration API's document", response_class=Response, responses=_JSON
)
async def administration_document(request: Request) -> Response:
    """Return OpenAPI 3.1, generated from the code that answers."""
    return Response(orjson.dumps(document(request.app, administration=True)), media_type="application/json")


@ROUTER.get("/docs", summary="Read about the runtime API", response_class=HTMLResponse, responses=_HTML)
async def runtime_page(request: Request) -> HTMLResponse:
    """Return the runtime document as a page."""
    return _page(document(request.app, administration=False))


@ROUTER.get("/docs/admin", summary="Read about the administration API", response_class=HTMLResponse, responses=_HTML)
async def administration_page(request: Request) -> HTMLResponse:
    """Return the administration document as a page."""
    return _page(document(request.app, administration=True))


def document(app: FastAPI, *, administration: bool) -> dict[str, Any]:
    """Return one of the two documents; made at the first call, then kept with the application."""
    kept: dict[bool, dict[str, Any]] = app.state.documents
    if administration not in kept:
        made = get_openapi(
            title=_ADMIN_TITLE if administration else _RUNTIME_TITLE,
            version=__version__,
            description=_ADMIN_TEXT if administration else _RUNTIME_TEXT,
            routes=[
                context
                for context in iter_route_contexts(app.routes)
                if isinstance(context.route, APIRoute) and _administers(context.tags) == administration
            ],
        )
        made.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        kept[administration] = examples.fill_in(made)
    return kept[administration]


def _administers(tags: Iterable[object]) -> bool:
    return any(tag == "Operations" or str(tag).startswith(ADMINISTRATION) for tag in tags)


def _page(described: dict[str, Any]) -> HTMLResponse:
    page = docs_page.render(described)
    return HTMLResponse(page, headers={"content-security-policy": docs_page.POLICY})
