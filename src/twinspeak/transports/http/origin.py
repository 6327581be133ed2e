"""Origins of web pages: what a twin's rule is checked against, and what counts as our own page."""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from twinspeak.domain import origins
from twinspeak.transports.services import services_of

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def origin_of(request: HTTPConnection) -> str | None:
    """Return the origin of the page of another site that sent this, None for our own page and for what is no page.

    An origin that cannot be read, `null` included, comes back as it is: it matches no rule. The Host header decides
    nothing but this, and here only whether a page talks to the server that it came from.
    """
    given = request.headers.get("origin")
    if not given:
        return None
    origin = origins.origin_of(given) if "://" in given else None
    if origin is None:
        return given
    return None if _is_ours(request, origin) else origin


def from_own_page(request: HTTPConnection, *, proven: bool) -> bool:
    """Tell whether a request was sent by a page of this server, as browsers say it.

    They name the page of every request that changes something and of every WebSocket; of what only reads, older ones
    say nothing, so silence is good enough unless `proven`.
    """
    origin = request.headers.get("origin")
    if origin and origin_of(request) is not None:
        return False
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    return bool(origin or site) or not proven


def _is_ours(request: HTTPConnection, origin: str) -> bool:
    public = services_of(request).edge.public_url
    if public and origin == origins.origin_of(public):
        return True
    scheme = urlsplit(origin).scheme
    served = origins.origin_of(f"{scheme}://{request.headers.get('host', '')}")
    if origin != served:
        return False
    return not public or urlsplit(origin).hostname in _LOOPBACK
