"""A turn over every library that a record can name: a tool-using turn at the twin's own server, with its key alone.

The environment holds keys of every vendor, and leads to another server: nothing of that may be seen.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes import chat_vendors, gemini
from tests.fakes.speakers import ANTHROPIC, BEDROCK, Speaker
from tests.fakes.upstream import Exchange, Reply, Upstream
from tests.fakes.wire import ANSWER, KEY, QUERY, Wire
from tests.own_models import Own, own_world
from tests.schemas import anthropic as anthropic_schema
from tests.schemas import bedrock as bedrock_schema
from tests.world import stored

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

ENVIRONMENT = "environment-key-9876543210"
AWS = {"AWS_ACCESS_KEY_ID": "AKIDENVIRONMENT", "AWS_SECRET_ACCESS_KEY": ENVIRONMENT}


@dataclass
class Library:
    """`client_library`, the vendor's model, answers of two rounds, who judges a request, and how the key goes along."""

    name: str
    model: str
    replies: Callable[[], tuple[Reply, Reply]]
    check: Callable[[Exchange], Any]
    key: tuple[str, str]
    path: str = "/v1"


def wire(name: str, spoken: Wire, path: str = "/v1", header: str = "authorization", word: str = "Bearer ") -> Library:
    replies = lambda: (spoken.asks(), spoken.answers())  # noqa: E731 -- shorter than its name
    return Library(name, spoken.model, replies, spoken.check, (header, word + KEY), path)


def speaker(name: str, spoken: Speaker, check: Callable[[bytes], Any], header: str, word: str) -> Library:
    def replies() -> tuple[Reply, Reply]:
        return spoken.tool_reply("Well.", "Let me look.", "search_uploads", QUERY), spoken.text_reply(ANSWER)

    return Library(name, spoken.model, replies, lambda exchange: check(exchange.body), (header, word + KEY), "")


LIBRARIES = [
    wire("google_genai_cli", gemini.WIRE, "", "x-goog-api-key", ""),
    wire("mistral_cli", chat_vendors.MISTRAL),
    wire("xai_cli", chat_vendors.XAI),
    speaker("anthropic_cli", ANTHROPIC, anthropic_schema.check, "x-api-key", ""),
    speaker("bedrock_cli", BEDROCK, bedrock_schema.check, "authorization", "Bearer "),
]


@dataclass
class Scene:
    own: Own
    trap: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Scene]:
    async with AsyncExitStack() as stack:
        patch = pytest.MonkeyPatch()
        stack.callback(patch.undo)
        for name, value in AWS.items():
            patch.setenv(name, value)
        trap = await stack.enter_async_context(Upstream())
        base = trap.base_url.removesuffix("/v1")
        settings = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": base, **AWS}
        for vendor in ("ANTHROPIC", "GEMINI", "XAI", "MISTRAL"):
            settings |= {f"{vendor}_API_KEY": ENVIRONMENT, f"{vendor}_BASE_URL": base}
        folder = tmp_path_factory.mktemp("own-wires")
        yield Scene(await stack.enter_async_context(own_world(folder, **settings)), trap)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
async def test_a_tool_using_turn_over_a_record_of_each_library(scene: Scene, library: Library) -> None:
    own, twin = scene.own, await scene.own.twin()
    own.upstream.exchanges.clear()
    made = await own.make(
        name="ours",
        modelId=library.model,
        client_library=library.name,
        api_url=own.upstream.base_url.removesuffix("/v1") + library.path,
        api_key=KEY,
        max_output_tokens=None,
    )
    await own.choose("ours", twin)
    own.upstream.script(*library.replies())
    answer = await own.ask()
    assert answer.status == 200, answer.json
    assert answer.reply["model"] == "ours"
    (said,) = set(answer.texts.values())
    assert said.endswith(ANSWER)
    requests = own.upstream.exchanges
    assert len(requests) == 2
    header, key = library.key
    for exchange in requests:
        library.check(exchange)
        assert exchange.headers[header] == key
        assert ENVIRONMENT not in f"{exchange.headers} {exchange.path} {exchange.body}"
        assert "AKIDENVIRONMENT" not in str(exchange.headers)
    assert '"input":60' in stored(own.here.database, answer.turn_id)["price"]
    assert (scene.trap.exchanges, own.here.upstream.exchanges) == ([], [])
    await own.choose("", twin)
    assert (await own.call("DELETE", f"/api/admin/aimodel/{made}"))[0] == 200


async def test_bedrock_without_a_key_is_the_servers_at_the_environments_address(scene: Scene) -> None:
    own, twin = scene.own, await scene.own.twin()
    own.upstream.exchanges.clear()
    keyless: dict[str, Any] = {"client_library": "bedrock_cli", "api_key": None, "api_url": None}
    made = await own.make(name="lent", modelId=BEDROCK.model, max_output_tokens=None, **keyless)
    await own.choose("lent", twin)
    scene.trap.script(BEDROCK.text_reply(ANSWER))
    answer = await own.ask()
    assert set(answer.texts.values()) == {ANSWER}
    (asked,) = scene.trap.exchanges
    assert "AWS4-HMAC-SHA256" in asked.headers["authorization"]
    assert own.upstream.exchanges == []
    assert '"input":100' in stored(own.here.database, answer.turn_id)["price"]
    status, refused = await own.call("PUT", f"/api/admin/aimodel/{made}", {"default_headers": {"X-Team": "a"}})
    assert (status, refused["error"]["param"]) == (422, "default_headers")
    await own.choose("", twin)
    assert (await own.call("DELETE", f"/api/admin/aimodel/{made}"))[0] == 200
