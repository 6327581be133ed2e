"""POST /api/ai/estimate says what the turn would hold, and holds nothing."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.faces import Face, body_of
from tests.live import EMAIL
from tests.world import World, all_turns, world
from twinspeak.domain.institution import Institution
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, users

pytestmark = pytest.mark.usefixtures("database")
PATH = "/api/ai/estimate"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[World]:
    async with world(tmp_path, credits=0) as made:
        yield made


async def test_an_estimate_bounds_what_the_question_costs(here: World):
    status, told = await here.post(PATH, body_of(Face.REST))
    assert status == 200
    assert told["available"] == 50
    assert told["payer"] == "institution"
    assert told["enough"] is True
    assert told["promptTokens"] > 0
    assert told["creditsPer10kTokens"]["input"] > 0
    assert all_turns(here.database) == []
    assert here.upstream.exchanges == []
    answer = await here.ask(Face.REST)
    assert answer.reply["model"] == told["model"]
    assert 0 < answer.reply["credits"] <= told["credits"]
    body = (await here.upstream.exchange()).json
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    assert told["outputLimit"] == limit or limit is None


async def test_the_output_limit_shrinks_with_what_is_there(here: World):
    _, rich = await here.post(PATH, body_of(Face.REST))
    await here.award(EMAIL, -48)
    _, poor = await here.post(PATH, body_of(Face.REST))
    assert poor["outputLimit"] < rich["outputLimit"]
    assert poor["credits"] == rich["credits"] > poor["available"] == 2
    await here.award(EMAIL, -2)
    status, broke = await here.post(PATH, body_of(Face.REST))
    assert (status, broke["enough"], broke["outputLimit"]) == (200, False, 0)
    assert (await here.ask(Face.REST)).status == 402


async def test_what_may_not_be_asked_has_no_estimate(here: World):
    stranger = await here.stranger()
    public_id = (await here.server.ground.db.read(_sample)).public_id
    body = body_of(Face.REST, institutionPublicId=public_id)
    assert (await here.post(PATH, body, stranger))[0] == 403
    assert (await here.post(PATH, {"inputs": []}))[0] == 422


async def test_passages_only_cost_nothing(here: World):
    _, told = await here.post(PATH, body_of(Face.REST, ragOnly=True))
    assert (told["credits"], told["enough"]) == (0, True)


def _sample(tx: Tx) -> Institution:
    user = users.by_email(tx, EMAIL)
    assert user is not None
    twin = institutions.by_id(tx, user.active_institution_id or "")
    assert twin is not None
    return twin
