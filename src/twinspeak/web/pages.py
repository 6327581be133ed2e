"""Routes of the chat page: one HTML page for all its addresses, and the files that it names."""

import base64
import hashlib

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from twinspeak.web.bundle import Bundle, File

ADDRESSES = ("/", "/signin", "/chat/{rest:path}")
"""Where the page is; it finds out by itself what to show there."""

_FOREVER = "public, max-age=31536000, immutable"
_READS = ["GET", "HEAD"]
_STYLE = (
    ":root { color-scheme: light dark } "
    "body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 40rem; padding: 2rem }"
)
_NOT_BUILT = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Twinspeak</title>
<style>{_STYLE}</style></head>
<body><main><h1>Twinspeak</h1>
<p>This server answers for digital twins, but its chat page has not been built.</p>
<p>In the folder of the source, <code>make page</code> builds it and says what is missing; then start the server again.
An installed package carries the page.</p>
<p>Everything else works: <a href="/docs">how to ask over HTTP</a>, <a href="/docs/admin">how to operate it</a>,
<a href="/api/test/health">how it is</a>. In a terminal, <code>twinspeak chat</code> talks to it.</p>
</main></body></html>"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(scripts: tuple[str, ...] = (), *, styles: str = "'self'") -> str:
    """Return the Content-Security-Policy of the page: its own files, its own server, nobody's frame."""
    own = " ".join(("'self'", *scripts))
    return (
        f"default-src 'none'; script-src {own}; style-src {styles}; font-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def mount(routes: APIRouter, bundle: Bundle | None) -> APIRouter:
    """Add the routes of a bundle, or of the page that says that there is none, to `routes`; return it."""
    pages = _Pages(bundle) if bundle else _Missing()
    paths = {**dict.fromkeys(ADDRESSES, pages.page), "/assets/{name}": pages.asset, "/favicon.svg": pages.icon}
    for path, handler in paths.items():
        routes.add_api_route(path, handler, methods=_READS, response_class=Response, include_in_schema=False)
    return routes


class _Missing:
    """What there is to see before anything has been built."""

    async def page(self) -> Response:
        return HTMLResponse(_NOT_BUILT, headers={"content-security-policy": policy(styles=_hash(_STYLE))})

    async def asset(self) -> Response:
        return _absent()

    async def icon(self) -> Response:
        return _absent()


class _Pages:
    """A bundle over HTTP."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._policy = policy(bundle.scripts)

    async def page(self, request: Request) -> Response:
        response = _sent(request, self._bundle.index, "no-cache")
        response.headers["content-security-policy"] = self._policy
        return response

    async def asset(self, request: Request) -> Response:
        found = self._bundle.files.get(f"assets/{request.path_params['name']}")
        return _sent(request, found, _FOREVER) if found else _absent()

    async def icon(self, request: Request) -> Response:
        found = self._bundle.files.get("favicon.svg")
        return _sent(request, found, "public, max-age=86400") if found else _absent()


def _sent(request: Request, file: File, cache: str) -> Response:
    """Send a file, packed to who takes that. Names of assets hold a hash of their content, so they never change."""
    packed = bool(file.packed) and "gzip" in request.headers.get("accept-encoding", "")
    headers = {"cache-control": cache, "vary": "Accept-Encoding"}
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if packed else file.content, media_type=file.media_type, headers=headers)


def _absent() -> Response:
    return PlainTextResponse("There is no such file.", status_code=404)
