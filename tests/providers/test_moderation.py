"""OpenAI's moderation endpoint, from a server that answers as it does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from twinspeak.domain.errors import CodedError
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.access import Access
from twinspeak.providers.moderation import MODEL, OpenAIJudge
from twinspeak.providers.vendors import moderation_endpoint


class Vendor:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.status = 200
        self.body: bytes | None = None
        self.bad = "bad"

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked)
        self.keys.append(request.headers["Authorization"])
        results = [
            {
                "flagged": self.bad in text,
                "categories": {"hate": self.bad in text, "violence": False, "illicit": None},
                "category_scores": {"hate": 0.9},
            }
            for text in asked["input"]
        ]
        body = self.body or json.dumps({"id": "modr-1", "model": MODEL, "results": results}).encode()
        return web.Response(status=self.status, body=body, content_type="application/json")


@pytest.fixture
async def vendor() -> AsyncIterator[tuple[Vendor, OpenAIJudge]]:
    made = Vendor()
    app = web.Application()
    app.router.add_post("/v1/moderations", made.answer)
    server = TestServer(app)
    await server.start_server()
    client = TrustedClient.open()
    access = Access(api_key="k", base_url=str(server.make_url("/v1")))
    yield made, OpenAIJudge(client, moderation_endpoint(access))
    await client.close()
    await server.close()


async def test_categories_that_are_flagged_are_told(vendor: tuple[Vendor, OpenAIJudge]):
    made, judge = vendor
    assert await judge.judge("good") == ()
    assert await judge.judge("a bad word") == ("hate",)
    assert made.asked[0] == {"model": MODEL, "input": ["good"]}
    assert made.keys[0] == "Bearer k"


async def test_long_texts_go_in_pieces_and_nothing_is_left_out(vendor: tuple[Vendor, OpenAIJudge]):
    made, judge = vendor
    assert await judge.judge("x" * 199_990 + "bad") == ("hate",)
    assert "".join(piece for asked in made.asked for piece in asked["input"]).endswith("bad")
    assert await judge.judge("lone \ud800 surrogate") == ()


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (429, b"{}"), (200, b"no json"), (200, b'{"results": 7}'), (401, b"")]
)
async def test_what_is_no_judgement_is_an_error(vendor: tuple[Vendor, OpenAIJudge], status: int, body: bytes):
    made, judge = vendor
    made.status, made.body = status, body or b"{}"
    with pytest.raises(CodedError):
        await judge.judge("text")
