"""`twinspeak chat` against a real server that plays streams, the good and the bad."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.cli.server import (
    CONNECTED,
    DONE,
    EMAIL,
    PASSWORD,
    TOKEN,
    FakeServer,
    answer,
    complete,
    deltas,
    failure,
    frame,
    serving,
)
from twinspeak.cli.chat import ClientSettings, run_chat
from twinspeak.cli.exits import CommandError, ExitCode
from twinspeak.cli.view import Output

Captured = pytest.CaptureFixture[str]


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with serving() as fake:
        yield fake


async def chat(
    server: FakeServer, question: str | None = "Why?", output: Output = Output.FULL, **settings: str
) -> ExitCode:
    """Run the command on a thread, as a process of its own would: it makes its own event loop."""
    values = {"url": server.url, "email": EMAIL, "password": PASSWORD, **settings}
    made = ClientSettings.model_validate(values)
    return await asyncio.to_thread(run_chat, question, made, output, password_on_stdin=False)


async def test_an_answer_streams_with_its_sources_and_its_price(server: FakeServer, capsys: Captured):
    sources = [
        {"number": 1, "originalname": "Handbook.md", "section": "Opening hours", "cited": True},
        {"number": 2, "originalname": "Other.md", "section": "", "cited": False},
    ]
    server.streams = [answer("At nine |[1].", sources=sources)]
    assert await chat(server, twin="f831501f-b645-481a-9cbb-331509aaf8c1") == ExitCode.OK
    shown = capsys.readouterr()
    assert shown.out == "At nine [1].\n\nSources\n[1] Handbook.md, Opening hours\n"
    assert "local · 42 tokens · 1 credit, 49 left · 1.2 s" in shown.err
    assert server.tokens == [TOKEN]
    (asked,) = server.questions
    assert asked["inputs"] == ["Why?"]
    assert asked["requestArgs"]["institutionPublicId"] == "f831501f-b645-481a-9cbb-331509aaf8c1"
    assert "selectedCourse" not in asked["requestArgs"]


async def test_reasoning_and_tools_are_shown_beside_the_answer(server: FakeServer, capsys: Captured):
    display = {"icon": "search", "label": "Searching documents"}
    server.streams = [
        [
            CONNECTED,
            frame("thinking", id="round-0", round=0, delta="Let me "),
            frame("thinking", id="round-0", round=0, delta="see."),
            frame("thinking", id="round-0", round=0, text="Let me see.", done=True, signature="zz"),
            frame("tool_call", call_id="c1", name="search_uploads", arguments={"query": "hours"}, displayInfo=display),
            frame("tool_progress", call_id="c1", displayInfo=display, progress=0.5),
            frame("tool_result", call_id="c1", name="search_uploads", response="x", responseDurationMs=7, success=True),
            frame("tool_call", call_id="c2", name="other", arguments=None, displayInfo=None),
            frame("tool_result", call_id="c2", name="other", response="No such\ntool.", success=False),
            *deltas("Nine."),
            complete("Nine."),
            DONE,
        ]
    ]
    assert await chat(server) == ExitCode.OK
    shown = capsys.readouterr()
    assert shown.out == "Nine.\n"
    assert shown.err.splitlines()[:6] == [
        "Let me see.",
        "→ Searching documents: hours",
        "  Searching documents: 50%",
        "✓ Searching documents (7 ms)",
        "→ other",
        "✗ other: No such tool.",
    ]


async def test_only_the_answer(server: FakeServer, capsys: Captured):
    server.streams = [answer("Nine |[1].", sources=[{"number": 1, "originalname": "H"}])]
    assert await chat(server, output=Output.ANSWER) == ExitCode.OK
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("Nine [1].\n", "")


async def test_events_as_lines_of_json(server: FakeServer, capsys: Captured):
    server.streams = [answer("a|b")]
    assert await chat(server, output=Output.JSON) == ExitCode.OK
    shown = capsys.readouterr()
    kinds = [json.loads(line)["type"] for line in shown.out.splitlines()]
    assert kinds == ["connected", "stream", "stream", "complete", "done"]
    assert shown.err == ""


async def test_any_pieces_any_newlines_comments_heartbeats_and_unknown_events(server: FakeServer, capsys: Captured):
    whole = b"".join(
        [
            b"\xef\xbb\xbf: hello\n\n",
            CONNECTED,
            *[step for step in deltas("naïve ", "", "😀") if isinstance(step, bytes)],
            frame("something_new", wild=[1]),
            complete("naïve 😀", novelty=True),
            DONE,
        ]
    ).replace(b"\n", b"\r\n")
    server.streams = [[whole[at : at + 3] for at in range(0, len(whole), 3)]]
    assert await chat(server) == ExitCode.OK
    assert capsys.readouterr().out == "naïve 😀\n"


async def test_a_server_that_sends_only_cumulative_text(server: FakeServer, capsys: Captured):
    steps = [frame("stream", prompt="Ni"), frame("stream", prompt="Nine.")]
    server.streams = [[CONNECTED, *steps, complete("Nine."), DONE]]
    assert await chat(server) == ExitCode.OK
    assert capsys.readouterr().out == "Nine.\n"


async def test_text_comes_before_the_answer_is_whole(server: FakeServer, capsys: Captured):
    gate = asyncio.Event()
    server.streams = [[CONNECTED, *deltas("first"), gate, *deltas(" second"), complete("first second"), DONE]]
    seen = ""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(chat(server))
        async with asyncio.timeout(10):
            while "first" not in seen:
                await asyncio.sleep(0.01)
                seen += capsys.readouterr().out
        assert not task.done()
        gate.set()
    assert seen + capsys.readouterr().out == "first second\n"


async def test_a_withdrawn_answer_is_replaced_aloud(server: FakeServer, capsys: Captured):
    server.streams = [[CONNECTED, *deltas("Bad words"), complete("This was removed.", moderated=True), DONE]]
    assert await chat(server) == ExitCode.OK
    shown = capsys.readouterr()
    assert shown.out == "Bad words\nThis was removed.\n"
    assert "The answer was replaced:" in shown.err


async def test_the_end_of_a_text_that_was_not_streamed_is_shown(server: FakeServer, capsys: Captured):
    server.streams = [[CONNECTED, *deltas("Half"), complete("Half and half"), DONE]]
    assert await chat(server) == ExitCode.OK
    assert capsys.readouterr().out == "Half and half\n"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(["cut"], id="hung up"),
        pytest.param([b'data: {"type": "stream", "del', "cut"], id="in mid-frame"),
        pytest.param([b'data: {"type": "stream", "del'], id="ended in mid-frame"),
        pytest.param([DONE], id="done without complete"),
        pytest.param([b"data: not json\n\n"], id="no JSON"),
        pytest.param([b'data: {"type": "stream", "delta": 3}\n\n'], id="wrong type"),
        pytest.param([b"data: [1]\n\n"], id="no object"),
    ],
)
async def test_a_cut_stream_is_a_failure_that_keeps_what_came(
    server: FakeServer, capsys: Captured, end: list[bytes | str]
):
    server.streams = [[CONNECTED, *deltas("Half an ans"), *end]]
    assert await chat(server) == ExitCode.ANSWER_FAILED
    shown = capsys.readouterr()
    assert shown.out == "Half an ans\n"
    assert "The answer was cut" in shown.err


async def test_a_failure_in_mid_stream(server: FakeServer, capsys: Captured):
    error = {"message": "The model provider failed to answer.", "status": 502, "code": "provider_failed"}
    server.streams = [[CONNECTED, *deltas("Half"), frame("error", error=error), DONE]]
    assert await chat(server) == ExitCode.ANSWER_FAILED
    assert "The model provider failed to answer." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "code", "message", "hint"),
    [
        (
            failure(402, "insufficient_credits", "There are not enough credits."),
            ExitCode.ANSWER_FAILED,
            "There are not enough credits.",
            "",
        ),
        (failure(403, "not_a_member", "You are no member."), ExitCode.REFUSED, "You are no member.", ""),
        (
            failure(429, "rate_limited", "Too many.", **{"Retry-After": "7"}),
            ExitCode.ANSWER_FAILED,
            "Too many.",
            "Try again in 7 s.",
        ),
        (
            web.Response(status=502, text="<html>nginx</html>"),
            ExitCode.UNREACHABLE,
            "answered 502 Bad Gateway",
            "--url",
        ),
        (web.Response(text="hello"), ExitCode.UNREACHABLE, "answered 200 OK", "--url"),
        (
            web.Response(status=308, headers={"Location": "https://twin.example.org/"}),
            ExitCode.UNREACHABLE,
            "https://twin.example.org/",
            "--url",
        ),
    ],
)
async def test_a_refusal_before_the_stream(
    server: FakeServer, reply: web.Response, code: ExitCode, message: str, hint: str
):
    server.streams = [reply]
    with pytest.raises(CommandError) as caught:
        await chat(server)
    assert caught.value.code == code
    assert message in caught.value.message
    assert hint in caught.value.hint


async def test_a_wrong_password(server: FakeServer):
    with pytest.raises(CommandError, match="password is wrong") as caught:
        await chat(server, password="wrong")
    assert caught.value.code == ExitCode.REFUSED
    assert server.questions == []


async def test_a_second_step_is_asked_for_on_a_terminal(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    server.challenge = {"challengeId": "c1", "maskedEmail": "ad***@example.org", "method": "email"}
    server.streams = [answer("Yes.")]
    with pytest.raises(CommandError, match="takes a code") as caught:
        await chat(server)
    assert (caught.value.code, server.questions) == (ExitCode.REFUSED, [])
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or " 123456 ")
    assert await chat(server) == ExitCode.OK
    assert server.shown == [{"challengeId": "c1", "code": "123456", "trustDevice": False}]
    assert (asked, server.tokens) == (["Code sent to ad***@example.org: "], [TOKEN])


async def test_a_token_stands_for_the_password(server: FakeServer):
    server.streams = [answer("Yes.")]
    assert await chat(server, token="given", password="") == ExitCode.OK
    assert server.tokens == ["given"]
    assert server.sign_ins == []


async def test_a_sign_in_that_ran_out_is_renewed_once(server: FakeServer, capsys: Captured):
    expired = failure(401, "token_expired", "Your sign-in has expired.")
    server.streams = [expired, answer("Yes.")]
    assert await chat(server) == ExitCode.OK
    assert server.tokens == ["token-1", "token-2"]
    server.streams = [failure(401, "token_expired", "Your sign-in has expired."), answer("No.")]
    with pytest.raises(CommandError, match="expired"):
        await chat(server, token="given")
    assert "No." not in capsys.readouterr().out


async def test_a_conversation_goes_on_in_its_course(
    server: FakeServer, capsys: Captured, monkeypatch: pytest.MonkeyPatch
):
    lines = iter(["One?", "", "/help", "Two?", "/new", "Three?", "/quit", "Four?"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    server.streams = [answer("Yes."), failure(429, "rate_limited", "Too many."), answer("Yes.")]
    assert await chat(server, question=None) == ExitCode.OK
    assert [asked["inputs"] for asked in server.questions] == [["One?"], ["Two?"], ["Three?"]]
    courses = [asked["requestArgs"].get("selectedCourse") for asked in server.questions]
    assert courses == [None, {"course_id": 7, "course_name": "First"}, None]
    assert "Too many." in capsys.readouterr().err


async def test_credentials_are_named_when_nobody_can_be_asked(server: FakeServer):
    with pytest.raises(CommandError, match="No e-mail address") as caught:
        await chat(server, email="")
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(CommandError, match="No password") as caught:
        await chat(server, password="")
    assert "TWINSPEAK_PASSWORD" in caught.value.hint


@pytest.mark.parametrize("url", ["", "http://", "ftp://host", "http://host:99999", "http://[::1"])
async def test_addresses_that_are_none(server: FakeServer, url: str):
    with pytest.raises(CommandError) as caught:
        await chat(server, url=url)
    assert caught.value.code == ExitCode.USAGE


async def test_an_address_without_scheme_and_with_slash(server: FakeServer):
    server.streams = [answer("Yes.")]
    assert await chat(server, url=server.url.removeprefix("http://") + "/") == ExitCode.OK


async def test_nobody_there(server: FakeServer, unused_tcp_port: int):
    with pytest.raises(CommandError, match="No server answers") as caught:
        await chat(server, url=f"http://127.0.0.1:{unused_tcp_port}")
    assert caught.value.code == ExitCode.UNREACHABLE
    assert "twinspeak serve" in caught.value.hint
