"""`twinspeak chat` as a process: Ctrl-C, pipes, terminals, exit codes."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cli.processes import credentials, finish, run, start, terminal
from tests.cli.server import (
    CONNECTED,
    DONE,
    EMAIL,
    PASSWORD,
    TURN,
    FakeServer,
    answer,
    complete,
    deltas,
    frame,
    serving,
)
from twinspeak.cli.exits import ExitCode


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Undo what a shell does to its background jobs: a process that is born with SIGINT ignored goes on ignoring it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with serving() as fake:
        yield fake


async def hung_up(server: FakeServer) -> None:
    async with asyncio.timeout(10):
        await server.hung_up.wait()


async def test_ctrl_c_closes_the_stream_and_tells_what_was_kept(server: FakeServer):
    server.streams = [[CONNECTED, *deltas("Half an answer"), "hang"]]
    server.record = {"_id": TURN, "credits": 3, "success": True}
    process = await start("chat", "Why?", env=credentials(server.url))
    assert process.stdout is not None
    async with asyncio.timeout(10):
        seen = await process.stdout.readexactly(len("Half an answer"))
    process.send_signal(signal.SIGINT)
    await hung_up(server)
    ended = await finish(process)
    assert ended.code == ExitCode.INTERRUPTED
    assert seen.decode() + ended.out == "Half an answer\n"
    assert f"The 14 characters above are kept in your history (turn {TURN}). 3 credits charged." in ended.err
    assert server.histories[0]["historyId"] == TURN
    assert len(server.histories) >= 2


async def test_ctrl_c_before_the_answer_began(server: FakeServer):
    server.streams = [["hang"]]
    process = await start("chat", "Why?", env=credentials(server.url))
    async with asyncio.timeout(10):
        await server.asked.wait()
    process.send_signal(signal.SIGINT)
    await hung_up(server)
    ended = await finish(process)
    assert ended.code == ExitCode.INTERRUPTED
    assert "Cancelled before the answer began." in ended.err
    assert server.histories == []


async def test_a_second_ctrl_c_does_not_wait_for_what_was_kept(server: FakeServer):
    server.streams = [[CONNECTED, *deltas("Half"), "hang"]]
    process = await start("chat", "Why?", env=credentials(server.url))
    assert process.stdout is not None
    async with asyncio.timeout(10):
        await process.stdout.readexactly(4)
    process.send_signal(signal.SIGINT)
    await hung_up(server)
    process.send_signal(signal.SIGINT)
    assert (await finish(process)).code == ExitCode.INTERRUPTED


async def test_a_killed_client_is_seen_as_gone(server: FakeServer):
    server.streams = [[CONNECTED, *deltas("Half"), "hang"]]
    process = await start("chat", "Why?", env=credentials(server.url))
    async with asyncio.timeout(10):
        await server.asked.wait()
    process.kill()
    await hung_up(server)
    await process.wait()


async def test_the_password_comes_on_standard_input_and_the_questions_after_it(server: FakeServer):
    server.streams = [answer("One."), answer("Two.")]
    ended = await run(
        *("chat", "--url", server.url, "--email", EMAIL, "--password-stdin", "--output", "answer"),
        given=f"{PASSWORD}\nFirst?\n\nSecond?\n",
    )
    assert (ended.code, ended.out) == (ExitCode.OK, "One.\nTwo.\n")
    assert [asked["inputs"] for asked in server.questions] == [["First?"], ["Second?"]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ("chat", "Why?", "--url", "http://127.0.0.1:1", "--email", "a@b.c", "--password-stdin"),
            5,
            "No server answers",
        ),
        (("chat", "Why?"), 2, "No e-mail address"),
        (("chat", "  "), 2, "The question is empty"),
        (("chat", "Why?", "--output", "loud"), 2, "loud"),
        (("chat", "Why?", "--url", "ftp://x", "--email", "a@b.c", "--password-stdin"), 2, "not the address"),
        (("nonsense",), 2, "nonsense"),
    ],
)
async def test_what_goes_wrong_is_told_in_words_and_by_a_code(arguments: tuple[str, ...], code: int, words: str):
    ended = await run(*arguments, given="secret-password\n")
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err
    assert "secret-password" not in ended.err


async def test_a_reader_that_has_seen_enough(server: FakeServer):
    gate = asyncio.Event()
    server.streams = [[CONNECTED, *deltas("x" * 1000), gate, *deltas(*["y" * 100_000] * 5), "hang"]]
    process = await start("chat", "Why?", "--output", "answer", env=credentials(server.url))
    assert process.stdout is not None
    async with asyncio.timeout(10):
        await process.stdout.readexactly(1000)
    process.stdout._transport.close()  # pyright: ignore[reportAttributeAccessIssue] - there is no public way to stop reading
    gate.set()
    await hung_up(server)
    assert process.stderr is not None
    assert b"Traceback" not in await process.stderr.read()
    assert await process.wait() == ExitCode.PROBLEM


async def test_any_locale(server: FakeServer):
    server.streams = [answer("naïve 😀 \ud83d.")]
    env = {**credentials(server.url), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    ended = await run("chat", "Wäre?", "--output", "answer", env=env)
    assert (ended.code, ended.out) == (ExitCode.OK, "na?ve ? ?.\n")


async def test_on_a_terminal_a_model_cannot_steer_it(server: FakeServer):
    server.streams = [[CONNECTED, *deltas("safe\x1b[2J\x1b]0;owned\x07\r\b text"), complete("safe text"), DONE]]
    async with terminal("chat", "Why?", "--output", "answer", env=credentials(server.url)) as screen:
        assert await screen.ended() == ExitCode.OK
    assert "safe[2J]0;owned text" in screen.shown
    assert not re.search(r"\x1b\]|\x07|\x1b\[2J", screen.shown)


async def test_a_conversation_on_a_terminal(server: FakeServer):
    thinking = frame("thinking", id="round-0", round=0, text="Hm.", done=True)
    server.streams = [
        [CONNECTED, thinking, *deltas("First"), "hang"],
        answer("Second answer."),
    ]
    server.record = {"_id": TURN, "credits": 0}
    async with terminal("chat", env=credentials(server.url)) as screen:
        await screen.until(lambda shown: "> " in shown)
        screen.type("One?\n")
        await screen.until(lambda shown: "First" in shown)
        assert "\x1b[2mHm." in screen.shown
        screen.process.send_signal(signal.SIGINT)
        await hung_up(server)
        await screen.until(lambda shown: "> " in shown.partition("kept in your history")[2])
        screen.type("Two?\n")
        await screen.until(lambda shown: "> " in shown.partition("42 tokens")[2])
        assert "Second answer." in screen.shown
        screen.type("\x04")
        assert await screen.ended() == ExitCode.OK


async def test_lines_of_json_can_be_read_by_a_program(server: FakeServer):
    server.streams = [answer("a|b")]
    ended = await run("chat", "Why?", "--output", "json", env=credentials(server.url))
    assert [json.loads(line)["type"] for line in ended.out.splitlines()][-2:] == ["complete", "done"]
