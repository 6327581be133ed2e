"""A twin's own embedding model: asked with its key, in parts that it takes, patiently and not for ever, and judged."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from twinspeak.domain.ai_models import EMBEDDINGS, AiModel, OwnSecrets
from twinspeak.domain.errors import ProviderFailed
from twinspeak.egress.client import GuardedClient
from twinspeak.egress.guard import AllowList, Guard
from twinspeak.providers.embeddings import ATTEMPTS, OwnEmbedder

KEY = "sk-of-the-twin-0123456789"


@dataclass
class Server:
    """Makes a vector of the lengths of a text; `answer` may say something else, `most` texts at once are taken."""

    most: int = 1_000
    longest: int = 1_000_000
    port: int = 0
    seen: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    answer: Callable[[list[str]], Any] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.seen.append((dict(request.headers), body))
        texts = body["input"]
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return web.json_response({"error": {"message": f"no, {KEY}"}}, status=status, headers=headers)
        if len(texts) > self.most or any(len(text) > self.longest for text in texts):
            return web.json_response({"error": {"message": "batch size is invalid"}}, status=400)
        if self.answer is not None:
            return web.json_response(self.answer(texts))
        rows = [
            {"object": "embedding", "index": at, "embedding": [3.0, float(len(text))]} for at, text in enumerate(texts)
        ]
        return web.json_response({"object": "list", "data": rows[::-1], "usage": {"total_tokens": 1}})


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[OwnEmbedder]:
    app = web.Application(client_max_size=50_000_000)
    app.router.add_post("/v1/embeddings", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    client = GuardedClient.guarded(Guard(AllowList((f"127.0.0.1:{server.port}",)), schemes=("https",), ports=None))
    record = AiModel(
        id="a" * 24,
        institution_id="b" * 24,
        name="ours",
        wire_name="text-embedding-3-small",
        model_use=EMBEDDINGS,
        api_url=f"http://127.0.0.1:{server.port}/v1",
    )
    try:
        yield OwnEmbedder(client, record, OwnSecrets(api_key=KEY, headers={"x-team": "blue"}))
    finally:
        await client.close()
        await runner.cleanup()


async def test_texts_become_unit_vectors_in_their_order() -> None:
    server = Server()
    async with serving(server) as embedder:
        found = await embedder.embed(["abcd", "", "\ud800"])
    assert (embedder.name, embedder.provider) == ("text-embedding-3-small", "openai_cli")
    assert np.allclose(np.frombuffer(found[0], "<f4"), [0.6, 0.8])
    assert [len(one) for one in found] == [8, 8, 8]
    ((headers, body),) = server.seen
    assert (headers["Authorization"], headers["x-team"]) == (f"Bearer {KEY}", "blue")
    assert body == {"model": "text-embedding-3-small", "input": ["abcd", "-", "?"]}


async def test_a_server_gets_as_much_as_it_takes() -> None:
    server = Server(most=10)
    async with serving(server) as embedder:
        found = await embedder.embed(["x" * (1 + place) for place in range(40)])
    taken = [len(body["input"]) for _, body in server.seen]
    assert taken == [32, 16, 8, 8, 16, 8, 8, 8]
    lengths = [round(float(one[1] / one[0] * 3)) for one in (np.frombuffer(row, "<f4") for row in found)]
    assert lengths == list(range(1, 41))


async def test_a_text_that_is_too_long_is_cut() -> None:
    server = Server(longest=3_000)
    async with serving(server) as embedder:
        await embedder.embed(["x" * 8_000])
    assert [len(body["input"][0]) for _, body in server.seen] == [8_000, 4_000, 2_000]


async def test_what_may_pass_is_waited_for_a_few_times() -> None:
    at_once = {"Retry-After": "0"}
    server = Server(refusals=[(503, at_once), (429, at_once)])
    async with serving(server) as embedder:
        assert len(await embedder.embed(["a"])) == 1
        assert len(server.seen) == ATTEMPTS
        server.refusals = [(503, at_once)] * 10
        with pytest.raises(ProviderFailed):
            await embedder.embed(["a"])
    assert len(server.seen) == 2 * ATTEMPTS


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (404, 1), (400, 6)])
async def test_what_does_not_pass_is_told(status: int, asked: int) -> None:
    server = Server(refusals=[(status, {})] * 50)
    async with serving(server) as embedder:
        with pytest.raises(ProviderFailed) as told:
            await embedder.embed(["x" * 100] * 32)
    assert len(server.seen) == asked
    assert KEY not in told.value.message + str(told.value.details)


@pytest.mark.parametrize(
    "answer",
    [
        lambda texts: {"data": []},
        lambda texts: {"data": [{"index": 0, "embedding": [1.0]}] * 2},
        lambda texts: {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
        lambda texts: {"data": [{"index": at, "embedding": []} for at in range(2)]},
        lambda texts: {"data": [{"index": at, "embedding": [1.0] * 9_000} for at in range(2)]},
        lambda texts: {"data": [{"index": at, "embedding": ["x"]} for at in range(2)]},
        lambda texts: {"data": [{"index": at, "embedding": [1e999]} for at in range(2)]},
        lambda texts: [],
    ],
)
async def test_an_answer_that_is_none(answer: Callable[[list[str]], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinspeak.providers.embeddings.ATTEMPTS", 1)
    async with serving(Server(answer=answer)) as embedder:
        with pytest.raises(ProviderFailed):
            await embedder.embed(["a", "b"])


async def test_an_address_inside_is_not_asked() -> None:
    client = GuardedClient.guarded(Guard(AllowList(()), schemes=("https",), ports=None))
    record = AiModel(id="a" * 24, institution_id="b" * 24, name="x", api_url="https://127.0.0.1/v1")
    try:
        with pytest.raises(ProviderFailed):
            await OwnEmbedder(client, record, OwnSecrets(api_key=KEY)).embed(["a"])
    finally:
        await client.close()
