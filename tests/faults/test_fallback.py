"""A twin whose admin chose another model for when the first one does not answer, on every face."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from tests.faces import FACES, Answer, Face
from tests.fakes.upstream import CUT, Reply, error_reply, text_steps
from tests.world import World, charges, stored
from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import institutions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


SETTINGS: dict[str, Any] = {"provider_attempts": 1}


@pytest.fixture(autouse=True)
async def chosen(here: World) -> None:
    def choose(tx: Tx) -> None:
        tx.run(update(institutions).values(fallback_models=json.dumps(["no-such/model", "local"])))

    await here.server.ground.db.write(choose)


def model_of(answer: Answer) -> Any:
    return answer.json["model"] if answer.face is Face.REST else answer.kind("complete")[0]["model"]


@pytest.mark.parametrize("face", FACES)
async def test_the_other_model_answers_and_is_named_and_priced(here: World, face: Face):
    here.upstream.default = lambda _: error_reply(503, "down")
    answer: Answer = await here.ask(face)
    assert (answer.status, answer.error) == (200, None)
    if face is not Face.OPENAI:
        assert model_of(answer) == "local"
    row = stored(here.database, answer.turn_id)
    assert (row["state"], row["model"], row["provider"], row["credits"]) == ("done", "local", "local", 0)
    assert charges(here.database, answer.turn_id) == []
    assert set(answer.texts.values()) == {row["output"]}


async def test_not_after_the_first_word(here: World):
    here.upstream.default = lambda _: Reply([*text_steps("Half"), CUT])
    answer: Answer = await here.ask(Face.SSE)
    assert answer.error
    assert answer.error["code"] == "provider_failed"
    assert stored(here.database, answer.turn_id)["model"] != "local"
