"""Where a search looks, and what it tells of itself: folders of assistants, some documents, the times of its legs."""

from typing import Any

import pytest

from tests.vault.house import House

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def folder(here: House, who: str, name: str, **fields: Any) -> str:
    status, body = await here.call(who, "POST", "/api/user/collection", {"name": name, **fields})
    assert status == 200, body
    return body["id"]


async def test_an_assistant_searches_its_folders_and_those_below(here: House) -> None:
    """However much fits better elsewhere: nothing else is ranked."""
    outer = await folder(here, "member", "Reptiles")
    inner = await folder(here, "member", "Turtles", parent=outer)
    for number in range(120):
        await here.put("member", f"else{number}.md", f"Tuataras, tuataras, tuataras: number {number} of the tuataras.")
    await here.put("member", "in.md", "A tuatara of the folder is named Henry, and this text goes on.", folder=outer)
    await here.put("member", "below.md", "Below it, a tuatara is named Lucy, and this text goes on.", folder=inner)
    wish = {"name": "Keeper", "ragCollections": [outer]}
    status, made = await here.call("member", "POST", "/api/user/assistant", wish)
    assert status == 200, made
    keeper = made["id"]

    async def told(who: str, **body: Any) -> tuple[int, str]:
        here.org.unlimited()
        status, found = await here.call(who, "POST", "/api/user/searchRag", {"search": "tuatara", **body})
        return status, str(found.get("data", found["message"]))

    assert "Henry" not in (await told("member"))[1]
    _, narrowed = await told("member", assistantId=keeper)
    assert ("Henry" in narrowed, "Lucy" in narrowed, "number" in narrowed) == (True, True, False)
    answer = await here.ask("member", "What is the tuatara named?", assistantId=keeper)
    assert {one["originalname"] for one in answer.json["sources"]} == {"in.md", "below.md"}
    assert (await told("member", assistantId="nonsense"))[0] == 400
    assert (await told("other", assistantId=keeper))[0] == (await told("member", assistantId="0" * 24))[0] == 404
    assert (await here.call("member", "PUT", f"/api/user/assistant/{keeper}", {"ragEnabled": False}))[0] == 200
    assert await told("member", assistantId=keeper) == (200, "")


async def test_a_search_tells_how_long_each_leg_took(here: House) -> None:
    await here.put("other", "moa.md", "The moa is extinct.")
    status, found = await here.call("other", "POST", "/api/user/files/search-content", {"query": "moa"})
    assert status == 200
    perf = found["searchPerf"]
    assert set(perf["legs"]) == {"lexical"}
    assert 0 <= perf["legs"]["lexical"] + perf["fused"] <= perf["totalMs"] + 1
    assert perf["k"] == 60
    assert [one["trace"] for one in found["results"]] == [[{"list": "lexical", "rank": 1}]]
