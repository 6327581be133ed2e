"""What the conformance suite runs as the client under test: our MCP client, with the suite's server as argument."""

import asyncio
import os
import sys
from urllib.parse import urlsplit

from twinspeak.egress.fetch import Fetcher
from twinspeak.egress.guard import AllowList, Guard
from twinspeak.tools.mcp import client
from twinspeak.tools.mcp.http import Endpoint, HttpServer

ARGUMENTS = {"add_numbers": {"a": 5, "b": 3}}


async def main(url: str) -> None:
    """List the tools, and call each."""
    where = urlsplit(url)
    fetcher = Fetcher.open(Guard(AllowList([f"{where.hostname}:{where.port}"]), ports=None))
    try:
        server = HttpServer(fetcher, Endpoint(url))
        for tool in await client.tools_of(server):
            result = await client.call(server, tool.name, ARGUMENTS.get(tool.name, {}), timeout_s=20)
            print(tool.name, result.success, result.text[:200])  # noqa: T201 -- the suite keeps it
        await server.close()
    finally:
        await fetcher.close()


if __name__ == "__main__":
    print(os.environ.get("MCP_CONFORMANCE_SCENARIO", ""))  # noqa: T201 -- the suite keeps it
    asyncio.run(main(sys.argv[-1]))
