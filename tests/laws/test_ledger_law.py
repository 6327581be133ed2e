"""The law of contract section 5 over whatever turns do, at once and one after the other, through real sockets.

The ledger's sums equal the balances, nobody goes below zero, no turn is charged twice or more than it held, failed ones
are free, and what is gone from the payer is what the records say.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faces import FACES, Answer, Face
from tests.fakes.upstream import (
    CUT,
    DONE,
    STALL,
    Exchange,
    Reply,
    chunk,
    ending,
    error_reply,
    frame,
    text_reply,
    text_steps,
    tool_reply,
)
from tests.world import World, all_turns, balances, stored, world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

SYSTEM = "0" * 24
TEXT = "An answer of some length [1]."


def _tools(exchange: Exchange) -> Reply:
    if any(message["role"] == "tool" for message in exchange.json["messages"]):
        return text_reply("Found it.")
    return tool_reply(("search_uploads", {"query": "library"}), text="Let me look.")


REPLIES: dict[str, Any] = {
    "plain": lambda _: text_reply(TEXT),
    "dear": lambda _: Reply([*text_steps(TEXT), *ending(prompt=41_000, completion=3_500, cached=20_001)]),
    "cached": lambda _: Reply([*text_steps(TEXT), *ending(prompt=20_000, completion=1, cached=20_000)]),
    "uncounted": lambda _: Reply([*text_steps(TEXT), chunk(finish="stop"), DONE]),
    "empty": lambda _: Reply(ending(prompt=9_000, completion=0)),
    "tools": _tools,
    "refused": lambda _: error_reply(401, "no such key"),
    "cut": lambda _: Reply([*text_steps(TEXT), CUT]),
    "garbage": lambda _: Reply([*text_steps(TEXT), b"data: {oh\n\n"]),
    "error": lambda _: Reply([*text_steps(TEXT), frame({"error": {"message": "no", "code": 500}})]),
    "silent": lambda _: Reply([STALL]),
    "stuck": lambda _: Reply([*text_steps(TEXT), STALL]),
}
"""What the provider does, named in the question. The last two never end: their turns are cancelled."""
ENDLESS = ("silent", "stuck")
FREE = ("refused", "cut", "garbage", "error", "silent", "empty")
ESTIMATED = ("uncounted", "stuck", "cut", "garbage", "error")

deeds = st.tuples(st.sampled_from(sorted(REPLIES)), st.sampled_from(FACES))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("ledger"), credits=1_000_000) as made:
        made.upstream.default = answer
        yield made


def answer(exchange: Exchange) -> Reply:
    asked = next(message["content"] for message in reversed(exchange.json["messages"]) if message["role"] == "user")
    return next(reply for name, reply in REPLIES.items() if f"#{name}" in asked)(exchange)


async def run(here: World, name: str, face: Face, number: int) -> Answer:
    """Ask; end what would not end, once all that will come has come."""
    question = f"What does the library cost? #{name} {number}"
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face, question))
        if name in ENDLESS:
            await cancel(here, question, TEXT if name == "stuck" else "")
    return asking.result()


async def cancel(here: World, question: str, text: str) -> None:
    while True:
        turns = here.server.live.turns._running.values()
        found = [turn for turn in turns if turn.ask.question == question and turn.log.text.text() == text]
        if found and (text or any(question in str(exchange.body) for exchange in here.upstream.exchanges)):
            break
        await asyncio.sleep(0.005)
    status, body = await here.post(f"/api/ai/turns/{found[0].turn_id}/cancel")
    assert (status, body["cancelled"]) == (200, True)


def price(row: dict[str, Any]) -> int:
    """Contract section 5, in its own words."""
    tokens = row["usage_input"] - row["usage_cached"] / 2 + row["usage_completion"]
    return max(1, -int(-tokens // 10_000))


@given(st.lists(deeds, min_size=1, max_size=6))
@settings(max_examples=40)
async def test_the_books_are_right_after_whatever_happened(here: World, batch: list[tuple[str, Face]]) -> None:
    seen = {row["id"] for row in all_turns(here.database)}
    before = balances(here.database)
    answers = await asyncio.gather(*(run(here, name, face, at) for at, (name, face) in enumerate(batch)))
    after = balances(here.database)
    rows = [row for row in all_turns(here.database) if row["id"] not in seen]
    assert len(rows) == len(batch)
    for (name, face), told in zip(batch, answers, strict=True):
        row = stored(here.database, told.turn_id)
        assert row["credits"] == (0 if name in FREE else price(row)), name
        assert bool(row["usage_estimated"]) == (name in ESTIMATED), name
        if face is not Face.OPENAI and not told.error:
            assert told.reply["credits"] == row["credits"]
            assert told.reply.get("usageEstimated", False) == bool(row["usage_estimated"])
            assert told.reply.get("cancelled", False) == (name in ENDLESS)
    moved = {owner: before[owner] - after[owner] for owner in after if before[owner] != after[owner]}
    spent = sum(row["credits"] for row in rows)
    assert sorted(moved.values()) == sorted(amount for amount in (spent, -spent) if amount)


async def test_many_at_once_never_spend_more_than_there_is(
    tmp_path_factory: pytest.TempPathFactory, database: str
) -> None:
    """Fifty turns of one payer whose credits are enough for few of them at a time."""
    async with world(tmp_path_factory.mktemp("few"), credits=0, default_model="gpt-4o-mini") as here:
        gate = asyncio.Event()
        here.upstream.default = lambda _: Reply([*text_steps(TEXT), gate, *ending(prompt=12_000, completion=9_000)])
        asking = [asyncio.create_task(here.ask(face)) for face in FACES for _ in range(13)]
        done: set[asyncio.Task[Any]] = set()
        while len(done) + len(here.server.live.turns) < len(asking):
            done, _ = await asyncio.wait(asking, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
            done = {task for task in asking if task.done()}
        balances(here.database)
        gate.set()
        answers: list[Answer] = await asyncio.gather(*asking)
        left = balances(here.database)
        refused = [each for each in answers if each.status == 402]
        assert refused
        for each in refused:
            assert each.error
            assert (each.error["code"], each.error["type"]) == ("insufficient_credits", "insufficient_quota")
            assert "x-turn-id" not in each.headers
        served = [stored(here.database, each.turn_id) for each in answers if each.status == 200]
        assert served
        assert len(served) + len(refused) == len(asking)
        assert len(all_turns(here.database)) == len(served)
        assert all(0 < row["credits"] <= price(row) for row in served)
        assert min(balance for owner, balance in left.items() if owner != SYSTEM) >= 0
        assert sum(left.values()) == 0
