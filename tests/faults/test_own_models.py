"""Servers that a twin brought and that mean ill, or are broken: what they cost, and what people are told."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face
from tests.fakes.upstream import CUT, STALL, Reply, chunk, ending, error_reply, frame, raw_reply, text_reply
from tests.own_models import Own, own_world
from tests.world import balances, charges, stored

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

JUNK = b"x" * 65_536
HI = chunk({"role": "assistant", "content": "Hi."})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Own]:
    folder = tmp_path_factory.mktemp("hostile-models")
    async with own_world(folder, provider_attempts=1, turn_first_token_s=1, turn_silence_s=1) as made:
        await made.make()
        await made.choose("own-model", await made.twin())
        yield made
        balances(made.here.database)


def endless(first: bytes, piece: bytes = JUNK) -> Reply:
    """Return an answer of 64 MB: more than anybody may send."""
    return Reply([first, *([piece] * 1_000)])


BAD: dict[str, Reply] = {
    "a line without an end": endless(b"data: "),
    "an event without an end": endless(b"data: x\n", b"data: " + JUNK[:-7] + b"\n"),
    "comments without an end": Reply([b": waiting\n\n", STALL]),
    "a packed answer": Reply([gzip.compress(b"data: [DONE]\n\n")], headers={"Content-Encoding": "gzip"}),
    "a bomb": Reply([gzip.compress(b"\0" * 50_000_000)], headers={"Content-Encoding": "gzip"}),
    "a page": Reply([b"<html>Welcome</html>"], headers={"Content-Type": "text/html"}),
    "nothing": Reply([]),
    "no JSON": raw_reply(b"data: {\n\ndata: [DONE]\n\n"),
    "JSON of another kind": Reply([frame([1, 2]), frame({"choices": 7}), frame({"choices": [None]})]),
    "deep JSON": raw_reply(b"data: " + b"[" * 100_000 + b"\n\n"),
    "a cut": Reply([chunk({"role": "assistant", "content": "Half"}), CUT]),
    "silence": Reply([STALL]),
    "silence in the middle": Reply([chunk({"role": "assistant", "content": "Half"}), STALL]),
    "an error that never ends": Reply([JUNK] * 1_000, status=500),
    "an error that stalls": Reply([b'{"error":', STALL], status=400),
    "a redirect": error_reply(302, "over there", headers={"Location": "http://169.254.169.254/latest"}),
    "a permanent redirect": error_reply(308, "over there", headers={"Location": "http://127.0.0.1:1/"}),
    "a huge wait": error_reply(429, "later", headers={"Retry-After": "99999999999"}),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_broken_server_is_told_and_costs_nothing(own: Own, case: str) -> None:
    own.upstream.script(BAD[case])
    answer = await asyncio.wait_for(own.ask(), 30)
    error = answer.json["error"]
    assert (answer.status >= 429, error["code"].startswith("provider_")) == (True, True), error
    assert "169.254" not in str(answer.json)
    row = stored(own.here.database, answer.turn_id)
    assert (row["state"], charges(own.here.database, answer.turn_id)) == ("failed", [])
    exchange = own.upstream.exchanges[-1]
    assert exchange.completed.is_set() or await exchange.hung_up(within=10)
    assert set((await own.ask()).texts.values()) == {"Said by the twin's own model."}


async def test_an_answer_without_an_end_is_cut(own: Own) -> None:
    words = chunk({"role": "assistant", "content": "word " * 2_000})
    own.upstream.script(Reply([*([words] * 3_000), *ending()]))
    answer = await asyncio.wait_for(own.ask(face=Face.REST), 60)
    assert answer.status == 200
    assert len(answer.json["outputs"][0]) < 10_000_000
    assert charges(own.here.database, answer.turn_id) == [stored(own.here.database, answer.turn_id)["credits"]]


async def test_counts_that_a_server_makes_up_cannot_overdraw(own: Own) -> None:
    """What is charged is within what was held, whatever the server says that it counted."""
    before = sum(balances(own.here.database).values())
    own.upstream.script(Reply([HI, *ending(prompt=10**15, completion=10**15)]))
    answer = await own.ask()
    (charged,) = charges(own.here.database, answer.turn_id)
    assert answer.status == 200
    assert charged == stored(own.here.database, answer.turn_id)["credits"]
    assert charged < 100
    own.upstream.script(Reply([HI, *ending(prompt=-5, completion=-(10**9))]))
    answer = await own.ask()
    assert all(amount >= 0 for amount in charges(own.here.database, answer.turn_id))
    assert sum(balances(own.here.database).values()) == before


async def test_tools_that_a_server_makes_up_are_refused(own: Own) -> None:
    calls = [
        {"index": number, "id": f"c{number}", "function": {"name": "rm" * 5_000, "arguments": json.dumps({"a": "b"})}}
        for number in range(300)
    ]
    call = Reply([chunk({"role": "assistant", "tool_calls": calls}), *ending("tool_calls")])
    own.upstream.script(call)
    answer = await asyncio.wait_for(own.ask(), 30)
    assert answer.status in (200, 502)
    assert len(answer.body) < 2_000_000


async def test_what_breaks_is_no_alarm_of_the_operators(own: Own) -> None:
    before = await measured(own)
    own.upstream.script(error_reply(500, "broken"))
    assert (await own.ask()).status == 502
    rose = {name for name, value in (await measured(own)).items() if value > before.get(name, 0)}
    errors = {name for name in rose if "errors" in name or "failures" in name}
    assert len(errors) == 2
    assert all('provider="own"' in name for name in rose if "provider=" in name)


async def measured(own: Own) -> dict[str, float]:
    """Return the metrics of turns and providers, without times of their making."""
    async with own.here.server.http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    found = (
        line.rpartition(" ") for line in lines if line.startswith(("twinspeak_turn", "twinspeak_up", "twinspeak_pro"))
    )
    return {name: float(value) for name, _, value in found if "_created" not in name}


async def test_many_questions_at_a_stuck_server_hold_nobody_else_up(own: Own) -> None:
    """A twin's own server has a queue of its own: the server's models are asked all the same."""
    stranger = await own.here.stranger()
    own.upstream.script(*(Reply([STALL]) for _ in range(20)))
    stuck = [asyncio.ensure_future(own.ask()) for _ in range(20)]
    for _ in stuck:
        await own.upstream.exchange(within=20)
    answer: Any = await asyncio.wait_for(own.ask(stranger), 10)
    assert set(answer.texts.values()) == {"Said by the server's model."}
    assert {answer.status for answer in await asyncio.gather(*stuck)} == {504}
    own.upstream.default = lambda _: text_reply("Said by the twin's own model.")
