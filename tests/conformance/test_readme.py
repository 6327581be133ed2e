"""The README's quick start, run as it is written: every way in gets an answer that cites its source."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import databases
from tests.conformance.quick_start import ADDRESS, Block, blocks, environment, serving, session
from tests.fakes.upstream import Upstream, text_reply

pytestmark = pytest.mark.usefixtures("npm_packages", "database")

CITED = re.compile(r"\[\d+\]")
RUNNABLE = ("sh", "python", "js")


def under(heading: str, *languages: str) -> list[Block]:
    return [block for block in blocks() if block.heading == heading and block.language in languages]


def frames(stream: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]


def cited_sources(reply: dict[str, Any]) -> list[str]:
    """The names of the documents that the reply's text cites, by its numbers."""
    numbers = {int(number[1:-1]) for number in CITED.findall(reply["outputs"][0])}
    named = {source["number"]: source["originalname"] for source in reply["sources"] if source["cited"]}
    assert numbers
    assert numbers == named.keys()
    return list(named.values())


async def test_the_quick_start_answers_with_its_sources(tmp_path: Path):
    if not shutil.which("curl"):
        pytest.skip("the README's second and third way in need curl, and this machine has none")
    start, banner = under("Quick start", "")
    ways = under("Quick start", *RUNNABLE)
    assert [block.language for block in ways] == ["sh", "sh", "sh", "python", "js", "js"]
    stored = databases.environment(tmp_path / "data")
    async with serving(start.text, tmp_path / "data", environment(tmp_path / "home", **stored)) as server:
        url = await server.line(r"^  Twinspeak is ready at (\S+)$")
        password = await server.line(r"^  Password +(\S+)$")
        await server.line(r"^  (Try it) ")
        shown = banner.text.replace(ADDRESS, url).replace("the-one-made-for-you", password)
        assert {line for line in shown.splitlines() if line} <= set(server.said.splitlines())
        env = environment(tmp_path / "home", TWINSPEAK_PASSWORD=password, TWINSPEAK_URL=url)
        chat, streamed, whole, python, js, socket = await session(ways, url, tmp_path, env)
    complete, done = frames(streamed)[-2:]
    assert (complete["type"], done) == ("complete", {"type": "done"})
    sources = cited_sources(complete)
    assert cited_sources(json.loads(whole)) == sources
    for printed in (chat, python, js, socket):
        assert CITED.search(printed), printed
    assert all(source in chat for source in sources), chat
    answer = complete["outputs"][0]
    assert json.loads(whole)["outputs"][0] == answer
    assert [python.rstrip("\n"), js.rstrip("\n")] == [answer, answer]
    followed, _, named = socket.rpartition("\n\nSources: ")
    assert (followed, set(named.strip().split(", "))) == (answer, set(sources))


async def test_another_server_answers_as_the_readme_says(tmp_path: Path):
    command = under("With a real model", "")[-1].text
    address, model = re.findall(r"OPENAI_BASE_URL=(\S+) TWINSPEAK_DEFAULT_MODEL=(\S+) ", command)[0]
    home, stored = tmp_path / "home", databases.environment(tmp_path / "data")
    async with Upstream() as upstream:
        upstream.default = lambda _: text_reply("From the other server [1].")
        line = command.replace(address, upstream.base_url)
        async with serving(line, tmp_path / "data", environment(home, **stored)) as server:
            url = await server.line(r"^  Twinspeak is ready at (\S+)$")
            password = await server.line(r"^  Password +(\S+)$")
            env = environment(home, TWINSPEAK_PASSWORD=password, TWINSPEAK_URL=url)
            (chat,) = await session(under("Quick start", "sh")[:1], url, tmp_path, env)
        assert upstream.exchanges[-1].json["model"] == model
    assert "From the other server [1]." in chat
