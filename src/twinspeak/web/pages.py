"""Routes of the chat page: one HTML page for all its addresses, and the files that it names."""

import base64
import hashlib
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from twinspeak.web.bundle import Bundle, File

ADDRESSES = ("/", "/signin", "/join", "/approve", "/chat/{rest:path}")
"""Where the page is; it finds out by itself what to show there."""

LOADERS = ("/twinspeak.js", "/pria-sdk.js", "/pria-sdk-web.js")
"""The script by which other sites show a twin, by its own name and by those that documented pages load."""

Framers = Callable[[str], Awaitable[tuple[str, ...]]]
"""From a twin's public id to the pages that may show it in a frame; none where there is no such twin."""

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


_REFUSED = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Twinspeak</title>
<style>{_STYLE}</style></head><body><main><h1>Twinspeak</h1>
<p>No other site may show this digital twin. Its administrators list the sites that may.</p></main></body></html>"""


def policy(scripts: tuple[str, ...] = (), *, styles: str = "'self'", framers: tuple[str, ...] = ("'none'",)) -> str:
    """Return the Content-Security-Policy of the page: its own files, its own server, and the frames of `framers`."""
    own = " ".join(("'self'", *scripts))
    return (
        f"default-src 'none'; script-src {own}; style-src {styles}; font-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {' '.join(framers)}"
    )


def mount(routes: APIRouter, bundle: Bundle | None, framers: Framers) -> APIRouter:
    """Add the routes of a bundle, or of the page that says that there is none, to `routes`; return it."""
    pages = _Pages(bundle, framers) if bundle else _Missing()
    paths = {
        **dict.fromkeys(ADDRESSES, pages.page),
        **dict.fromkeys(LOADERS, pages.loader),
        "/embed/{publicId}": pages.embed,
        "/assets/{name}": pages.asset,
        "/favicon.svg": pages.icon,
    }
    for path, handler in paths.items():
        routes.add_api_route(path, handler, methods=_READS, response_class=Response, include_in_schema=False)
    return routes


class _Missing:
    """What there is to see before anything has been built."""

    async def page(self) -> Response:
        return HTMLResponse(_NOT_BUILT, headers={"content-security-policy": policy(styles=_hash(_STYLE))})

    async def embed(self) -> Response:
        return await self.page()

    async def loader(self) -> Response:
        return _absent()

    async def asset(self) -> Response:
        return _absent()

    async def icon(self) -> Response:
        return _absent()


class _Pages:
    """A bundle over HTTP."""

    def __init__(self, bundle: Bundle, framers: Framers) -> None:
        self._bundle = bundle
        self._framers = framers
        self._policy = policy(bundle.scripts)

    async def page(self, request: Request) -> Response:
        response = _sent(request, self._bundle.index, "no-cache")
        response.headers["content-security-policy"] = self._policy
        return response

    async def embed(self, request: Request) -> Response:
        """Send the page for a frame of another site, and say in it which sites those are: the frame checks too."""
        framers = await self._framers(request.path_params["publicId"])
        if not framers:
            headers = {"content-security-policy": policy(styles=_hash(_STYLE))}
            return HTMLResponse(_REFUSED, status_code=404, headers=headers)
        told = f'<meta name="twinspeak-framers" content="{" ".join(framers)}" />'
        page = self._bundle.index.content.replace(b"</head>", told.encode() + b"</head>", 1)
        named = policy(self._bundle.scripts, framers=framers)
        return HTMLResponse(page, headers={"content-security-policy": named, "cache-control": "no-cache"})

    async def loader(self, request: Request) -> Response:
        found = self._bundle.files.get(LOADERS[0].removeprefix("/"))
        return _sent(request, found, "public, max-age=300") if found else _absent()

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
