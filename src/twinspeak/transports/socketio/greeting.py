"""Who may open a socket: address, page and rate, before anything is kept for it (contract 4.3)."""

from collections.abc import Callable

from starlette.requests import HTTPConnection

from twinspeak.domain.errors import OriginNotAllowed
from twinspeak.domain.origins import allows
from twinspeak.engine.turn import Turn
from twinspeak.services.rate_limits import Rule, address_key
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import page_session
from twinspeak.transports.http.client_ip import client_ip
from twinspeak.transports.http.cors import AllowedOrigins
from twinspeak.transports.http.origin import origin_of
from twinspeak.transports.services import services_of
from twinspeak.transports.socketio.link import Peer
from twinspeak.transports.socketio.sockets import Socket

HANDSHAKES = Rule("socket_handshakes", 600)
"""A minute and address: a classroom behind one address reconnects at once when the server was restarted."""


class Greeter:
    """Decides who may open a session."""

    def __init__(self, origins: AllowedOrigins) -> None:
        """`origins` are the pages of all twins and of the operator."""
        self._origins = origins

    async def __call__(self, connection: HTTPConnection) -> Peer:
        """Return who is there. Raises OriginNotAllowed, RateLimited."""
        address = address_key(client_ip(connection))
        services_of(connection).limits.take(address, HANDSHAKES)
        origin = origin_of(connection)
        if origin is not None and not await self._origins.allows(origin):
            raise OriginNotAllowed
        return Peer(address=address, origin=origin, token=_token(connection))


def may_receive(cors_origins: tuple[str, ...]) -> Callable[[Socket, Turn], bool]:
    """Return the rule that tells whether the page that opened a socket may be sent a turn of its twin."""

    def rule(socket: Socket, turn: Turn) -> bool:
        origin = socket.link.peer.origin
        if origin is None:
            return True
        twin = turn.plan.institution if turn.plan else None
        return allows((*(twin.public_authorized_urls if twin else ()), *cors_origins), origin)

    return rule


def _token(connection: HTTPConnection) -> str | None:
    """Return the token of a handshake: header, Bearer or query, for sockets cannot always set headers; or the cookie.

    The cookie counts only when a page of our own says that it opens the socket: other sites may open one too.
    """
    given = connection.headers.get(wire.ACCESS_TOKEN, "").strip()
    scheme, _, bearer = connection.headers.get(wire.AUTHORIZATION, "").partition(" ")
    return (
        given
        or (bearer.strip() if scheme.lower() == "bearer" else "")
        or connection.query_params.get(wire.TOKEN_FIELD)
        or page_session.token_for_socket(connection)
    )
