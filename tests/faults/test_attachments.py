"""Images and PDFs with a question, through every face: sent on as they came, or refused with a code and no charge."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faces import FACES, PATHS, Answer, Face, body_of, post, read
from tests.fakes.upstream import text_reply
from tests.faults.conftest import nothing_runs
from tests.world import World, charges
from twinspeak.domain.attachments import MAX_BYTES, MOST, Attachment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]
MODEL = "llama-3"
"""A model of a compatible server, of which nobody knows more than that it may see."""
SETTINGS: dict[str, Any] = {"default_model": MODEL, "question_max_bytes": 2_000_000 + MAX_BYTES * 4 // 3}

PNG = Attachment("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a.png")
PDF = Attachment("application/pdf", b"%PDF-1.7 " + bytes(range(256)), "a.pdf")
LARGE = Attachment("image/png", PNG.data + bytes(MAX_BYTES - len(PNG.data)))


def given(*urls: Any) -> dict[str, Any]:
    """The `attachments` of a question."""
    return {"attachments": [{"url": url, "name": "a"} for url in urls]}


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The coded error, which must be this one."""
    assert answer.error
    assert (answer.status, answer.error["code"]) == (status, code)
    return answer.error


@pytest.mark.parametrize("face", FACES)
async def test_an_image_is_sent_on_as_it_came(here: World, face: Face):
    here.upstream.default = lambda _: text_reply("A picture.")
    mislabelled = PNG.data_url.replace("image/png", "image/jpeg;charset=x")
    answer = await here.ask(face, "What is it?", **given(mislabelled, LARGE.data_url))
    assert set(answer.texts.values()) == {"A picture."}
    content = here.upstream.exchanges[-1].json["messages"][-1]["content"]
    assert content[0] == {"type": "image_url", "image_url": {"url": PNG.data_url}}
    assert content[1] == {"type": "image_url", "image_url": {"url": LARGE.data_url}}
    assert content[2] == {"type": "text", "text": "What is it?"}
    assert len(charges(here.database, answer.turn_id)) == 1


@pytest.mark.parametrize("face", FACES)
async def test_what_the_model_does_not_read_is_refused(here: World, face: Face):
    with nothing_runs(here):
        error = refused(await here.ask(face, **given(PNG.data_url, PDF.data_url)), 422, "attachment_unsupported")
    assert error["details"] == {"model": MODEL, "mediaType": "application/pdf"}


REFUSED: dict[str, list[Any]] = {
    "an address": ["https://example.org/a.png"],
    "an address inside": ["http://127.0.0.1/a.png"],
    "another scheme": ["ftp://example.org/a.png"],
    "no address": [""],
    "not base64": ["data:image/png;base64,@@@@"],
    "half of base64": ["data:image/png;base64,iVBORw0KGgoAAAANSUhEUg="],
    "not in base64": ["data:image/png,abc"],
    "a page": ["data:image/png;base64,PGh0bWw+"],
    "nothing": ["data:image/png;base64,"],
    "too many": [PNG.data_url] * (MOST + 1),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_file_is_refused(here: World, face: Face, name: str):
    with nothing_runs(here):
        error = refused(await here.ask(face, **given(*REFUSED[name])), 422, "validation_failed")
    assert error["param"] == ("messages" if face is Face.OPENAI else "requestArgs.attachments")


@pytest.mark.parametrize("face", FACES)
async def test_what_is_too_large_is_refused(here: World, face: Face):
    larger = Attachment("image/png", LARGE.data + b"x")
    with nothing_runs(here):
        refused(await here.ask(face, **given(larger.data_url)), 413, "payload_too_large")
        refused(await here.ask(face, **given(LARGE.data_url, LARGE.data_url)), 413, "payload_too_large")


@pytest.mark.parametrize("token", ["", "x", "x.y.z"])
async def test_a_large_body_is_not_read_for_strangers(here: World, token: str):
    body = body_of(Face.REST, **given(LARGE.data_url))
    headers = here.server.auth(token) if token else {}
    with nothing_runs(here):
        answer = await post(here.server, Face.REST, body, headers)
    refused(answer, 401, "invalid_token" if token else "authentication_required")


async def test_a_large_body_of_unknown_size_is_refused(here: World):
    """The right to send one is looked up before it is read, so its size must be known by then."""

    async def pieces() -> AsyncIterator[bytes]:
        yield json.dumps(body_of(Face.REST, **given(LARGE.data_url))).encode()

    headers = {**here.server.auth(here.token), "content-type": "application/json"}
    async with here.server.http.post(PATHS[Face.REST], data=pieces(), headers=headers) as response:
        refused(await read(Face.REST, response), 413, "payload_too_large")


@pytest.mark.parametrize("wrong", [5, "x", {}, [5], [{"url": 5}], [{"url": None}], [{}], [[PNG.data_url]]])
async def test_what_is_no_list_of_files_is_refused(here: World, wrong: Any):
    with nothing_runs(here):
        refused(await here.ask(Face.REST, attachments=wrong), 422, "validation_failed")


@pytest.mark.parametrize("part", [5, None, {"url": 5}, {}, {"file_id": 5}, {"file_data": 5}])
@pytest.mark.parametrize("kind", ["image_url", "file"])
async def test_what_is_no_part_with_a_file_is_refused(here: World, kind: str, part: Any):
    body = body_of(Face.OPENAI)
    body["messages"][0]["content"] = [{"type": "text", "text": "?"}, {"type": kind, kind: part}]
    with nothing_runs(here):
        answer = await post(here.server, Face.OPENAI, body, here.server.auth(here.token))
    refused(answer, 422, "validation_failed")


@pytest.mark.parametrize("none", [None, "", []])
async def test_none_is_none(here: World, none: Any):
    answer = await here.ask(Face.REST, attachments=none)
    assert answer.status == 200
    assert isinstance(here.upstream.exchanges[-1].json["messages"][-1]["content"], str)


async def test_a_search_without_a_model_does_not_mind(here: World):
    answer = await here.ask(Face.REST, "What is a digital twin?", **given(PDF.data_url), ragOnly=True)
    assert answer.status == 200


async def test_an_estimate_counts_them(here: World):
    async def tokens(**args: Any) -> int:
        status, body = await here.post("/api/ai/estimate", body_of(Face.REST, **args))
        assert status == 200
        return body["promptTokens"]

    assert await tokens(**given(PNG.data_url)) > await tokens() + 1_000


async def test_one_key_does_not_stand_for_other_files(here: World):
    async def asked(*urls: str) -> Answer:
        headers = {**here.server.auth(here.token), "idempotency-key": "files"}
        return await post(here.server, Face.REST, body_of(Face.REST, **given(*urls)), headers)

    first, again = await asked(PNG.data_url), await asked(PNG.data_url)
    assert first.turn_id == again.turn_id
    assert (await asked(PNG.data_url, PNG.data_url)).status == 409


async def test_they_are_let_go_with_the_turn(here: World):
    """A turn is kept for a minute after its end, for readers of its events; its files would be most of it."""
    answer = await here.ask(Face.REST, **given(PNG.data_url))
    turn = here.server.live.turns._ended[answer.turn_id]
    assert turn.plan
    assert (turn.ask.attachments, turn.plan.ask.attachments, turn._rounds) == ((), (), None)
