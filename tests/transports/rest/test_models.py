"""The list of models, as our clients and as OpenAI's read it."""

import openai

from tests.transports.http.harness import World, served
from tests.transports.rest.conftest import refusal
from twinspeak.domain.caller import Caller
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec


class TwoModels:
    default_id = "local"

    async def usable(self, caller: Caller) -> list[ModelSpec]:
        return [
            ModelSpec("gpt-x", "openai", "gpt-x", "GPT X", 400_000, 128_000, Price(), thinks=True),
            ModelSpec("local", "local", "local", "Local", 8_000, 2_000, Price(0, 0, 0), takes_tools=False),
        ]


async def test_models_are_listed_with_their_limits_and_prices():
    async with served(World(models=TwoModels())) as client:
        assert refusal(await client.get("/api/ai/models")) == (401, "authentication_required")
        body = (await client.get("/api/ai/models", headers={"x-access-token": "ada-token"})).json()
    assert (body["success"], body["object"]) == (True, "list")
    gpt, local = body["data"]
    assert (gpt["id"], gpt["owned_by"], gpt["contextWindow"], gpt["maxOutput"]) == ("gpt-x", "openai", 400_000, 128_000)
    assert gpt["creditsPer10kTokens"] == {"input": 1.0, "cached": 0.5, "completion": 1.0}
    assert (gpt["default"], gpt["tools"], gpt["thinking"]) == (False, True, True)
    assert (local["default"], local["tools"], local["thinking"]) == (True, False, False)
    assert set(local["creditsPer10kTokens"].values()) == {0.0}


async def test_the_official_openai_client_reads_the_list():
    async with (
        served(World(models=TwoModels())) as client,
        openai.AsyncOpenAI(
            base_url=f"{client.base_url}/api/ai", api_key="ada-token", _strict_response_validation=True
        ) as official,
    ):
        models = await official.models.list()
    assert [(model.id, model.owned_by) for model in models.data] == [("gpt-x", "openai"), ("local", "local")]
