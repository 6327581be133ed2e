import pytest

from tests.fakes.upstream import Reply, Upstream, error_reply
from twinspeak.egress.client import TrustedClient


async def test_redirects_are_not_followed_and_cookies_are_not_kept():
    async with Upstream() as upstream, Upstream() as elsewhere:
        upstream.script(error_reply(302, "", headers={"Location": elsewhere.base_url, "Set-Cookie": "a=b"}), Reply([]))
        client = TrustedClient.open()
        for _ in range(2):
            response = await client.post(f"{upstream.base_url}/chat/completions", b"{}", {})
            await response.read()
        await client.close()
    assert elsewhere.exchanges == []
    assert "cookie" not in upstream.exchanges[1].headers


async def test_settings_for_proxies_and_netrc_are_not_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with Upstream() as upstream:
        client = TrustedClient.open()
        response = await client.get(f"{upstream.base_url}/models", {"X-Test": "1"})
        assert response.status == 200
        assert (await response.json())["data"][0]["id"] == "fake-model"
        await client.close()
    assert upstream.exchanges[0].headers["x-test"] == "1"


async def test_nothing_but_connecting_has_a_time_limit():
    client = TrustedClient.open(connect_s=3)
    timeout = client._session.timeout
    assert (timeout.total, timeout.sock_connect, timeout.sock_read) == (None, 3, None)
    await client.close()
