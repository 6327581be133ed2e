"""What a route of any HTTP face is made of: `router()` for the routes, the rest for their handlers."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from twinspeak.domain.access import Verb
from twinspeak.domain.errors import CallerError, PayloadTooLarge
from twinspeak.transports.http import rate, schemas
from twinspeak.transports.http.access import (
    OPERATOR,
    PUBLIC,
    AccountManager,
    Administrator,
    LinkFollower,
    SuperAdmin,
    access_of,
    administers,
    documented,
)
from twinspeak.transports.http.body import BodyLimits, GatedRequest
from twinspeak.transports.http.caller import SignedIn, SignedInByUrl, TokenHolder, caller, token_of
from twinspeak.transports.http.client_ip import client_ip
from twinspeak.transports.http.origin import origin_of
from twinspeak.transports.http.request_id import request_id
from twinspeak.transports.services import Services, services_of

__all__ = [
    "OPERATOR",
    "PUBLIC",
    "AccountManager",
    "Administrator",
    "GatedRoute",
    "LinkFollower",
    "Services",
    "SignedIn",
    "SignedInByUrl",
    "SuperAdmin",
    "TokenHolder",
    "Verb",
    "administers",
    "caller",
    "client_ip",
    "origin_of",
    "request_id",
    "router",
    "services_of",
    "token_of",
]

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class GatedRoute(APIRoute):
    """A route whose handler, dependencies included, starts only once the body has passed the gate of `http.body`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add to the API documents what the gate itself can answer. Raises RuntimeError without a declared access."""
        if _WITH_BODY & set(options.get("methods") or ()):
            options["responses"] = {**schemas.failures(*schemas.BODY), **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)
        self.access = access_of(self.dependant)
        self.openapi_extra = {**(self.openapi_extra or {}), **documented(self.access)}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler: gate first, rate-limit headers last."""
        handle = super().get_route_handler()

        async def gated(request: Request) -> Response:
            checked = GatedRequest(request.scope, request.receive)
            await self.take(checked)
            response = await handle(checked)
            rate.mark(request, response)
            return response

        return gated

    async def take(self, request: GatedRequest) -> None:
        """Let the body through the gate, or raise what is the matter with it."""
        edge = services_of(request).edge
        await request.take(BodyLimits(max_bytes=edge.body_max_bytes, timeout_s=edge.body_timeout_s))


class FilesRoute(GatedRoute):
    """A route whose body may hold files: a large one is read only for somebody who is signed in by a header.

    Who it is comes first, so that strangers cannot make the server keep more of what they send than elsewhere.
    """

    async def take(self, request: GatedRequest) -> None:
        """Do as other routes do with a body of their size, and with one that does not say its size."""
        edge = services_of(request).edge
        if request.declared <= edge.body_max_bytes:
            return await super().take(request)
        try:
            await caller(request)
        except CallerError as stranger:
            try:
                return await super().take(request)
            except PayloadTooLarge:
                raise stranger from None
        return await request.take(BodyLimits(max_bytes=edge.question_max_bytes, timeout_s=edge.body_timeout_s))


def router(
    tag: str, *, failures: tuple[int, ...] = (), public: bool = False, kind: type[GatedRoute] = GatedRoute
) -> APIRouter:
    """Return a router whose bodies pass the gate, under heading `tag` of the API documents.

    `failures` are the statuses that all its routes can answer with; `public` says for all of them whom they let in;
    `kind` how they take their bodies.
    """
    declared = [PUBLIC] if public else []
    return APIRouter(
        route_class=kind,
        tags=[tag],
        responses=schemas.failures(*failures),
        dependencies=declared,
        generate_unique_id_function=_operation_id,
    )


def _operation_id(route: APIRoute) -> str:
    """Name an operation as its handler: what generated clients call it."""
    return route.name
