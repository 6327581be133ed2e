"""The fake provider: OpenAI's wire, every knob, and a record that a cancel can be timed with."""

import json
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.answers import Answer, text_of
from bench.stage import Stage


@contextmanager
def asking(stage: Stage, answer: Answer, *, tools: bool = False) -> Generator[socket.socket]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Hello {answer.spell()}"}]
    if tools:
        messages.append({"role": "tool", "tool_call_id": "call_bench", "content": "found"})
    body = json.dumps({"model": "m", "messages": messages, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(stage.upstream_url.rpartition(":")[2])), timeout=5) as sock:
        sock.sendall(head.encode() + body)
        yield sock


def frames(stage: Stage, answer: Answer, **how: bool) -> list[Any]:
    """Return the decoded events of a whole answer."""
    with asking(stage, answer, **how) as sock:
        received = b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += sock.recv(65_536)
    _, _, body = received.partition(b"\r\n\r\n")
    found: list[Any] = []
    for line in body.split(b"\r\n"):
        if line.startswith(b"data: "):
            data = line.removeprefix(b"data: ").strip()
            found.append(data.decode() if data == b"[DONE]" else json.loads(data))
    return found


def content(events: list[Any], name: str = "content") -> str:
    deltas = [choice["delta"] for event in events if isinstance(event, dict) for choice in event.get("choices", ())]
    return "".join(delta.get(name) or "" for delta in deltas)


def seen(stage: Stage, tag: str) -> dict[str, Any]:
    """Wait for the record of an exchange that is over."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = [
            exchange
            for exchange in stage.exchanges()["exchanges"]
            if exchange["tag"] == tag and (exchange["complete"] or exchange["closed"])
        ]
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"{tag} was never recorded")


def test_an_answer_with_thinking_and_usage(stage: Stage):
    events = frames(stage, Answer(words=5, interval=1, thinking=3))
    assert content(events) == text_of(5)
    assert content(events, "reasoning_content") == "t0000 t0001 t0002 "
    assert events[-1] == "[DONE]"
    assert events[-2]["usage"]["completion_tokens"] == 8
    assert events[-3]["choices"][0]["finish_reason"] == "stop"


def test_a_tool_is_asked_for_once(stage: Stage):
    answer = Answer(words=2, interval=1, tool=1)
    asked = frames(stage, answer)
    calls = [event["choices"][0]["delta"]["tool_calls"][0] for event in asked[:-3]]
    assert calls[0]["function"]["name"] == "search_uploads"
    assert "query" in json.loads("".join(call["function"]["arguments"] for call in calls))
    assert asked[-3]["choices"][0]["finish_reason"] == "tool_calls"
    assert content(frames(stage, answer, tools=True)) == text_of(2)


def test_a_failure_comes_in_the_middle(stage: Stage):
    events = frames(stage, Answer(words=10, interval=1, fail=4))
    assert content(events) == text_of(4)
    assert events[-1]["error"]["type"] == "server_error"


@pytest.mark.parametrize("words", [0, 1, 2])
def test_short_answers_end_too(stage: Stage, words: int):
    events = frames(stage, Answer(words=words, interval=1))
    assert (content(events), events[-1]) == (text_of(words), "[DONE]")


def test_words_keep_their_time(stage: Stage):
    began = time.monotonic()
    frames(stage, Answer(words=20, interval=10, tag="kept"))
    assert 0.18 < time.monotonic() - began < 2
    record = seen(stage, "kept")
    assert record["complete"]
    assert record["closed"] is None
    assert record["paused_s"] == 0


def test_a_stall_says_nothing_more_and_a_hang_up_is_timed(stage: Stage):
    with asking(stage, Answer(words=10, interval=1, stall=3, tag="gone")) as sock:
        received = b""
        while b"w0002 " not in received:
            received += sock.recv(65_536)
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(65_536)
        closing = time.monotonic()
    record = seen(stage, "gone")
    assert 0 <= record["closed"] - closing < 1
    assert (record["complete"], record["sent"]) == (False, 3)


def test_a_reader_that_stops_is_waited_for(stage: Stage):
    with asking(stage, Answer(words=9_000, interval=0, tag="slow")) as sock:
        time.sleep(0.3)
        while not sock.recv(1 << 20).endswith(b"0\r\n\r\n"):
            pass
    assert seen(stage, "slow")["complete"]
