"""The body gate: what a stranger can send costs a bounded amount of memory, time and stack, and gets a coded answer."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.transports.http.harness import World, raw, served
from twinspeak.domain.errors import InvalidJson
from twinspeak.transports.http.body import MAX_DEPTH, parse, too_deep
from twinspeak.transports.http.routes import router
from twinspeak.transports.services import Edge

JSON = {"content-type": "application/json"}


class Note(BaseModel):
    text: str


class Desk:
    """A face with one route, which counts how often it was really reached."""

    def __init__(self) -> None:
        self.reached = 0
        self.routes: APIRouter = router("Test", public=True)
        self.routes.post("/note")(self.take)
        self.routes.post("/bare")(self.bare)

    async def take(self, note: Note) -> dict[str, Any]:
        self.reached += 1
        return {"text": note.text}

    async def bare(self, request: Request) -> dict[str, Any]:
        self.reached += 1
        return {"body": await request.json()}


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    world = World(edge=Edge(body_max_bytes=1_000_000, body_timeout_s=0.3))
    async with served(world, [desk.routes]) as client:
        yield client


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["success"] is False
    assert body["error"]["status"] == answer.status_code
    assert body["message"] == body["error"]["message"]
    return body["error"]["code"]


# -- what passes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/ld+json"]
)
async def test_json_arrives_whatever_its_media_type_is_called(client: httpx.AsyncClient, media_type: str):
    answer = await client.post("/note", content='{"text":"héé 🎉"}', headers={"content-type": media_type})
    assert (answer.status_code, answer.json()) == (200, {"text": "héé 🎉"})


async def test_a_byte_order_mark_is_no_part_of_the_text(client: httpx.AsyncClient):
    answer = await client.post("/note", content=b'\xef\xbb\xbf{"text":"x"}', headers=JSON)
    assert answer.json() == {"text": "x"}


async def test_a_route_without_a_body_needs_none(client: httpx.AsyncClient):
    assert (await client.post("/bare")).json() == {"body": None}
    assert (await client.post("/bare", content=b"", headers=JSON)).json() == {"body": None}


async def test_chunks_are_put_together(client: httpx.AsyncClient):
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"te', b'xt":', b'"\xf0\x9f', b'\x8e\x89"}'):
            yield piece

    assert (await client.post("/note", content=pieces(), headers=JSON)).json() == {"text": "🎉"}


# -- what does not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"   ", 400, "invalid_json"),
        (b'{"text":"\xff"}', 400, "invalid_json"),
        (b'{"text":"\\ud800"}', 400, "invalid_json"),
        (b'{"text":"a\\u0000b"}', 400, "invalid_json"),
        (b'{"text":NaN}', 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b'{"text":' + b"[" * 65 + b"]" * 65 + b"}", 400, "invalid_json"),
        (b'{"a":' * 300_00 + b"1" + b"}" * 300_00, 400, "invalid_json"),
        (b'"text"', 422, "validation_failed"),
        (b"[]", 422, "validation_failed"),
        (b"null", 422, "validation_failed"),
        (b'{"text":7}', 422, "validation_failed"),
        (b"{}", 422, "validation_failed"),
        (b"", 422, "validation_failed"),
        (b'{"text":"' + b"x" * 1_000_000 + b'"}', 413, "payload_too_large"),
    ],
)
async def test_a_bad_body_gets_its_code_and_reaches_nobody(
    client: httpx.AsyncClient, desk: Desk, body: bytes, status: int, code: str
):
    answer = await client.post("/note", content=body, headers=JSON)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert desk.reached == 0
    assert (await client.post("/note", json={"text": "still here"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/jsonx"},
        {},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_taken(client: httpx.AsyncClient, desk: Desk, headers: dict[str, str]):
    content = gzip.compress(b'{"text":"x"}') if "content-encoding" in headers else b'{"text":"x"}'
    answer = await client.post("/note", content=content, headers=headers)
    assert (answer.status_code, code_of(answer)) == (415, "unsupported_media_type")
    assert desk.reached == 0


async def test_ten_megabytes_are_refused_with_an_answer_the_client_can_read(client: httpx.AsyncClient):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65_536

    declared = await client.post("/note", content=b"x" * 10_485_760, headers=JSON)
    chunked = await client.post("/note", content=pieces(), headers=JSON)
    for answer in (declared, chunked):
        assert (answer.status_code, code_of(answer)) == (413, "payload_too_large")
        assert answer.json()["error"]["details"] == {"maxBytes": 1_000_000}


async def test_a_client_that_asks_before_it_sends_is_told_at_once(client: httpx.AsyncClient):
    answer = await raw(
        client,
        b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n"
        b"Expect: 100-continue\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_an_unbelievable_length_is_refused_without_reading(client: httpx.AsyncClient):
    answer = await raw(
        client,
        b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999999999999999\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_slow_body_is_given_up(client: httpx.AsyncClient, desk: Desk):
    answer = await raw(
        client, b'POST /note HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"te'
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["code"] == "request_timeout"
    assert desk.reached == 0


async def test_a_client_that_hangs_up_in_its_body_harms_nobody(client: httpx.AsyncClient, desk: Desk):
    head = b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    for _ in range(5):
        await raw(client, head + b'{"te', then_close=True)
    assert (await client.post("/note", json={"text": "fine"})).json() == {"text": "fine"}
    assert desk.reached == 1


async def test_many_slow_bodies_do_not_keep_others_waiting(client: httpx.AsyncClient):
    head = b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(raw(client, head))
        async with asyncio.timeout(2):
            assert (await client.post("/note", json={"text": "quick"})).status_code == 200


# -- the pure part ----------------------------------------------------------------------------------------------------

TEXTS = st.text(alphabet='[]{}"\\ab\n', max_size=20)
LEAVES = st.none() | st.integers(-5, 5) | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=60
)


@given(value=VALUES, wrap=st.integers(0, MAX_DEPTH + 20), spaces=st.booleans())
def test_depth_is_counted_to_the_level(value: Any, wrap: int, spaces: bool):  # noqa: FBT001 - hypothesis names it
    for _ in range(wrap):
        value = {"]]": value} if spaces else [value, "[["]
    assert too_deep(value) == (depth(value) > MAX_DEPTH)
    if depth(value) > MAX_DEPTH:
        with pytest.raises(InvalidJson):
            parse(json.dumps(value).encode())


def test_a_wide_body_is_no_deep_one():
    assert len(parse(b"[" + b"{}," * 19_998 + b"[]]")) == 19_999
    with pytest.raises(InvalidJson):
        parse(b"[" + b"{}," * 19_999 + b"[]]")


@pytest.mark.parametrize("piece", ["[", "{}", '"[', "\\[", '\\"{', '\\\\"["'])
def test_brackets_in_a_text_count_for_nothing(piece: str):
    text = piece * (40_000 // len(piece) * 10)
    assert parse(json.dumps({"inputs": [text]}).encode()) == {"inputs": [text]}


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(item) for item in value), default=0)
    return 0


@given(value=VALUES)
def test_what_is_within_the_bounds_is_read_as_any_json_reader_does(value: Any):
    raw_json = json.dumps(value).encode()
    if depth(value) <= MAX_DEPTH:
        assert parse(raw_json) == json.loads(raw_json) == orjson.loads(raw_json)


@given(raw_json=st.binary(max_size=400) | st.text(alphabet='[]{}"\\,:1', max_size=400).map(str.encode))
def test_any_bytes_are_a_value_or_one_kind_of_error(raw_json: bytes):
    with contextlib.suppress(InvalidJson):
        parse(raw_json)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "raw_json",
    [
        b"[" + b",".join([b"[" * 60 + b"]" * 60] * 8_000) + b"]",
        b"[" + b'"[",' * 200_000 + b"1",
        b"[" + b",".join([b"[" * 70 + b"]" * 70] * 7_000) + b"]",
        b"[" + b",".join([b"[" * 1_000 + b"]" * 1_000] * 500) + b"]",
        b"[" * 1_000_000,
        b"]" * 1_000_000,
        b"[]" * 500_000,
        b"[" * 500_000 + b"]" * 500_000,
        b"[" * 100 + b'"' + b'\\"' * 500_000,
        b"[" * 100 + b'"' + b"\\\\" * 500_000,
        b"[" * 100 + b'"' * 999_999,
        b'["' * 500_000,
    ],
)
def test_no_megabyte_takes_long_to_look_through(raw_json: bytes):
    with pytest.raises(InvalidJson):
        parse(raw_json)


def test_a_backslash_u_zero_that_is_text_is_let_through():
    assert parse(b'"\\\\u0000"') == "\\u0000"
