"""What a stranger does to /api/mcp: odd JSON, pages of other sites, many at once, and leaving at every moment."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes.upstream import text_reply
from tests.mcp.test_our_server import Place, place
from tests.world import balances

__all__ = ["place"]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("sqlite_file")]

HALF = "half a sign \ud83d"
PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    "body",
    [
        {**PING, "id": HALF},
        {**PING, "id": 2**70},
        {**PING, "id": -(2**70)},
        {**PING, "id": "x" * 100_000},
        {**PING, "id": 1.5},
        {**PING, "method": HALF},
        {**PING, "method": "tools/call", "params": {"name": HALF}},
        {**PING, "method": "tools/call", "params": {"name": {"a": 1}}},
        {**PING, "method": "resources/read", "params": {"uri": HALF}},
        {**PING, "method": "resources/read", "params": {"uri": f"twinspeak://files/{HALF}"}},
        {**PING, "method": "resources/list", "params": {"cursor": "9" * 10}},
        {**PING, "method": "resources/list", "params": {"cursor": HALF[:10]}},
        {**PING, "method": "initialize", "params": {"protocolVersion": HALF}},
        {**PING, "params": {"_meta": {"progressToken": HALF}}},
        call("search-instance-rag", query=HALF),
        call("search-instance-rag", query="\x00 nothing"),
        call("search-instance-rag", query='" OR * NEAR( AND'),
        call("search-instance-rag", query="x", limit=2**70),
        call("api-rt-docs", path=HALF),
        call("api-rt-docs", query=HALF),
        call("api-admin-docs", path="/api/../etc"),
    ],
    ids=range(21),
)
async def test_odd_json_is_answered_and_breaks_nothing(place: Place, body: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {place.secret}", "content-type": "application/json"}
    async with place.world.server.http.post("/api/mcp", data=json.dumps(body), headers=headers) as answer:
        assert answer.status in (200, 400), await answer.text()
        told = await answer.json()
    assert ("result" in told) != ("error" in told)
    assert place.world.upstream.exchanges == []


async def test_odd_questions_are_refused_or_asked(place: Place) -> None:
    for arguments in (
        {"question": HALF},
        {"question": "Hm?", "conversation": 2**70},
        {"question": "Hm?", "conversation": -1},
        {"question": "Hm?", "conversation": True},
        {"question": "x" * 100_001},
        {"question": ""},
    ):
        place.world.upstream._scripts.clear()
        place.world.upstream.script(text_reply("Well."))
        headers = {"Authorization": f"Bearer {place.world.token}", "content-type": "application/json"}
        body = json.dumps(call("ask-twin", **arguments))
        async with place.world.server.http.post("/api/mcp", data=body, headers=headers) as answer:
            assert answer.status in (200, 400), (arguments, await answer.text())
    await place.world.ended()
    balances(place.world.database)


async def test_a_page_may_use_its_own_twin_alone(place: Place) -> None:
    """A preflight is for the union of all twins' sites; a request is judged by its own twin's (contract 3)."""
    stranger = await place.world.stranger()
    _, body = await place.world.post("/api/user/refresh/profile", token=stranger)
    twins = {"https://ours.example": place.twin, "https://theirs.example": body["profile"]["institution"]["_id"]}
    for origin, twin in twins.items():
        async with place.world.server.http.put(
            f"/api/admin/institution/{twin}",
            json={"publicAuthorizedUrls": [origin]},
            headers=place.world.server.auth(place.world.token),
        ) as answer:
            assert answer.status == 200, await answer.text()
    for token in (place.secret, place.world.token):
        assert (await place.post(PING, token, Origin="https://ours.example"))[0] == 200
        status, told = await place.post(PING, token, Origin="https://theirs.example")
        assert (status, told["error"]["code"]) == (403, "origin_not_allowed")


async def test_leaving_at_any_moment_leaves_nothing(place: Place) -> None:
    for moment in range(12):
        place.world.upstream._scripts.clear()
        place.world.upstream.script(text_reply("A long answer. " * 200))
        headers = {"Authorization": f"Bearer {place.world.token}"}
        asking = asyncio.create_task(_asked(place, headers))
        for _ in range(moment * 3):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await place.world.ended()
    balances(place.world.database)


async def _asked(place: Place, headers: dict[str, str]) -> None:
    async with place.world.server.http.post(
        "/api/mcp", json=call("ask-twin", question="Hm?"), headers=headers
    ) as answer:
        await answer.read()


async def test_a_secret_that_is_renewed_by_many_at_once_is_one(place: Place) -> None:
    path = f"/api/admin/institution/{place.twin}/mcpSecret"
    made = await asyncio.gather(*(place.world.post(path) for _ in range(8)))
    secrets = [body["secret"] for status, body in made if status == 200]
    assert len(set(secrets)) == 8
    statuses = [(await place.post(PING, secret))[0] for secret in secrets]
    assert sorted(statuses) == [200, *[401] * 7]
    place.secret = secrets[statuses.index(200)]
