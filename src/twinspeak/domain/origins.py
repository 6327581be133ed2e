"""Web origins: which pages may talk to which twin (contract section 3, CORS)."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

ANY = "*"
"""As an entry: every page. For an operator or a twin that says so; never the default."""

_PLAIN = re.compile(r"https?://[a-z0-9._-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str | None:
    """Return `scheme://host[:port]` in the spelling browsers send, or None when `url` names no web origin.

    An entry without a scheme ("www.example.org/app") means https. Paths, queries and default ports do not count.
    """
    text = url.strip()
    if not text or text == "null":
        return None
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or any(character.isspace() for character in host):
        return None
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" if port in (None, _PORTS[parts.scheme]) else f"{parts.scheme}://{name}:{port}"


def allows(entries: Iterable[str], origin: str) -> bool:
    """Tell whether a page at `origin` (an `Origin` header) is meant by one of `entries` (addresses, or "*").

    The opaque origin "null" is only meant by an entry of that name or by "*": any sandboxed frame can send it.
    """
    named = set(entries)
    if ANY in named or origin in named:
        return True
    wanted = origin_of(origin) if "://" in origin else None
    return wanted is not None and any(origin_of(entry) == wanted for entry in named)


def sources(entries: Iterable[str]) -> tuple[str, ...]:
    """Return what a Content-Security-Policy calls the pages that are meant by `entries`; `*` alone for all of them.

    What cannot be said there without a doubt is left out: an entry is an administrator's text, and a policy has commas
    and semicolons of its own.
    """
    named = set(entries)
    if ANY in named:
        return (ANY,)
    found = (origin_of(entry) for entry in named)
    return tuple(sorted({one for one in found if one is not None and _PLAIN.fullmatch(one)}))
