"""Bodies that are wrong, huge, broken or endless: refused on every face, before anything is done for them."""

import asyncio
import contextlib
import io
import json
from time import monotonic
from typing import Any

import pytest

from tests.faces import FACES, PATHS, Answer, Face, read
from tests.faults.conftest import nothing_runs
from tests.faults.raw import WAIT_S, connected, head_of
from tests.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
BODY_S = 2
SETTINGS = {"body_timeout_s": BODY_S}

ASKING = (Face.REST, Face.SSE)
MB = 1024 * 1024
PIECE = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


def question(**args: Any) -> dict[str, Any]:
    return {"inputs": ["What is a digital twin?"], "requestArgs": args}


INVALID: dict[str, Any] = {
    "list": [],
    "text": "hello",
    "null": None,
    "number": 1,
    "nothing": {},
    "inputs null": {"inputs": None},
    "inputs text": {"inputs": "hello"},
    "inputs object": {"inputs": {}},
    "inputs empty": {"inputs": []},
    "inputs numbers": {"inputs": [1]},
    "inputs nulls": {"inputs": [None]},
    "inputs lists": {"inputs": [["hello"]]},
    "inputs empty text": {"inputs": [""]},
    "inputs blank": {"inputs": [" \n\t\u2003"]},
    "inputs partly blank": {"inputs": ["hello", " "]},
    "inputs too many": {"inputs": ["hello"] * 100_000},
    "args list": {"inputs": ["hello"], "requestArgs": [1]},
    "args text": {"inputs": ["hello"], "requestArgs": "x"},
    "twin number": question(institutionPublicId=1),
    "assistant number": question(assistantId=7),
    "course text": question(selectedCourse={"course_id": "today"}),
    "course negative": question(selectedCourse={"course_id": -1}),
    "course fraction": question(selectedCourse={"course_id": 1.5}),
    "course huge": question(selectedCourse={"course_id": 2**70}),
    "course name list": question(selectedCourse={"course_name": []}),
    "course assistant text": question(selectedCourse={"assistant": "x"}),
    "switch text": question(ragOnly="yes"),
    "mode unknown": question(streamMode="backwards"),
}
INVALID_CHAT: dict[str, Any] = {
    "list": [],
    "null": None,
    "nothing": {},
    "no messages": {"model": "x"},
    "messages text": {"messages": "hello"},
    "messages empty": {"messages": []},
    "messages numbers": {"messages": [1]},
    "content number": {"messages": [{"role": "user", "content": 1}]},
    "content missing": {"messages": [{"role": "user"}]},
    "content blank": {"messages": [{"role": "user", "content": " "}]},
    "no user": {"messages": [{"role": "assistant", "content": "hello"}]},
    "model number": {"model": 7, "messages": [{"role": "user", "content": "hello"}]},
}
HELLO = b'{"inputs":["hello"],"messages":[{"role":"user","content":"hello"}]}'
UNREADABLE: dict[str, bytes] = {
    "no JSON": b"inputs=hello",
    "cut": HELLO[:-1],
    "two values": HELLO * 2,
    "bad UTF-8": HELLO.replace(b"hello", b"\xff\xfe"),
    "overlong UTF-8": HELLO.replace(b"hello", b"\xc0\xaf"),
    "surrogate in UTF-8": HELLO.replace(b"hello", b"\xed\xa0\x80"),
    "lone surrogate": HELLO.replace(b"hello", b"\\ud800"),
    "NUL": HELLO.replace(b"hello", b"a\\u0000b"),
    "raw NUL": HELLO.replace(b"hello", b"a\0b"),
    "NaN": b'{"inputs":["hello"],"requestArgs":NaN}',
    "UTF-16": HELLO.decode().encode("utf-16"),
    "deep lists": b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"inputs":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "deep and open": b"[" * 500_000,
}


def expect(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Check the one shape of a failure (contract section 3)."""
    assert answer.error, answer.body
    error = answer.error
    assert (answer.status, error["status"], error["code"]) == (status, status, code), answer.body[:500]
    assert set(error) == {"code", "status", "message", "type", "param", "details", "requestId"}
    assert answer.json["success"] is False
    assert answer.json["message"] == error["message"]
    assert answer.headers["x-request-id"] == error["requestId"]
    assert "x-turn-id" not in answer.headers
    return error


async def post(here: World, face: Face, data: Any, **headers: str) -> Answer:
    sent = {"Content-Type": "application/json", **here.server.auth(here.token), **headers}
    async with here.server.http.post(PATHS[face], data=data, headers=sent) as response:
        return await read(face, response)


@pytest.mark.parametrize("name", INVALID)
async def test_a_body_that_is_no_question(here: World, name: str) -> None:
    with nothing_runs(here):
        for face in ASKING:
            answer = await post(here, face, json.dumps(INVALID[name]).encode())
            error = expect(answer, 422, "validation_failed")
            assert error["details"]["fields"]
            assert all(set(entry) == {"field", "message"} for entry in error["details"]["fields"])


@pytest.mark.parametrize("name", INVALID_CHAT)
async def test_a_body_that_is_no_chat(here: World, name: str) -> None:
    with nothing_runs(here):
        answer = await post(here, Face.OPENAI, json.dumps(INVALID_CHAT[name]).encode())
        assert expect(answer, 422, "validation_failed")["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_body_that_cannot_be_read(here: World, name: str) -> None:
    with nothing_runs(here):
        for face in FACES:
            expect(await post(here, face, UNREADABLE[name]), 400, "invalid_json")


async def test_what_is_only_odd_is_answered(here: World) -> None:
    """Null and "" mean absent, unknown keys are tolerated, and text of any script is text."""
    odd: list[dict[str, Any]] = [
        {"inputs": ["hello"], "requestArgs": None},
        {"inputs": ["hello"], "requestArgs": ""},
        {"inputs": ["hello"], "unknown": {"a": [1]}, "requestArgs": {"what": "ever", "isChatCompletion": True}},
        question(institutionPublicId="", assistantId=None, selectedCourse=None, ragOnly="", streamMode=None),
        question(selectedCourse={"course_id": None, "course_name": "", "assistant": None}),
        question(selectedCourse={"course_id": 1750532703472.0}),
        {"inputs": ["\ud83d\ude00 مرحبا \u202e", "\U0010ffff"]},
        {"inputs": ["x" * 200_000]},
    ]
    for body in odd:
        for face in ASKING:
            answer = await post(here, face, json.dumps(body).encode())
            assert answer.status == 200, (body, answer.body[:500])
            assert set(answer.texts.values()) == {"Hello from upstream."}


@pytest.mark.parametrize("face", FACES)
async def test_ten_megabytes(here: World, face: Face) -> None:
    big = "x" * (10 * MB)
    body = {"inputs": [big], "messages": [{"role": "user", "content": big}]}
    with nothing_runs(here):
        error = expect(await post(here, face, io.BytesIO(json.dumps(body).encode())), 413, "payload_too_large")
        assert error["details"] == {"maxBytes": 8 * MB}  # questions may bring images


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_another_content_type(here: World, kind: str) -> None:
    with nothing_runs(here):
        for face in FACES:
            answer = await post(here, face, HELLO, **{"Content-Type": kind})
            expect(answer, 415, "unsupported_media_type")


async def test_a_packed_body(here: World) -> None:
    with nothing_runs(here):
        for face in FACES:
            answer = await post(here, face, HELLO, **{"Content-Encoding": "gzip"})
            expect(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("face", FACES)
async def test_no_body_at_all(here: World, face: Face) -> None:
    with nothing_runs(here):
        expect(await post(here, face, b""), 422, "validation_failed")


async def test_a_body_that_comes_a_byte_at_a_time(here: World) -> None:
    """Other people are answered meanwhile, and at the time limit it is over, on every face."""
    with nothing_runs(here):
        async with asyncio.TaskGroup() as group:
            dripping = [group.create_task(drip(here, face)) for face in FACES]
            assert (await here.get("/api/ai/turns"))[0] == 200
    for task in dripping:
        status, body = task.result()
        assert (status, body["error"]["code"]) == (408, "request_timeout")


async def drip(here: World, face: Face) -> tuple[int, dict[str, Any]]:
    """Send a byte, and another, until shortly before the time limit, then wait for the answer and the close.

    No longer: a byte that meets a closed connection makes the system forget the answer that came before.
    """
    async with connected(here.server) as client, asyncio.TaskGroup() as group:
        await client.send(head_of(face, here.token) + b"Content-Length: 1000\r\n\r\n")
        answering = group.create_task(client.whole())
        began = monotonic()
        while monotonic() < began + BODY_S * 0.7:
            await client.send(b" ")
            await asyncio.wait({answering}, timeout=0.03)
        await asyncio.wait({answering})
        assert monotonic() < began + BODY_S * 1.65, "bytes do not buy time"
        await client.closed()
    return answering.result()


@pytest.mark.parametrize("face", FACES)
async def test_a_chunked_body_that_is_too_large(here: World, face: Face) -> None:
    """It says no length; the client, which sends all before it reads, gets the answer."""
    with nothing_runs(here):
        async with connected(here.server) as client:
            await client.send(head_of(face, here.token) + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(3 * MB // len(PIECE)):
                await client.send(PIECE)
            await client.send(b"0\r\n\r\n")
            status, body = await client.whole()
            assert (status, body["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("face", FACES)
async def test_a_chunked_body_that_never_ends(here: World, face: Face) -> None:
    """The server reads on for a while, so that it can be heard, and then no more."""
    sent = 0
    with nothing_runs(here):
        async with connected(here.server) as client:
            await client.send(head_of(face, here.token) + b"Transfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(WAIT_S):
                    while sent < 50 * MB:
                        await client.send(PIECE)
                        sent += len(PIECE)
            assert sent < 40 * MB
        assert (await here.get("/api/ai/turns"))[0] == 200


@pytest.mark.parametrize("face", FACES)
async def test_a_client_that_leaves_within_its_body(here: World, face: Face) -> None:
    with nothing_runs(here):
        async with connected(here.server) as client:
            await client.send(head_of(face, here.token) + b"Content-Length: 1000\r\n\r\n{")
            client.reset()
        assert (await here.get("/api/ai/turns"))[0] == 200
