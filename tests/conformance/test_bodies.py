"""Whatever a body holds, the streaming faces answer it or refuse it with a code: never a 500, never a broken stream."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.conformance.chat_readers import Call
from tests.conformance.stage import CHAT_PATH, SSE_PATH, Stage
from twinspeak.transports.question import CourseAssistant, RequestArgs, SelectedCourse

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, width=32)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields, with anything in them."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, ANYTHING))


PART = some("type", "text", "image_url") | st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=5)})
MESSAGE = st.fixed_dictionaries(
    {"content": st.text(max_size=9) | st.lists(PART, max_size=3) | ANYTHING},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool", "developer", "", None]) | ANYTHING,
        "tool_calls": ANYTHING,
        "name": ANYTHING,
    },
)
CHAT = st.tuples(
    st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=4) | ANYTHING}),
    some(
        "model", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens", "stop", "n", "tools"
    ),
).map(lambda parts: {**parts[0], **parts[1]})
COURSE = some("course_id", "course_name", "assistant")
ARGS = st.tuples(
    some(*(field.alias or name for name, field in RequestArgs.model_fields.items() if name != "resumable")),
    st.fixed_dictionaries({}, optional={"selectedCourse": COURSE | ANYTHING}),
).map(lambda parts: {**parts[0], **parts[1]})
QUESTION = st.fixed_dictionaries(
    {"inputs": st.lists(st.text(max_size=9), min_size=1, max_size=3) | ANYTHING},
    optional={"requestArgs": ARGS | ANYTHING},
)


async def status_of(stage: Stage, path: str, body: Any) -> int:
    """Ask; check that the reply is whole, or a coded refusal; return its status."""
    async with stage.server.http.post(path, data=json.dumps(body).encode(), headers=stage.headers) as answer:
        text = await answer.text()
    if answer.status != 200:
        assert json.loads(text)["error"]["status"] == answer.status
    elif answer.content_type == "text/event-stream":
        assert text.endswith('data: {"type":"done"}\n\n' if path == SSE_PATH else "data: [DONE]\n\n")
        assert '"complete"' in text or '"finish_reason":"stop"' in text
    return answer.status


@given(body=CHAT)
@pytest.mark.parametrize("compat", ["as the seeds", "compatible"])
async def test_any_chat_completion(body: dict[str, Any], compat: str, stage: Stage):
    await stage.set_twin(chat_completion_openai_compat=compat == "compatible")
    assert await status_of(stage, CHAT_PATH, body) in {200, 400, 422}


@given(body=QUESTION)
async def test_any_question(body: dict[str, Any], stage: Stage):
    assert await status_of(stage, SSE_PATH, body) in {200, 400, 403, 404, 422}


def every_field(value: Any) -> dict[str, Any]:
    """The context of a question with `value` for every field that there is."""

    def named(model: type[BaseModel]) -> dict[str, Any]:
        return {field.alias or name: value for name, field in model.model_fields.items()}

    course = {**named(SelectedCourse), "assistant": named(CourseAssistant)}
    return {**named(RequestArgs), "selectedCourse": course}


@pytest.mark.parametrize("absent", [None, ""])
async def test_null_and_nothing_mean_absent(absent: str | None, stage: Stage):
    """Contract section 4; clients send the whole form, filled in or not."""
    assert await status_of(stage, SSE_PATH, {"inputs": ["Hi"], "requestArgs": every_field(absent)}) == 200
    for name in every_field(absent):
        assert await status_of(stage, SSE_PATH, {"inputs": ["Hi"], "requestArgs": {name: absent}}) == 200
    assert await status_of(stage, SSE_PATH, {"inputs": ["Hi"], "requestArgs": absent}) == 200


async def test_a_model_name_is_not_a_megabyte(stage: Stage):
    """It is echoed twice in every chunk."""
    assert await status_of(stage, CHAT_PATH, Call({"model": "m" * 200}).sent()) == 200
    assert await status_of(stage, CHAT_PATH, Call({"model": "m" * 100_000}).sent()) == 422
