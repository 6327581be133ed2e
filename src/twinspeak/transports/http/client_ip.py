"""Whose address a request comes from, for limits and logs."""

from starlette.requests import HTTPConnection

from twinspeak.transports.http.proxies import parse_address
from twinspeak.transports.services import services_of

_FORWARDING = ("x-forwarded-for", "forwarded", "x-real-ip")


def client_ip(request: HTTPConnection) -> str:
    """Return the address that limits count and logs show."""
    peer = request.client.host if request.client else ""
    return services_of(request).proxies.client(peer, request.headers.getlist("x-forwarded-for"))


def is_local(request: HTTPConnection) -> bool:
    """Tell whether the request comes from this machine itself.

    One that a proxy passed on says so in a header; unless we trust that proxy, its client could be anybody.
    """
    address = parse_address(client_ip(request))
    if address is None or not address.is_loopback:
        return False
    return not any(name in request.headers for name in _FORWARDING)
