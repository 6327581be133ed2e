"""A twin with an embedding model of its own: found by sense, told when another made the vectors, and mended."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.vault.house import House, house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

MEANINGS = (("lion", "tiger", "feline"), ("heron", "owl", "bird"))


@dataclass
class Senses:
    """Serves vectors that tell cats from birds; of model `wide` they are longer and say so the other way round."""

    port: int = 0
    works: bool = True

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self.works:
            return web.json_response({"error": {"message": "no"}}, status=401)
        rows = [
            {"index": at, "embedding": self._vector(body["model"], text.lower())}
            for at, text in enumerate(body["input"])
        ]
        return web.json_response({"data": rows})

    def _vector(self, model: str, text: str) -> list[float]:
        found = [1.0 * any(word in text for word in words) for words in MEANINGS]
        return [0.0, 0.01, *found[::-1]] if model == "wide" else [*found, 0.01]


@asynccontextmanager
async def senses() -> AsyncGenerator[Senses]:
    made, app = Senses(), web.Application()
    app.router.add_post("/v1/embeddings", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.port = runner.addresses[0][1]
        yield made
    finally:
        await runner.cleanup()


Both = tuple[House, Senses]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Both]:
    async with senses() as made:
        folder = tmp_path_factory.mktemp("vault-embedding")
        async with house(folder, egress_allow=(f"127.0.0.1:{made.port}",)) as here:
            yield here, made


@pytest.fixture(autouse=True)
def unlimited(there: Both) -> None:
    there[0].org.unlimited()


async def bring_model(there: Both, name: str, **fields: Any) -> tuple[int, Any]:
    here, made = there
    record = {"name": name, "model_use": "embeddingsModel", "client_library": "openai_cli", "api_key": "a-key-0123"}
    record |= {"api_url": f"http://127.0.0.1:{made.port}/v1", **fields}
    return await here.call("admin", "POST", "/api/admin/aimodel", record)


async def found(here: House, who: str, query: str) -> dict[str, str]:
    """Return which documents a search finds, and how."""
    here.org.unlimited()
    _, body = await here.call(who, "POST", "/api/user/files/search-content", {"query": query, "minScore": 0})
    return {one["upload"]["originalname"]: one["source"] for one in body["results"]}


async def models(here: House, who: str, document: str) -> tuple[Any, Any, bool]:
    _, told = await here.call(who, "POST", "/api/user/embeddings", {"upload": document})
    return told["embeddingModel"], told["currentEmbeddingModel"], told["drifted"]


async def test_a_twins_vault_is_searched_by_its_own_model_and_drift_is_told_and_mended(there: Both) -> None:
    here, made = there
    oak = {"institution": here.org.ids["oak"]}
    before = await here.bring("admin", "before.md", b"A tiger walks.", **oak)
    assert await models(here, "member", before) == (None, None, False)
    assert (await bring_model(there, "narrow"))[0] == 200
    narrow = {"name": "narrow", "provider": "openai_cli"}
    lions = await here.bring("admin", "lions.md", b"The lion sleeps.", **oak)
    await here.bring("admin", "owls.md", b"The owl hoots.", **oak)
    own = await here.bring("member", "own.md", b"My lion at home.")
    assert await models(here, "member", lions) == (narrow, narrow, False)
    assert await models(here, "member", before) == (None, narrow, True)
    assert await models(here, "member", own) == (None, None, False)
    assert await found(here, "member", "feline") == {"lions.md": "rag"}
    assert await found(here, "member", "lion") == {"lions.md": "fused", "own.md": "lexical"}
    assert await found(here, "other", "feline") == {}
    answer = await here.ask("member", "Which feline is there?")
    assert [one["originalname"] for one in answer.json["sources"]] == ["lions.md"]

    assert (await bring_model(there, "wide"))[0] == 200
    wide = {"name": "wide", "provider": "openai_cli"}
    assert await models(here, "member", lions) == ({"name": "narrow", "provider": ""}, wide, True)
    assert await found(here, "member", "feline") == {}, "vectors of two models are never compared"
    assert await found(here, "member", "lion") == {"lions.md": "lexical", "own.md": "lexical"}
    for document in (lions, before):
        status, _ = await here.call("admin", "POST", f"/api/user/files/{document}/reprocess", {"mode": "embed"})
        assert status == 200
    await here.read()
    assert await models(here, "member", lions) == (wide, wide, False)
    assert await found(here, "member", "feline") == {"lions.md": "rag", "before.md": "rag"}
    chunks = await here.chunks("member", lions)
    assert [one["chunkText"] for one in chunks] == ["The lion sleeps."]

    made.works = False
    assert await found(here, "member", "feline") == {}
    assert await found(here, "member", "lion") == {"lions.md": "lexical", "own.md": "lexical"}
    made.works = True


async def test_only_wires_that_have_vectors_may_be_named(there: Both) -> None:
    status, body = await bring_model(there, "claude", client_library="anthropic_cli", api_url="")
    assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, "client_library")
