"""API keys and the audit log, through a real server."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, update

from tests.fakes.upstream import STALL, Reply, text_steps
from tests.faults.stage import reached
from tests.organisation import Org, organisation
from tests.world import world
from twinspeak.domain.access import Verb
from twinspeak.persistence.identity_tables import audit_log

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

MOMENT_S = 1
SIGN_IN = "/api/auth/api-key-signin"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("keys")) as here:
        yield await organisation(here)


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


async def key_of(org: Org, who: str, **fields: Any) -> tuple[str, str]:
    made = await org.good("POST", "/api/user/api-key", {"name": "Script", **fields}, who)
    return made["key"], made["data"]["_id"]


async def exchange(org: Org, key: str, agent: str = "curl/8.5.0") -> tuple[int, Any]:
    headers = {"x-api-key": key, "user-agent": agent}
    async with org.here.server.http.post(SIGN_IN, headers=headers) as response:
        return response.status, await response.json()


async def bearing(org: Org, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"}
    async with org.here.server.http.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_an_administrators_key_is_exchanged_for_a_session(org: Org) -> None:
    key, key_id = await key_of(org, "admin")
    assert (len(key), key[:5]) == (45, "pria_")
    status, body = await exchange(org, key)
    assert (status, body["profile"]["email"]) == (200, "chief@example.org")
    assert (await org.call("GET", "/api/user/sessions", who=body["token"]))[0] == 200
    await exchange(org, key)
    await exchange(org, key, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    devices = (await org.good("GET", "/api/user/api-key-usage", who="admin"))["devices"]
    assert [(one["uaFamily"], one["uaVersion"], one["usageCount"]) for one in devices] == [
        ("Firefox", "140.0", 1),
        ("curl", "8.5.0", 2),
    ]
    assert devices[0]["ipSubnet24"] == "127.0.0.0/24"
    listed = (await org.good("GET", "/api/user/api-keys", who="admin"))["data"]
    assert [one["ending"] for one in listed] == [key[-4:]]
    assert key not in str(listed)
    new = (await org.good("POST", f"/api/user/api-key/{key_id}/rotate", {}, "admin"))["key"]
    assert (await exchange(org, key))[0] == 401
    assert (await org.good("GET", "/api/user/api-key-usage", who="admin"))["devices"] == []
    assert (await exchange(org, new))[0] == 200
    await org.good("DELETE", f"/api/user/api-key/{key_id}", who="admin")
    assert (await exchange(org, new))[0] == 401


@pytest.mark.parametrize("key", ["", "pria_", "pria_" + "0" * 40, "pria_" + "G" * 40, "x" * 3_000])
async def test_every_bad_key_is_answered_alike(org: Org, key: str) -> None:
    status, body = await exchange(org, key)
    assert (status, body["error"]["code"]) == (401, "invalid_token")


async def test_a_key_with_scopes_is_a_bearer_within_them(org: Org) -> None:
    assert await org.code("POST", "/api/user/api-key", {"name": "All"}, "member") == "admin_required"
    assert await org.code("POST", "/api/user/api-key", {"name": "A", "scopes": ["admin"]}, "member") == "admin_required"
    assert await org.code("POST", "/api/user/api-key", {"name": "A", "scopes": ["fly"]}, "member")
    key, _ = await key_of(org, "member", scopes=["ask"])
    assert (await bearing(org, key, "GET", "/api/ai/models"))[0] == 200
    assert (await bearing(org, key, "POST", "/api/ai/personal/qanda", {"inputs": ["Hi"]}))[0] == 200
    for method, path in (("POST", "/api/user/histories"), ("GET", "/api/user/api-keys"), ("POST", "/api/auth/signout")):
        status, body = await bearing(org, key, method, path, {})
        assert (status, body["error"]["code"]) == (403, "scope_missing"), path
    assert (await exchange(org, key))[0] == 401
    wide, _ = await key_of(org, "member", scopes=["user"])
    assert (await bearing(org, wide, "POST", "/api/user/histories", {}))[0] == 200
    for method, path in (("PUT", "/api/user/me"), ("GET", "/api/user/sessions"), ("POST", "/api/user/api-key")):
        assert (await bearing(org, wide, method, path, {"name": "More", "scopes": ["ask"]}))[0] == 403, path


async def test_a_key_ends(org: Org) -> None:
    wrong = {"name": "Late", "expires": "2020-01-01T00:00:00Z"}
    assert await org.code("POST", "/api/user/api-key", wrong, "admin") == "validation_failed"
    await org.person("kim", "oak", account_type="admin")
    key, _ = await key_of(org, "kim", expires="2090-01-01T00:00:00Z")
    scoped, key_id = await key_of(org, "kim", scopes=["ask"])
    assert (await exchange(org, key))[0] == 200
    assert await org.code("DELETE", f"/api/user/api-key/{key_id}", who="admin") == "not_found"
    demoted = {"accountType": "user"}
    org.here.upstream.script(Reply([*text_steps("The library opens"), STALL]))
    async with asyncio.TaskGroup() as group:
        question = {"inputs": ["When?"], "requestArgs": {"model": "gpt-4o"}}
        asking = group.create_task(bearing(org, scoped, "POST", "/api/ai/personal/qanda", question))
        await reached(org.here, "The library opens")
        async with asyncio.timeout(MOMENT_S):
            await org.good("PUT", f"/api/admin/user/{org.ids['kim']}", demoted, "super")
            await asyncio.wait({asking})
    assert (await exchange(org, key))[0] == 401
    assert (await bearing(org, scoped, "GET", "/api/ai/models"))[0] == 401


# -- audit ------------------------------------------------------------------------------------------------------------


async def log(org: Org, who: str = "super", **wanted: Any) -> list[dict[str, Any]]:
    return (await org.good("POST", "/api/admin/audit", wanted, who))["data"]


async def test_what_is_done_is_on_record(org: Org) -> None:
    await org.person("lea", "oak")
    path = f"/api/admin/user/{org.ids['lea']}"
    await org.good("PUT", path, {"fname": "Leah"}, "admin")
    entry = (await log(org, target=org.ids["lea"]))[0]
    assert (entry["action"], entry["actorEmail"], entry["ip"]) == ("user.changed", "chief@example.org", "127.0.0.1")
    assert (entry["before"], entry["after"]) == ({"fname": "Lea"}, {"fname": "Leah"})
    token = (await org.good("POST", f"{path}/actAs", {"reason": "Ticket 17"}, "admin"))["token"]
    await org.good("DELETE", "/api/user/sessions", who=token)
    acted = (await log(org, action="session.ended_others"))[0]
    assert (acted["actor"], acted["actedAs"]) == (org.ids["admin"], org.ids["lea"])


async def test_the_log_is_read_within_reach(org: Org) -> None:
    for twin in ("oak", "elm"):
        await org.good("PUT", f"/api/admin/institution/{org.ids[twin]}", {"about": twin}, "super")
    assert {one["institution"] for one in await log(org, "admin")} == {org.ids["oak"]}
    assert await log(org, "admin", institution=org.ids["elm"]) == []
    assert {one["after"]["about"] for one in await log(org, "manager", action="institution.changed")} == {"elm"}
    await org.person("max", "oak", account_type="admin", verbs=[str(Verb.USERS_LIST)])
    assert await org.code("POST", "/api/admin/audit", {}, "max") == "entitlement_missing"
    seen: list[int] = []
    cursor: int | None = None
    while True:
        body = await org.good("POST", "/api/admin/audit", {"limit": 3, "cursor": cursor}, "super")
        seen += [one["id"] for one in body["data"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    async with org.here.server.http.post(
        "/api/admin/audit/export", json={}, headers=org.here.server.auth(org.tokens["super"])
    ) as response:
        lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert [one["id"] for one in lines] == seen
    assert "pria_" not in str(lines)


async def test_a_log_that_was_touched_is_found_out(org: Org) -> None:
    """Last: it breaks the log."""
    path = "/api/admin/audit/check"
    db = org.here.server.ground.db
    for number in range(6):  # whatever ran before it on this server
        await org.good("PUT", f"/api/admin/institution/{org.ids['oak']}", {"about": f"Number {number}"}, "super")
    whole = await org.good("GET", path, who="super")
    assert whole["intact"]
    assert whole["entries"] > 5
    victim = (await log(org))[2]["id"]
    before = (await log(org))[2]["actorEmail"]
    mine = update(audit_log).where(audit_log.c.id == victim)
    await db.write(lambda tx: tx.run(mine.values(actor_email="nobody@example.org")))
    assert (await org.good("GET", path, who="super"))["brokenAt"] == victim
    await db.write(lambda tx: tx.run(mine.values(actor_email=before)))
    assert (await org.good("GET", path, who="super"))["intact"]
    last = (await log(org))[0]["id"]
    await db.write(lambda tx: tx.run(delete(audit_log).where(audit_log.c.id == last)))
    assert not (await org.good("GET", path, who="super"))["intact"]
