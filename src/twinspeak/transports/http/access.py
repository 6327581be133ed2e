"""What a route declares: whom it lets in. Each declares exactly once, or it cannot be made (`routes.GatedRoute`).

dependencies=[PUBLIC]                                     everybody
caller: SignedIn                                          who is signed in
caller: Annotated[Caller, administers(Verb.USERS_LIST)]   who holds the verb in some twin
caller: LinkFollower                                      everybody; what the link leads to decides
caller: SuperAdmin / Administrator / AccountManager       the other gates
"""

import hmac
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Request

from twinspeak.domain.access import Access, Gate, Verb
from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import AuthenticationRequired
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.caller import SignedIn, caller, caller_by_url, token_holder
from twinspeak.transports.http.client_ip import is_local
from twinspeak.transports.services import services_of


class Admits:
    """A dependency that lets a signed-in person in by an access, and is the declaration of it."""

    def __init__(self, access: Access) -> None:
        """Keep what is declared."""
        self.access = access

    async def __call__(self, request: Request, caller: SignedIn) -> Caller:
        """Return who is let in. Raises as `services.policy.Policy.admit` does."""
        await services_of(request).policy.admit(caller, self.access)
        return caller


async def _everybody() -> None:
    """Let everybody in: nothing to do, but to say so."""


async def _by_link(request: Request) -> Caller | None:
    """Return who follows a link, None for nobody in particular. Raises what a bad token raises."""
    try:
        return await caller_by_url(request)
    except AuthenticationRequired:
        return None


async def _operator(request: Request) -> None:
    """Let in this machine itself, and a Bearer of `TWINSPEAK_METRICS_TOKEN`. Raises AuthenticationRequired."""
    wanted = services_of(request).edge.metrics_token
    given = request.headers.get(wire.AUTHORIZATION, "")
    bears = bool(wanted) and hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode())
    if not bears and not is_local(request):
        raise AuthenticationRequired


def administers(verb: Verb) -> Any:
    """Return the dependency of a route for administrators who hold `verb` somewhere."""
    return Depends(Admits(Access(Gate.ADMIN, verb)))


PUBLIC = Depends(_everybody)
OPERATOR = Depends(_operator)
LinkFollower = Annotated[Caller | None, Depends(_by_link)]
Administrator = Annotated[Caller, Depends(Admits(Access(Gate.ADMIN)))]
AccountManager = Annotated[Caller, Depends(Admits(Access(Gate.MANAGER)))]
SuperAdmin = Annotated[Caller, Depends(Admits(Access(Gate.SUPER)))]

_DECLARATIONS: dict[Any, Access] = {
    _everybody: Access(Gate.PUBLIC),
    _operator: Access(Gate.OPERATOR),
    _by_link: Access(Gate.LINK),
    caller: Access(Gate.SIGNED_IN),
    caller_by_url: Access(Gate.SIGNED_IN),
    token_holder: Access(Gate.SIGNED_IN),
}


SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "accessToken": {
        "type": "apiKey",
        "in": "header",
        "name": wire.ACCESS_TOKEN,
        "description": "The token that signing in returned. It comes before every other place.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The same token, as OpenAI's clients send it.",
    },
}
"""For the API documents; a token is looked for in more places than these can say (`http.caller.token_of`)."""


def documented(access: Access) -> dict[str, Any]:
    """Return what the API documents say of how to get in, as keys of an operation.

    Written down and not declared as dependencies: the framework would run those in every request.
    """
    is_open = access.gate in (Gate.PUBLIC, Gate.OPERATOR)
    return {} if is_open else {"security": [{name: []} for name in SECURITY_SCHEMES]}


def access_of(dependant: Any) -> Access:
    """Return what a route declares. Raises RuntimeError for a route that declares nothing, or two things."""
    found = list(_declared(dependant))
    if len(found) != 1:
        said = ", ".join(map(str, found)) or "nothing"
        raise RuntimeError(f"a route must declare one access (transports.http.access); this one declares {said}")
    return found[0]


def _declared(dependant: Any) -> Iterator[Access]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Admits):
            yield inner.call.access
        elif inner.call in _DECLARATIONS:
            yield _DECLARATIONS[inner.call]
        else:
            yield from _declared(inner)
