"""Pages of other sites that show a twin: real servers under a name of their own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A site</title></head>
<body><h1>A site</h1><script src="{server}/twinspeak.js"></script></body></html>"""


@asynccontextmanager
async def site(server: str) -> AsyncGenerator[str]:
    """Serve a page that loads the script of `server`; yield its origin, which is another host's than the server's."""

    async def page(request: web.Request) -> web.Response:
        del request
        return web.Response(text=_PAGE.format(server=server), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, "127.0.0.1", 0)
        await listening.start()
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
