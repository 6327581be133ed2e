"""Whose address counts: the peer's, unless a trusted proxy speaks for another."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.http.harness import World, served
from twinspeak.domain.errors import OperatorError
from twinspeak.transports.http.proxies import TrustedProxies
from twinspeak.transports.services import Edge

OURS = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.1.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("10.1.1.1", ["1.2.3.4", "203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.1.1.1", ["203.0.113.9,192.0.2.7 , 10.2.2.2"], "203.0.113.9"),
        ("10.1.1.1", ["10.3.3.3"], "10.3.3.3"),
        ("10.1.1.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.1.1.1", ["[2001:db9::5]:443"], "2001:db9::5"),
        ("10.1.1.1", ["2001:DB9::5"], "2001:db9::5"),
        ("::ffff:10.1.1.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("2001:db8::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.1.1", ["203.0.113.9, unknown"], "10.1.1.1"),
        ("10.1.1.1", [""], "10.1.1.1"),
        ("10.1.1.1", ["203.0.113.9, <script>, 10.2.2.2"], "10.2.2.2"),
        ("", ["203.0.113.9"], "unknown"),
    ],
)
def test_the_list_is_read_from_its_end(peer: str, forwarded: list[str], client: str):
    assert OURS.client(peer, forwarded) == client


ADDRESS = st.ip_addresses(v=4).map(str)


@given(claims=st.lists(ADDRESS | st.text(max_size=9), max_size=4), real=st.ip_addresses(v=4, network="203.0.113.0/24"))
def test_nothing_a_client_claims_changes_who_it_is(claims: list[str], real: object):
    assert OURS.client("10.1.1.1", [", ".join([*claims, str(real)])]) == str(real)
    assert OURS.client(str(real), [", ".join(claims)]) == str(real)


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.0/40", "10.0.0", "", "*"])
def test_a_setting_that_makes_no_sense_stops_the_start(wrong: str):
    with pytest.raises(OperatorError, match="TWINSPEAK_TRUSTED_PROXIES"):
        TrustedProxies([wrong])


async def metrics(client: httpx.AsyncClient, **headers: str) -> int:
    answer = await client.get("/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})
    return answer.status_code


async def test_metrics_answer_this_machine_or_a_token():
    async with served(World(edge=Edge(metrics_token="m-token"))) as client:
        assert await metrics(client) == 200
        assert await metrics(client, x_forwarded_for="203.0.113.9") == 401
        assert await metrics(client, x_forwarded_for="127.0.0.1") == 401
        assert await metrics(client, forwarded="for=203.0.113.9") == 401
        assert await metrics(client, x_forwarded_for="203.0.113.9", authorization="Bearer m-token") == 200
        assert await metrics(client, x_forwarded_for="203.0.113.9", authorization="Bearer wrong") == 401
        assert await metrics(client, x_forwarded_for="203.0.113.9", authorization="Bearer") == 401


async def test_without_a_token_set_none_opens_the_metrics():
    async with served(World()) as client:
        for given_token in ("Bearer", "Bearer None", "bearer"):
            assert await metrics(client, x_forwarded_for="203.0.113.9", authorization=given_token) == 401


async def test_behind_a_trusted_proxy_its_client_is_not_this_machine():
    async with served(World(edge=Edge(trusted_proxies=("127.0.0.1",)))) as client:
        assert await metrics(client, x_forwarded_for="203.0.113.9") == 401
