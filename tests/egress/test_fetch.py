"""Fetching what somebody else named, over real sockets: redirects, bounds, what is carried where."""

import asyncio
import gzip

import pytest

from tests.egress.sites import HERE, Site, fetching, moved, reason, serving
from twinspeak.egress.fetch import Bounds, Request


async def test_a_page_comes_from_the_address_that_was_judged(site: Site) -> None:
    async with fetching(f"{HERE}:{site.port}", names={"pages.example.org": [[HERE]]}) as (fetcher, names):
        url = f"http://pages.example.org:{site.port}/a%2Fb?q=%3A"
        async with fetcher.ask(Request(url, headers={"Accept": "text/plain"})) as answer:
            assert (answer.status, answer.url, answer.media_type, answer.charset) == (200, url, "text/plain", "utf-8")
            assert await answer.read() == b"hello"
        assert names.asked == ["pages.example.org"]
    (method, path, headers, body) = site.seen[0]
    assert (method, path, body) == ("GET", "/a%2Fb?q=%3A", b"")
    assert headers["host"] == f"pages.example.org:{site.port}"
    assert headers["accept-encoding"] == "identity"


async def test_a_post_carries_its_body_and_nothing_of_the_callers_framing(site: Site) -> None:
    async with fetching(f"{HERE}:{site.port}") as (fetcher, _):
        headers = {"Content-Type": "application/json", "Host": "evil.example", "Content-Length": "999"}
        request = Request(f"http://{HERE}:{site.port}/p", "POST", headers, b'{"a":1}')
        async with fetcher.ask(request) as answer:
            assert await answer.read() == b"hello"
    (method, _, headers, body) = site.seen[0]
    assert (method, body, headers["content-length"], headers["host"]) == (
        "POST",
        b'{"a":1}',
        "7",
        f"{HERE}:{site.port}",
    )


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "//127.0.0.2/",
        "http://user:pw@example.org/",
        "file:///%65tc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)",
        "http://example.org:22/",
        "http://example.org\\@127.0.0.1/",
        "http://inside.example.org/",
        "http://[bad/",
    ],
)
@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_inside_is_not_followed(site: Site, location: str, status: int) -> None:
    site.replies["/"] = moved(location, status)
    names = {"inside.example.org": [["192.168.0.1"]], "example.org": [["10.9.9.9"]]}
    async with fetching(f"{HERE}:{site.port}", names=names) as (fetcher, _):
        found = await reason(fetcher, Request(f"http://{HERE}:{site.port}/"))
        assert found in {"host", "scheme", "port", "credentials", "malformed", "redirect"}
    assert len(site.seen) == 1


async def test_a_redirect_is_followed_relative_and_absolute_up_to_a_bound(site: Site) -> None:
    site.replies["/a"] = moved("b?x=1")
    site.replies["/b"] = moved(f"http://{HERE}:{site.port}/c", 308)
    site.replies["/loop"] = moved("/loop")
    async with fetching(f"{HERE}:{site.port}") as (fetcher, _):
        async with fetcher.ask(Request(f"http://{HERE}:{site.port}/a")) as answer:
            assert await answer.read() == b"hello"
            assert answer.url.endswith("/c")
        site.seen.clear()
        bounds = Bounds(redirects=3)
        assert await reason(fetcher, Request(f"http://{HERE}:{site.port}/loop"), bounds) == "redirects"
        assert len(site.seen) == 4
        assert all("cookie" not in headers for _, _, headers, _ in site.seen)


async def test_credentials_stay_with_their_origin(site: Site) -> None:
    async with serving() as other:
        site.replies["/same"] = moved("/end")
        site.replies["/other"] = moved(f"http://{HERE}:{other.port}/end")
        secret = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "s3cret", "Accept": "text/html"}
        async with fetching(f"{HERE}:{site.port}", f"{HERE}:{other.port}") as (fetcher, _):
            for path in ("/same", "/other"):
                async with fetcher.ask(Request(f"http://{HERE}:{site.port}{path}", headers=secret)) as answer:
                    await answer.read()
        assert site.seen[1][2]["authorization"] == "Bearer s3cret"
        assert other.seen[0][2]["accept"] == "text/html"
        assert "s3cret" not in str(other.seen)


async def test_a_post_becomes_a_get_or_stays_at_its_origin(site: Site) -> None:
    async with serving() as other:
        site.replies["/seeother"] = moved("/end", 303)
        site.replies["/again"] = moved("/end", 307)
        site.replies["/away"] = moved(f"http://{HERE}:{other.port}/", 307)
        async with fetching(f"{HERE}:{site.port}", f"{HERE}:{other.port}") as (fetcher, _):
            headers = {"Content-Type": "text/plain"}
            for path in ("/seeother", "/again"):
                async with fetcher.ask(Request(f"http://{HERE}:{site.port}{path}", "POST", headers, b"data")) as answer:
                    await answer.read()
            away = Request(f"http://{HERE}:{site.port}/away", "POST", headers, b"data")
            assert await reason(fetcher, away) == "redirect"
        ends = [
            (method, "content-type" in headers, body) for method, path, headers, body in site.seen if path == "/end"
        ]
        assert ends == [("GET", False, b""), ("POST", True, b"data")]
        assert other.seen == []


# -- bounds -----------------------------------------------------------------------------------------------------------


async def test_an_answer_without_end_is_cut_and_its_connection_closed(site: Site) -> None:
    async with fetching(f"{HERE}:{site.port}") as (fetcher, _):
        request = Request(f"http://{HERE}:{site.port}/endless")
        assert await reason(fetcher, request, Bounds(max_bytes=200_000)) == "too_large"
        await asyncio.wait_for(site.held.wait(), 10)


async def test_a_declared_length_is_believed_before_the_body_is_read(site: Site) -> None:
    site.replies["/big"] = {"body": b"x" * 2_000}
    async with fetching(f"{HERE}:{site.port}") as (fetcher, _):
        request = Request(f"http://{HERE}:{site.port}/big")
        assert await reason(fetcher, request, Bounds(max_bytes=1_999)) == "too_large"
        async with fetcher.ask(request, Bounds(max_bytes=2_000)) as answer:
            assert len(await answer.read()) == 2_000


async def test_a_packed_answer_is_bounded_unpacked(site: Site) -> None:
    packed = gzip.compress(b"\0" * 5_000_000)
    site.replies["/bomb"] = {"body": packed, "headers": {"Content-Encoding": "gzip"}}
    async with fetching(f"{HERE}:{site.port}") as (fetcher, _):
        request = Request(f"http://{HERE}:{site.port}/bomb")
        assert await reason(fetcher, request, Bounds(max_bytes=100_000)) == "too_large"


async def test_a_silent_server_is_given_up(site: Site) -> None:
    async with fetching(f"{HERE}:{site.port}") as (fetcher, _):
        request = Request(f"http://{HERE}:{site.port}/slow")
        assert await reason(fetcher, request, Bounds(total_s=0.2)) == "timeout"


async def test_a_server_that_is_not_there_is_unreachable(site: Site, unused_tcp_port: int) -> None:
    async with fetching(f"{HERE}:{unused_tcp_port}") as (fetcher, _):
        assert await reason(fetcher, Request(f"http://{HERE}:{unused_tcp_port}/")) == "unreachable"


async def test_an_error_of_the_site_is_an_answer(site: Site) -> None:
    site.replies["/gone"] = {"status": 410, "text": "gone"}
    async with (
        fetching(f"{HERE}:{site.port}") as (fetcher, _),
        fetcher.ask(Request(f"http://{HERE}:{site.port}/gone")) as answer,
    ):
        assert (answer.status, await answer.read()) == (410, b"gone")


async def test_no_proxy_of_the_environment_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with (
        fetching(f"{HERE}:{site.port}") as (fetcher, _),
        fetcher.ask(Request(f"http://{HERE}:{site.port}/")) as answer,
    ):
        assert await answer.read() == b"hello"
