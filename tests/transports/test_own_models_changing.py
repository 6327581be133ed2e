"""What becomes of questions while a twin's own models change: fall-back, deletion and new keys between two rounds."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from tests.fakes.upstream import error_reply, text_reply, tool_reply
from tests.own_models import ENVIRONMENT_KEY, KEY, Own, own_world
from tests.world import charges, stored
from twinspeak.persistence.tables import institutions as institution_table

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

RECORD = "/api/admin/aimodel"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Own]:
    async with own_world(tmp_path_factory.mktemp("changing-models"), provider_attempts=1) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def twin(own: Own) -> AsyncGenerator[str]:
    """The administrator's twin; afterwards it has no models, and nobody is asked for anything."""
    institution = await own.twin()
    yield institution
    await settings(own, institution, "")
    _, listed = await own.call("POST", "/api/admin/aimodels", {"minimum": True})
    for record in listed["data"]:
        await own.call("DELETE", f"{RECORD}/{record['_id']}")
    for upstream, said in ((own.upstream, "twin's own"), (own.here.upstream, "server's")):
        upstream.exchanges.clear()
        upstream.default = lambda _, said=said: text_reply(f"Said by the {said} model.")
        while not upstream._arrivals.empty():
            upstream._arrivals.get_nowait()


async def settings(own: Own, twin: str, model: str, *fallbacks: str) -> None:
    values = {"conversation_model": model, "fallback_models": json.dumps(fallbacks)}
    await own.edit(update(institution_table).where(institution_table.c.id == twin).values(**values))


def keys(own: Own) -> list[tuple[str, str]]:
    """Return which server was asked with which key, the twin's first."""
    return [
        (name, exchange.headers["authorization"].removeprefix("Bearer "))
        for name, upstream in (("own", own.upstream), ("server", own.here.upstream))
        for exchange in upstream.exchanges
    ]


async def test_a_record_can_be_what_a_twin_falls_back_to(own: Own, twin: str) -> None:
    await own.make(name="spare", reasoning_effort="low", max_output_tokens=55)
    await settings(own, twin, "gpt-4o", "spare")
    own.here.upstream.default = lambda _: error_reply(503, "down")
    answer = await own.ask()
    assert (set(answer.texts.values()), answer.reply["model"]) == ({"Said by the twin's own model."}, "spare")
    assert keys(own) == [("own", KEY), ("server", ENVIRONMENT_KEY)]
    asked = own.upstream.exchanges[0].json
    assert (asked["reasoning_effort"], asked["max_tokens"]) == ("low", 55)
    row = stored(own.here.database, answer.turn_id)
    assert (row["model"], '"input":60' in row["price"]) == ("spare", True)
    assert charges(own.here.database, answer.turn_id) == [row["credits"]]


async def test_a_record_falls_back_to_the_servers_model_that_the_admin_chose(own: Own, twin: str) -> None:
    await own.make()
    await settings(own, twin, "own-model", "gpt-4o")
    own.upstream.default = lambda _: error_reply(401, "bad key")
    answer = await own.ask()
    assert (set(answer.texts.values()), answer.reply["model"]) == ({"Said by the server's model."}, "gpt-4o")
    assert keys(own) == [("own", KEY), ("server", ENVIRONMENT_KEY)]
    assert '"input":100' in stored(own.here.database, answer.turn_id)["price"]


async def test_a_record_that_is_switched_off_is_passed_over_wherever_it_stands(own: Own, twin: str) -> None:
    for name in ("first", "second"):
        await own.make(name=name, status="inactive")
    await own.make(name="third")
    await settings(own, twin, "first", "second", "third")
    assert (await own.ask()).reply["model"] == "third"
    await settings(own, twin, "first", "second")
    refused = await own.ask()
    assert (refused.status, refused.json["error"]["code"]) == (503, "model_unavailable")
    assert keys(own) == [("own", KEY)]


async def test_a_server_does_not_answer_in_place_of_a_record_that_fails(own: Own, twin: str) -> None:
    await own.make()
    await settings(own, twin, "own-model")
    own.upstream.default = lambda _: error_reply(503, "down")
    answer = await own.ask()
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_failed")
    assert keys(own) == [("own", KEY)]


async def asked_for_a_tool(own: Own) -> tuple["asyncio.Future[Any]", asyncio.Event]:
    """Begin a question whose first round, about to call a tool, waits for the event."""
    gate = asyncio.Event()
    calling = tool_reply(("search_uploads", {"query": "twins"}))
    calling.steps.insert(1, gate)
    own.upstream.script(calling)
    asking = asyncio.ensure_future(own.ask())
    await own.upstream.exchange(within=10)
    return asking, gate


@pytest.mark.parametrize("change", ["deleted", "switched off"])
async def test_a_record_that_goes_between_two_rounds_ends_the_answer(own: Own, twin: str, change: str) -> None:
    made = await own.make()
    await settings(own, twin, "own-model", "gpt-4o")
    asking, gate = await asked_for_a_tool(own)
    method, body = ("DELETE", None) if change == "deleted" else ("PUT", {"status": "inactive"})
    assert (await own.call(method, f"{RECORD}/{made}", body))[0] == 200
    gate.set()
    answer = await asyncio.wait_for(asking, 10)
    assert (answer.status, answer.json["error"]["code"]) == (503, "model_unavailable")
    row = stored(own.here.database, answer.turn_id)
    assert (row["state"], row["credits"], charges(own.here.database, answer.turn_id)) == ("failed", 0, [])
    assert keys(own) == [("own", KEY)]


async def test_a_new_key_is_used_from_the_next_round_on(own: Own, twin: str) -> None:
    made = await own.make()
    await settings(own, twin, "own-model")
    asking, gate = await asked_for_a_tool(own)
    assert (await own.call("PUT", f"{RECORD}/{made}", {"api_key": "another-key-1"}))[0] == 200
    gate.set()
    assert set((await asyncio.wait_for(asking, 10)).texts.values()) == {"Said by the twin's own model."}
    assert keys(own) == [("own", KEY), ("own", "another-key-1")]


async def test_a_price_that_changes_between_two_rounds_is_the_next_questions(own: Own, twin: str) -> None:
    made = await own.make()
    await settings(own, twin, "own-model")
    asking, gate = await asked_for_a_tool(own)
    rates = {"input": 900, "cached": 900, "completion": 900}
    assert (await own.call("PUT", f"{RECORD}/{made}", {"creditsPer10kTokens": rates}))[0] == 200
    gate.set()
    answer = await asyncio.wait_for(asking, 10)
    assert charges(own.here.database, answer.turn_id) == [1]
    assert '"input":60' in stored(own.here.database, answer.turn_id)["price"]
    assert '"input":90000' in stored(own.here.database, (await own.ask()).turn_id)["price"]


async def test_many_changes_at_once_leave_one_of_them(own: Own, twin: str) -> None:
    """Each takes all that it says or nothing: no key meets the address of another change."""
    made = await own.make()
    await settings(own, twin, "own-model")
    base = own.upstream.base_url
    pairs = {f"key-{number}": f"{base}?n={number}" for number in range(8)}
    changes = [{"api_key": key, "api_url": url} for key, url in pairs.items()]
    noise = [{"description": f"Number {number}"} for number in range(8)]
    answers = await asyncio.gather(
        *(own.call("PUT", f"{RECORD}/{made}", body) for both in zip(changes, noise, strict=True) for body in both)
    )
    assert {status for status, _ in answers} <= {200, 503}
    await own.ask()
    (asked,) = own.upstream.exchanges
    key = asked.headers["authorization"].removeprefix("Bearer ")
    assert asked.path.partition("?")[2] == pairs[key].partition("?")[2]


async def test_changing_and_deleting_at_once_ends_with_nothing(own: Own, twin: str) -> None:
    made = await own.make()
    answers = await asyncio.gather(
        *(own.call("PUT", f"{RECORD}/{made}", {"api_key": f"late-{number}"}) for number in range(5)),
        own.call("DELETE", f"{RECORD}/{made}"),
        own.call("DELETE", f"{RECORD}/{made}"),
    )
    assert {status for status, _ in answers} <= {200, 404, 503}
    assert [status for status, _ in answers[-2:]].count(200) == 1
    assert (await own.call("GET", f"{RECORD}/{made}"))[0] == 404
    (row,) = (row for row in own.rows() if row["id"] == made)
    assert (row["status"], row["api_key"], row["headers"]) == ("deleted", None, None)
