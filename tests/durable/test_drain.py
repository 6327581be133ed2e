"""SIGTERM in mid-answer: no new turn, and none that ran is lost, on every face of the real process."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.durable.server_process import ServerProcess
from tests.durable.waiting import until
from tests.faces import FACES, PATHS, Answer, Face, body_of, read
from tests.fakes.upstream import Reply, Upstream, ending, text_steps
from tests.world import charges, stored
from twinspeak.app import upkeep

pytestmark = pytest.mark.usefixtures("database")

LIMIT_S = 20


async def ask(server: ServerProcess, auth: dict[str, str], face: Face) -> Answer:
    async with (
        aiohttp.ClientSession(server.url) as http,
        http.post(PATHS[face], json=body_of(face), headers=auth) as response,
    ):
        return await read(face, response)


async def draining(server: ServerProcess, auth: dict[str, str]) -> Answer:
    """Wait until new turns are refused, and return how."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            async with aiohttp.ClientSession(server.url) as http, http.get("/readyz") as response:
                if response.status == 503:
                    return await ask(server, auth, Face.REST)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("patient", [True, False], ids=["there is time", "time runs out"])
async def test_a_stop_in_mid_answer_loses_nothing(tmp_path: Path, face: Face, *, patient: bool):
    gate = asyncio.Event()
    async with Upstream() as upstream:
        upstream.script(Reply([*text_steps("Half an answer"), gate, *text_steps(", done"), *ending()]))
        server = ServerProcess.on(tmp_path / "data", upstream.base_url, drain_s=30 if patient else 0.7)
        await server.start()
        auth = await server.sign_in()
        asking = asyncio.create_task(ask(server, auth, face))
        exchange = await upstream.exchange(LIMIT_S)
        await until(lambda: b'"content": "er"' in exchange.sent)
        server.tell(signal.SIGTERM)
        refused = await draining(server, auth)
        assert refused.status == 503
        assert refused.error is not None
        assert refused.error["code"] == "server_stopping"
        assert int(refused.headers["retry-after"]) > 0
        if patient:
            gate.set()
        answer = await asyncio.wait_for(asking, LIMIT_S)
        assert "Traceback" not in await server.ended()
        assert server.process is not None
        assert server.process.returncode == 0

    output = "Half an answer, done" if patient else "Half an answer"
    assert answer.status == 200
    assert set(answer.texts.values()) == {output}
    row = stored(tmp_path / "data" / "twinspeak.sqlite3", answer.turn_id)
    assert (row["state"], row["output"]) == ("done" if patient else "interrupted", output)
    assert len(charges(tmp_path / "data" / "twinspeak.sqlite3", answer.turn_id)) == 1
    if face is not Face.OPENAI:
        assert answer.reply.get("cancelled", False) is not patient
    assert (await asyncio.to_thread(upkeep.check, server.settings)).clean
