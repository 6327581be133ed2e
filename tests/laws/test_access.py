"""Every mounted route and every socket event declares whom it lets in (decision 024)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from fastapi import Depends
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from tests.transports.socketio.clients import face
from tests.world import world
from twinspeak.domain.access import Access, Gate, Verb
from twinspeak.domain.caller import Caller
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import PUBLIC, GatedRoute, SignedIn, administers, router


def declared(asgi: Any) -> Iterator[tuple[str, Access]]:
    """Yield what every mounted route declares; fails on anything mounted that cannot declare."""
    for context in iter_route_contexts(asgi.routes):
        route: Any = getattr(context, "original_route", None) or getattr(context, "route", context)
        if isinstance(route, Mount):
            assert route.path == wire.SOCKETS_PATH, "only the sockets are mounted; their events declare"
            continue
        assert isinstance(route, GatedRoute), f"{route!r} is no route that declares"
        for method in sorted(set(route.methods or ()) - {"HEAD"}):
            yield f"{method} {context.path}", route.access


NOT_ADMINISTRATIVE = {"POST /api/admin/tools"}
"""Everybody may read the names of tools there (reference content 5.1); the route itself refuses the rest."""


@pytest.mark.usefixtures("database")
async def test_everything_mounted_declares(tmp_path: Path) -> None:
    async with world(tmp_path, credits=0) as here:
        routes = list(declared(cast("Any", here.server.live.asgi)))
        assert len(routes) == len(dict(routes)) > 15
        for name, access in routes:
            administrative = name.split()[1].startswith("/api/admin/") and name not in NOT_ADMINISTRATIVE
            assert administrative == (access.gate in (Gate.ADMIN, Gate.MANAGER, Gate.SUPER)), name
            assert access.verb is None or access.gate is Gate.ADMIN
        for event, handler in face(here.server)._events.handlers.items():
            assert handler.access.gate in (Gate.PUBLIC, Gate.SOCKET, Gate.SIGNED_IN), event


async def _nothing() -> None: ...


async def _signed_in(caller: SignedIn) -> None: ...


async def _entitled(caller: Annotated[Caller, administers(Verb.USERS_LIST)]) -> None: ...


async def _deeper(caller: Annotated[None, Depends(_signed_in)]) -> None: ...


GOOD: dict[str, tuple[Callable[..., Any], list[Any], str]] = {
    "public": (_nothing, [PUBLIC], "public"),
    "signed in": (_signed_in, [], "signed-in"),
    "a verb": (_entitled, [], "users.list"),
    "through another dependency": (_deeper, [], "signed-in"),
}
BAD: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "nothing": (_nothing, []),
    "two things": (_signed_in, [PUBLIC]),
    "two gates": (_signed_in, [administers(Verb.USERS_LIST)]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_route_that_declares_can_be_made(name: str) -> None:
    endpoint, dependencies, said = GOOD[name]
    made = router("Test")
    made.get("/x", dependencies=dependencies)(endpoint)
    assert str(cast("Any", made.routes[0]).access) == said


@pytest.mark.parametrize("name", BAD)
def test_a_route_that_declares_nothing_or_twice_cannot(name: str) -> None:
    endpoint, dependencies = BAD[name]
    with pytest.raises(RuntimeError, match="declare one access"):
        router("Test").get("/x", dependencies=dependencies)(endpoint)
