"""Refusals of the OpenAI-compatible face are OpenAI's own exceptions in OpenAI's own clients (contract section 3)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.chat_readers import CHAT_READERS, Call, ChatReader
from tests.conformance.node import Judge
from tests.conformance.stage import Stage, open_stage
from tests.fakes.upstream import error_reply, text_reply

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

ANY = "*"
"""OpenAI's clients have no class for this status."""

NOBODYS = "0" * 24
ELSEWHERE = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Refusal:
    """What is asked, and the class, status and code that the client must raise."""

    call: Call
    kind: str
    status: int
    code: str


def says(*messages: tuple[str, str]) -> Call:
    return Call({"messages": [{"role": role, "content": content} for role, content in messages]})


def headed(name: str, value: str) -> Call:
    return Call(headers={f"x-praxis-{name}": value})


REFUSALS = {
    "bad token": Refusal(Call(key="no-token"), "AuthenticationError", 401, "invalid_token"),
    "malformed id": Refusal(headed("assistant-id", "no id"), "BadRequestError", 400, "invalid_id"),
    "foreign twin": Refusal(headed("institution-public-id", ELSEWHERE), "PermissionDeniedError", 403, "not_a_member"),
    "unknown assistant": Refusal(headed("assistant-id", NOBODYS), "NotFoundError", 404, "not_found"),
    "no message": Refusal(says(), "UnprocessableEntityError", 422, "validation_failed"),
    "no question": Refusal(says(("system", "Hi")), "UnprocessableEntityError", 422, "validation_failed"),
    "last question without text": Refusal(
        says(("user", "First?"), ("assistant", "Yes."), ("user", " ")),
        "UnprocessableEntityError",
        422,
        "validation_failed",
    ),
    "too large": Refusal(says(("user", "x" * 8_500_000)), ANY, 413, "payload_too_large"),
}


@pytest.fixture(params=CHAT_READERS)
def reader(request: pytest.FixtureRequest) -> ChatReader:
    return CHAT_READERS[request.param]


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal(name: str, reader: ChatReader, stage: Stage, judge: Judge):
    refusal = REFUSALS[name]
    chat = await reader(stage, judge, refusal.call)
    assert chat.chunks == []
    assert chat.failed
    assert (chat.failed.status, chat.failed.code) == (refusal.status, refusal.code)
    assert refusal.kind in {chat.failed.kind, ANY}
    assert chat.failed.type
    assert chat.failed.message


async def test_a_twin_that_takes_no_chat_completions(reader: ChatReader, stage: Stage, judge: Judge):
    await stage.set_twin(chat_completion_enabled=False)
    try:
        chat = await reader(stage, judge, Call())
    finally:
        await stage.set_twin(chat_completion_enabled=True)
    assert chat.failed
    assert (chat.failed.kind, chat.failed.status) == ("PermissionDeniedError", 403)
    assert (chat.failed.code, chat.failed.type) == ("chat_completion_disabled", "permission_error")


async def test_a_provider_that_refuses_is_no_refusal_of_the_request(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(error_reply(400, "Your secret key sk-123 is too long."))
    chat = await reader(stage, judge, Call())
    assert chat.failed
    assert (chat.failed.kind, chat.failed.code) == ("APIError", "provider_failed")
    assert "sk-123" not in chat.failed.message


async def test_too_many_questions(judge: Judge, tmp_path: Path):
    async with open_stage(tmp_path, turns_per_minute_user=len(CHAT_READERS)) as stage:
        stage.upstream.default = lambda _: text_reply("Yes.")
        allowed = [await reader(stage, judge, Call()) for reader in CHAT_READERS.values()]
        refused = [await reader(stage, judge, Call()) for reader in CHAT_READERS.values()]
        async with stage.server.http.post("/api/ai/chat/completions", json=BODY, headers=stage.headers) as answer:
            assert int(answer.headers["retry-after"]) > 0
    assert [chat.failed for chat in allowed] == [None] * len(CHAT_READERS)
    for chat in refused:
        assert chat.failed
        assert (chat.failed.kind, chat.failed.status) == ("RateLimitError", 429)
        assert (chat.failed.code, chat.failed.type) == ("rate_limited", "rate_limit_error")


BODY: dict[str, Any] = Call().sent()
