"""Tools that would cost more than there is: the model is told, the person is told, and the books are right."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from tests.faces import FACES, Answer, Face
from tests.fakes.mcp import text_result
from tests.fakes.upstream import DONE, Reply, chunk, text_reply, tool_reply, usage_chunk
from tests.live import EMAIL
from tests.transports.mcp_place import Call, Place, mcp_place
from tests.world import balances, charges, looking_into, stored

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("sqlite_file")]

LARGE: Call = ("Library__echo", {"text": "large"})
SUM: Call = ("calculate", {"expression": "6 * 7"})
LEFT = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    async with mcp_place(tmp_path_factory.mktemp("costs"), serving={"credits": 0}) as made:
        made.fake.answer = lambda _name, _arguments: text_result("many words " * 9_000)
        await made.add()
        yield made


def left(place: Place) -> int:
    with looking_into(place.world.database) as connection:
        query = "SELECT balance FROM wallets WHERE kind <> 'system' ORDER BY balance"
        found = list(connection.execute(text(query)).scalars())
    assert len(found) == 2
    return found[0]


async def poor(place: Place, face: Face, *replies: Reply) -> Answer:
    """Ask with two credits, which pay for 20,000 tokens."""
    await place.world.award(EMAIL, LEFT - left(place))
    assert left(place) == LEFT
    place.world.upstream.exchanges.clear()
    place.world.upstream._scripts.clear()
    place.world.upstream.script(*replies)
    return await place.world.ask(face, "What is it?", **({} if face is Face.OPENAI else {"ragIgnore": True}))


def right(place: Place, answer: Answer) -> dict[str, Any]:
    """Return the turn's row, having looked at its charge."""
    row = stored(place.world.database, answer.turn_id)
    assert charges(place.world.database, answer.turn_id) == [row["credits"]]
    assert 1 <= row["credits"] <= LEFT
    assert left(place) == LEFT - row["credits"]
    balances(place.world.database)
    return row


@pytest.mark.parametrize("face", FACES)
async def test_a_result_that_cannot_be_paid_is_not_given_to_the_model(place: Place, face: Face):
    answer = await poor(place, face, tool_reply(LARGE), text_reply("I cannot say all of it."))
    assert set(answer.texts.values()) == {"I cannot say all of it."}
    assert answer.error is None
    row = right(place, answer)
    assert (row["state"], row["stop_reason"]) == ("done", "length")
    last = place.world.upstream.exchanges[-1].json
    assert "not enough credits" in last["messages"][-1]["content"]
    assert "tools" not in last
    kept = (await place.tools(answer))[-1]
    assert (kept["success"], kept["responseLength"] > 90_000) == (True, True)
    if face in (Face.REST, Face.SSE):
        assert answer.reply["truncated"] is True
    if face is Face.OPENAI:
        assert answer.frames[-2]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("face", FACES)
async def test_when_no_round_can_be_paid_the_person_is_told(place: Place, face: Face):
    """The first round used up what there was, and gave nothing but a call."""
    asks = tool_reply(SUM).steps[:-3]
    dear = Reply([*asks, chunk(finish="tool_calls"), usage_chunk(19_000, 990), DONE])
    answer = await poor(place, face, dear)
    (told,) = set(answer.texts.values())
    assert "not enough credits" in told
    assert right(place, answer)["credits"] == LEFT
    record = await place.world.record(answer.turn_id)
    assert (record["out"]["output"], record["tools"][-1]["response"]) == (told, "42")
    assert len(place.world.upstream.exchanges) == 1


async def test_text_that_is_there_stays_as_it_is(place: Place):
    asks = tool_reply(SUM, text="Let me see.").steps[:-3]
    answer = await poor(place, Face.REST, Reply([*asks, chunk(finish="tool_calls"), usage_chunk(19_000, 990), DONE]))
    assert (answer.json["outputs"], answer.json["truncated"]) == (["Let me see."], True)
    right(place, answer)


async def test_a_model_that_goes_on_calling_is_ended(place: Place):
    """It was told to answer without tools, and calls one again."""
    answer = await poor(place, Face.REST, *[tool_reply(LARGE, text=f"Round {number}. ") for number in range(8)])
    assert answer.json["truncated"] is True
    assert len(place.world.upstream.exchanges) == 2
    right(place, answer)
