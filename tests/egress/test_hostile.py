"""Every hostile address and answer of a table, asked for in earnest: what listens there must never see a connection."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.egress.sites import HERE, Site, fetching, reason
from tests.egress.test_guard import HOSTILE
from twinspeak.egress.fetch import Request

NAME = "inside.example.org"

# The listener by every name it has, with its port. What is written of addresses elsewhere stands in HOSTILE.
OURS = (
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://LocalHost.:{port}/",
    "http://sub.localhost:{port}/",
    "http://localhost.localdomain:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127.0.0.1:{port}\\@example.org/",
    "http://example.org@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.org/",
    "http://user:word@127.0.0.1:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "gopher://127.0.0.1:{port}/_GET",
    "ftp://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "http://127.0.0.1%00.example.org:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://127.0.0.1\n:{port}/",
    "http://127.0.0.1\t:{port}/",
)
ANSWERS = (
    ["127.0.0.1"],
    ["127.0.0.2"],
    ["0.0.0.0"],  # noqa: S104 -- an answer, not a binding
    ["10.0.0.1"],
    ["172.16.0.1"],
    ["192.168.0.1"],
    ["100.64.0.1"],
    ["169.254.169.254"],
    ["169.254.170.2"],
    ["100.100.100.200"],
    ["168.63.129.16"],
    ["224.0.0.1"],
    ["255.255.255.255"],
    ["::1"],
    ["::"],
    ["fe80::1"],
    ["fe80::1%lo"],
    ["fc00::1"],
    ["fd00:ec2::254"],
    ["::ffff:127.0.0.1"],
    ["::ffff:10.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["2002:7f00:1::"],
    ["2001:0:53aa:64c:0:0:80ff:fffe"],
    ["8.8.8.8", "127.0.0.1"],
    ["2606:4700::1111", "::1"],
    ["0177.0.0.1"],
    ["2130706433"],
    ["nonsense"],
    [],
)


class Listener:
    """Counts connections to this machine, whatever they say."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.answer, "0.0.0.0", 0)  # noqa: S104 -- every IPv4 address of this machine
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


def test_the_table_is_long_enough() -> None:
    assert len(OURS) + len(ANSWERS) + len(HOSTILE) >= 60
    assert len(set(OURS)) == len(OURS)


async def test_no_hostile_address_is_connected_to() -> None:
    async with listening() as listener, fetching() as (fetcher, names):
        urls = [url.format(port=listener.port) for url in OURS]
        for url in [*urls, *HOSTILE]:
            assert await reason(fetcher, Request(url)) in ("malformed", "scheme", "credentials", "port", "host"), url
        assert listener.connections == 0
        assert names.asked == [], "names that look like addresses are not even looked up"


@pytest.mark.parametrize("opened", [(), ("8.8.8.8", "2606:4700::1111")], ids=["closed", "public ones opened"])
async def test_no_hostile_answer_is_connected_to(opened: tuple[str, ...]) -> None:
    async with listening() as listener:
        for answer in ANSWERS:
            async with fetching(*opened, names={NAME: [answer]}) as (fetcher, names):
                assert await reason(fetcher, Request(f"http://{NAME}:8080/")) == "host", answer
                assert names.asked == [NAME]
        assert listener.connections == 0


OPENED = (["127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"])
"""Are what the operator opened, in other words."""


@pytest.mark.parametrize("answer", [one for one in ANSWERS if one not in OPENED], ids=str)
async def test_an_answer_that_changes_between_check_and_use(site: Site, answer: list[str]) -> None:
    """The first answer is what the operator opened; from the second on, the name leads elsewhere."""
    site.replies["/"] = {"status": 302, "headers": {"Location": "/next", "Connection": "close"}}
    async with fetching(f"{HERE}:{site.port}", names={NAME: [[HERE], answer]}) as (fetcher, names):
        assert await reason(fetcher, Request(f"http://{NAME}:{site.port}/")) == "host"
        assert names.asked == [NAME, NAME]
    assert [path for _, path, _, _ in site.seen] == ["/"]
