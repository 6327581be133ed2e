"""The operator's programs as MCP servers: real processes that behave, and that do not."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.fakes import mcp_program
from twinspeak.tools.mcp import client, stdio
from twinspeak.tools.mcp.client import Result
from twinspeak.tools.mcp.http import Unavailable
from twinspeak.tools.mcp.stdio import Program, Programs, StdioServer

SCRIPT = str(Path(mcp_program.__file__))
TMP = str(Path(tempfile.gettempdir()).resolve())


def program(mode: str, **more: Any) -> Program:
    plain = Program(command=sys.executable, args=("-S", SCRIPT, mode), twins=("*",))
    return msgspec.structs.replace(plain, **more)


@asynccontextmanager
async def running(mode: str, **more: Any) -> AsyncGenerator[StdioServer]:
    listed = Programs({"it": program(mode, **more)})
    try:
        yield listed.way("it", "t")
    finally:
        await listed.close()


async def echo(server: StdioServer, text: str = "hi", *, timeout_s: float = 10, **more: Any) -> Result:
    return await client.call(server, "echo", {"text": text}, timeout_s=timeout_s, **more)


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    async with asyncio.timeout(10):
        await asyncio.to_thread(_wait, pid)


def _wait(pid: int) -> None:
    """Whoever reaps orphans here may take his time: a zombie runs no more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


async def test_a_tool_is_listed_and_called():
    told: list[tuple[float | None, str]] = []
    async with running("slow") as server:
        (tool,) = await client.tools_of(server)
        assert (tool.name, tool.description) == ("echo", "Says it again.")
        result = await echo(server, "Grüße 👋\u2028\n", progress=lambda far, words: told.append((far, words)))
    assert result == Result("Grüße 👋\u2028\n", success=True)
    assert told == [(0.5, "half")]


async def test_answers_find_who_asked():
    async with running("backwards") as server:
        texts = [str(number) for number in range(9)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(echo(server, text)) for text in texts]
        assert [task.result().text for task in tasks] == texts


async def test_it_gets_the_operators_environment_and_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with running("environment", env={"TOKEN": "of-the-operator"}, cwd=TMP) as server:
        told = json.loads((await echo(server)).text)
    assert {name for name in told if not name.startswith("LC_")} == {"PATH", "LANG", "TOKEN", "cwd", "argv"}
    assert (told["PATH"], told["TOKEN"], told["argv"]) == (os.defpath, "of-the-operator", ["environment"])
    assert told["cwd"] == TMP


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("dies", "has stopped"),
        ("hangs", "too long"),
        ("silent", "too long"),
        ("floods", "more than it may"),
        ("long line", "more than it may"),
        ("old", "version"),
    ],
)
async def test_one_that_cannot_be_used_says_why_and_is_gone(mode: str, words: str):
    listed = Programs({"it": program(mode)})
    server = listed.way("it", "t")
    with pytest.raises(Unavailable, match=words):
        await echo(server, timeout_s=1 if words == "too long" else 20)
    assert listed.running == 0
    await listed.close()


@pytest.mark.parametrize(
    ("mode", "result"),
    [("nonsense", Result("hi", success=True)), ("error", Result("It cannot.", success=False))],
)
async def test_what_else_it_says_does_no_harm(mode: str, result: Result):
    async with running(mode) as server:
        assert await echo(server) == result


async def test_what_it_asks_is_refused_and_not_for_ever():
    async with running("asks") as server:
        assert (await echo(server)).text == ",".join(["-32601"] * 20)


async def test_what_cannot_be_started():
    for wrong in ({"command": "/no/such/program"}, {"command": "/etc/passwd"}, {"cwd": "/no/such/folder"}):
        async with running("pid", **wrong) as server:
            with pytest.raises(Unavailable, match="cannot be started"):
                await echo(server)


async def test_one_that_died_is_started_again_after_a_moment(monkeypatch: pytest.MonkeyPatch):
    async with running("pid") as server:
        first = (await echo(server)).text
        with pytest.raises(Unavailable, match="has stopped"):
            await _killed(server, first)
        with pytest.raises(Unavailable, match="in a moment"):
            await echo(server)
        monkeypatch.setattr(stdio, "_RESTART_S", 0.0)
        assert (await echo(server)).text != first


async def _killed(server: StdioServer, pid: str) -> None:
    psutil.Process(int(pid)).kill()
    await gone(int(pid))
    await echo(server)


async def test_a_call_that_is_cancelled_leaves_the_others():
    async with running("plain") as server:
        hanging = asyncio.create_task(echo(server, "hang"))
        assert (await echo(server, "one")).text == "one"
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await echo(server, "two")).text == "two"


async def test_one_that_hangs_for_one_goes_on_for_others():
    async with running("plain") as server:
        await client.tools_of(server)
        first = asyncio.create_task(_unavailable(server, 0.4))
        second = asyncio.create_task(_unavailable(server, 0.6))
        await asyncio.wait({first})
        assert (await echo(server, "one")).text == "one"
        assert "too long" in str(await second)


async def _unavailable(server: StdioServer, timeout_s: float) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await echo(server, "hang", timeout_s=timeout_s)
    return caught.value


@pytest.mark.parametrize("end", ["close", "drop", "idle"])
async def test_it_ends_with_all_that_it_started(end: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stdio, "IDLE_S", 0.05 if end == "idle" else 600)
    async with running("child") as server:
        child = int((await echo(server)).text)
        if end == "close":
            await server.close()
        elif end == "drop":
            server.drop()
        await gone(child)


async def test_a_stubborn_one_is_killed():
    listed = Programs({"it": program("stubborn")})
    server = listed.way("it", "t")
    assert (await echo(server)).success
    process = next(iter(listed._running))
    await server.close()
    await gone(process.pid)
    assert listed.running == 0


async def test_there_is_room_for_so_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stdio, "MOST_RUNNING", 1)
    listed = Programs({"it": program("pid")})
    first, second = listed.way("it", "t"), listed.way("it", "t")
    assert (await echo(first)).success
    with pytest.raises(Unavailable, match="Too many"):
        await echo(second)
    first.drop()
    assert (await echo(second)).success
    await listed.close()


def test_only_named_programs_for_named_twins():
    listed = Programs(
        {"all": program("pid"), "one": program("pid", twins=("a" * 24,)), "none": program("pid", twins=())}
    )
    assert listed.allows("all", "b" * 24)
    assert (listed.allows("one", "a" * 24), listed.allows("one", "b" * 24)) == (True, False)
    for name in ("none", "", "*", "/bin/sh", "sh -c true"):
        assert not listed.allows(name, "a" * 24)
        with pytest.raises(Unavailable, match="no such program"):
            listed.way(name, "a" * 24)
    assert "SCRIPT" not in repr(program("pid", env={"KEY": "SCRIPT"}))
