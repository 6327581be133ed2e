"""Adjusting, transferring and pulling credits, and twins that are filled up, through a real server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face, ask
from tests.organisation import Org, organisation
from tests.world import balances, world
from twinspeak.domain.access import ALL_VERBS
from twinspeak.persistence.repos import wallets

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("credits")) as here:
        made = await organisation(here)
        await made.person("elmer", "elm", account_type="admin", verbs=ALL_VERBS)
        yield made


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


def held(org: Org, *names: str) -> list[int]:
    """Return balances by name, having made sure that the books are right."""
    found = balances(org.here.database)
    return [found.get(org.ids[name], 0) for name in names]


async def endow(org: Org, account: str, credits: int) -> str:
    """Set an account's balance; return its address."""
    path = f"/api/admin/account/{org.ids[account]}"
    change = credits - held(org, account)[0]
    if change:
        await org.good("POST", f"{path}/credits", {"credits": change, "note": "For a test"}, "super")
    return path


async def keyed(org: Org, who: str, path: str, body: dict[str, Any], key: str, method: str = "POST") -> tuple[int, Any]:
    headers = {**org.here.server.auth(org.tokens[who]), "Idempotency-Key": key}
    async with org.here.server.http.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_accounts_are_adjusted_with_a_note(org: Org) -> None:
    path = await endow(org, "north", 0)
    done = await org.good("POST", f"{path}/credits", {"credits": 700, "note": "Invoice 17"}, "super")
    assert done["message"] == "Account credits adjusted!"
    transfer = done["data"]["transfer"]
    assert done["data"]["account"] == {"id": org.ids["north"], "credits": 700}
    assert (transfer["account"], transfer["institution"], transfer["user"]) == (
        org.ids["north"],
        None,
        org.ids["super"],
    )
    assert (transfer["credits"], transfer["status"], transfer["transferMode"]) == (700, "active", 1)
    assert transfer["note"] == "Invoice 17"
    await org.good("POST", f"{path}/credits", {"credits": -200, "note": "Mistake"}, "super")
    assert held(org, "north") == [500]
    noted = await org.good("POST", "/api/admin/audit", {"target": org.ids["north"], "limit": 1}, "super")
    assert (noted["data"][0]["action"], noted["data"][0]["after"]["credits"]) == ("credits.adjusted", -200)


@pytest.mark.parametrize(
    "wrong",
    [
        {"credits": 0, "note": "X"},
        {"credits": 1},
        {"credits": 1, "note": " "},
        {"credits": 1, "note": "x" * 2_001},
        {"credits": 1.5, "note": "X"},
        {"credits": "many", "note": "X"},
        {"credits": 10**12, "note": "X"},
        {"note": "X"},
    ],
    ids=str,
)
async def test_wrong_adjustments_change_nothing(org: Org, wrong: dict[str, Any]) -> None:
    before = balances(org.here.database)
    for path in (f"/api/admin/account/{org.ids['north']}", f"/api/admin/institution/{org.ids['oak']}"):
        assert await org.code("POST", f"{path}/credits", wrong, "super") == "validation_failed"
    assert balances(org.here.database) == before


async def test_a_twins_credits_come_from_its_account(org: Org) -> None:
    await endow(org, "north", 100)
    path, [oak] = f"/api/admin/institution/{org.ids['oak']}/credits", held(org, "oak")
    done = await org.good("POST", path, {"credits": 60, "note": "Term"}, "super")
    assert done["message"] == "Institution credits adjusted!"
    assert done["data"]["institution"]["credits"] == oak + 60
    assert done["data"]["account"]["credits"] == 40
    assert held(org, "north", "oak") == [40, oak + 60]
    status, refused = await org.call("POST", path, {"credits": 41, "note": "Term"}, "super")
    assert (status, refused["error"]["code"]) == (402, "insufficient_credits")
    assert refused["error"]["details"] == {"payer": "account", "available": 40}
    await org.good("POST", path, {"credits": -60, "note": "Back"}, "super")
    assert held(org, "north", "oak") == [100, oak]
    gift = await org.good("POST", path, {"credits": 7, "note": "Gift", "skipParentDebit": True}, "super")
    assert gift["data"]["transfer"]["account"] is None
    assert gift["data"]["account"] is None
    assert held(org, "north", "oak") == [100, oak + 7]
    assert await org.code("POST", path, {"credits": -10_000, "note": "X"}, "super") == "insufficient_credits"
    assert await org.code("POST", path, {"credits": 1, "note": "X"}, "admin") == "super_required"


async def test_managers_move_credits_within_their_account(org: Org) -> None:
    await endow(org, "south", 500)
    path, [elm] = f"/api/admin/accountInstitution/{org.ids['south']}", held(org, "elm")
    done = await org.good("PUT", path, {"institutionId": org.ids["elm"], "credits": 300}, "manager")
    assert done["message"] == "Account Transfer recorded!"
    assert set(done["data"]["institution"]) == {"id", "credits", "creditsTotal", "creditsUsagePct"}
    assert held(org, "south", "elm") == [200, elm + 300]
    await org.good("PUT", path, {"institutionId": org.ids["elm"], "credits": -300}, "manager")
    assert held(org, "south", "elm") == [500, elm]
    for twin, code in (("oak", "not_found"), ("south", "not_found")):
        body = {"institutionId": org.ids[twin], "credits": 1}
        assert await org.code("PUT", path, body, "manager") == code
    assert await org.code("PUT", path, {"institutionId": "x", "credits": 1}, "manager") == "invalid_id"
    assert (
        await org.code("PUT", path, {"institutionId": org.ids["elm"], "credits": 0}, "manager") == "validation_failed"
    )
    assert await org.code("PUT", path, {"institutionId": org.ids["elm"], "credits": 501}, "manager") == (
        "insufficient_credits"
    )
    other = f"/api/admin/accountInstitution/{org.ids['north']}"
    assert await org.code("PUT", other, {"institutionId": org.ids["oak"], "credits": 1}, "manager") == "not_found"
    assert held(org, "south", "elm") == [500, elm]


async def test_the_same_key_books_once(org: Org) -> None:
    await endow(org, "north", 100)
    path, [oak] = f"/api/admin/institution/{org.ids['oak']}/credits", held(org, "oak")
    body = {"credits": 10, "note": "Once"}
    answers = await asyncio.gather(*(keyed(org, "super", path, body, "one") for _ in range(5)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["data"]["transfer"]["_id"] for _, answer in answers}) == 1
    assert held(org, "north", "oak") == [90, oak + 10]
    status, refused = await keyed(org, "super", path, {"credits": 11, "note": "Once"}, "one")
    assert (status, refused["error"]["code"]) == (409, "conflict")
    status, refused = await keyed(org, "super", path, body, "not visible")
    assert (status, refused["error"]["code"]) == (400, "invalid_request")
    assert held(org, "north", "oak") == [90, oak + 10]


async def test_many_transfers_at_once_give_away_no_more_than_there_is(org: Org) -> None:
    await endow(org, "south", 25)
    path, before = f"/api/admin/accountInstitution/{org.ids['south']}", held(org, "elm", "fir")

    async def move(number: int) -> int:
        twin = org.ids[("elm", "fir")[number % 2]]
        return (await org.call("PUT", path, {"institutionId": twin, "credits": 10}, "manager"))[0]

    assert sorted(await asyncio.gather(*(move(number) for number in range(8)))) == [200] * 2 + [402] * 6
    assert held(org, "south") == [5]
    assert sum(held(org, "elm", "fir")) == sum(before) + 20


async def test_administrators_pull_where_the_account_lets_them(org: Org) -> None:
    account = await endow(org, "south", 1_500)
    [elm] = held(org, "elm")
    path = f"/api/user/userInstitutionCredit/{await org.membership('elmer', 'elm')}"
    await org.good("PUT", account, {"transferMode": 0}, "manager")
    assert await org.code("POST", path, {}, "elmer") == "transfers_disabled"
    assert await org.code("PUT", account, {"transferMode": 3}, "manager") == "validation_failed"
    await org.good("PUT", account, {"transferMode": 1}, "manager")
    assert (await org.good("GET", account, who="manager"))["data"]["transferMode"] == 1
    done = await org.good("POST", path, {}, "elmer")
    assert done["message"] == "Transfer successfuly executed and recorded!"
    assert (done["data"]["transfer"]["credits"], held(org, "south", "elm")) == (1_000, [500, elm + 1_000])
    assert await org.code("POST", path, {"credits": 501}, "elmer") == "insufficient_credits"
    assert (await org.good("POST", path, {}, "elmer"))["data"]["transfer"]["credits"] == 500
    assert await org.code("POST", path, {}, "elmer") == "insufficient_credits"
    for membership in (await org.membership("stranger", "elm"), org.ids["elm"]):
        assert await org.code("POST", f"/api/user/userInstitutionCredit/{membership}", {}, "elmer") == "not_found"
    assert await org.code("POST", path, {"credits": -1}, "elmer") == "validation_failed"
    assert await org.code("POST", path, {}, "other") == "admin_required"
    assert held(org, "south", "elm") == [0, elm + 1_500]


async def test_a_twin_that_runs_low_is_filled_up(org: Org) -> None:
    account = await endow(org, "north", 1_200)
    oak = org.ids["oak"]
    await org.here.server.ground.db.write(
        lambda tx: wallets.adjust(
            tx, wallets.ensure(tx, "institution", oak), -wallets.balance(tx, "institution", oak), note="Emptied"
        )
    )
    refused = await ask(org.here.server, org.tokens["member"], Face.REST)
    assert (refused.status, held(org, "north", "oak")) == (402, [1_200, 0])
    await org.good("PUT", account, {"transferMode": 2}, "super")
    answered = await asyncio.gather(*(ask(org.here.server, org.tokens["member"], Face.REST) for _ in range(6)))
    assert {one.status for one in answered} == {200}
    assert held(org, "north", "oak") == [200, 994]
    listed = await org.good("POST", "/api/admin/accountTransfers", {"institution": oak, "pageSize": 1}, "super")
    [last] = listed["data"]
    assert (last["user"], last["transferMode"], last["credits"], last["account"]) == (None, 2, 1_000, org.ids["north"])
    await org.good("PUT", account, {"transferMode": 0}, "super")


async def test_transfers_are_listed_within_the_accounts_that_one_manages(org: Org) -> None:
    async def parties(who: str, **wanted: Any) -> set[tuple[str | None, str | None]]:
        rows = (await org.good("POST", "/api/admin/accountTransfers", wanted, who))["data"]
        return {(row["account"], row["institution"]) for row in rows}

    north, south, elm = org.ids["north"], org.ids["south"], org.ids["elm"]
    assert await parties("super") >= {(north, None), (south, elm)}
    mine = await parties("manager")
    assert (south, elm) in mine
    assert north not in {account for account, _ in mine}
    assert await parties("manager", account=north) == set()
    assert await parties("manager", institution=org.ids["oak"]) == set()
    assert await parties("super", account=north, institution=elm) == set()
    assert await parties("manager", institution=elm) == {(south, elm)}
    assert await org.code("POST", "/api/admin/accountTransfers", {"account": "x"}, "super") == "invalid_id"
    assert await org.code("POST", "/api/admin/accountTransfers", {}, "elmer") == "account_manager_required"
