"""SIGKILL at seeded moments under load: after every start the books are right, and no answer is lost or paid twice."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from tests.durable.server_process import ServerProcess
from tests.faces import PATHS, Answer, Face, body_of, read
from tests.fakes.upstream import Reply, Upstream, ending, text_steps
from tests.live import EMAIL, PASSWORD
from tests.world import all_turns, charges
from twinspeak.app import upkeep
from twinspeak.app.offline import prepare
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, users, wallets
from twinspeak.settings import Settings

pytestmark = pytest.mark.usefixtures("database")

ANSWER = "A twin answers from what its people gave it, and says where it found each piece of that. "
WORKERS = 6
CREDITS = 1_000_000


@dataclass
class Load:
    """People who ask, and ask again under the same key when the server died on them, until they have an answer."""

    server: ServerProcess
    rng: random.Random
    answered: dict[str, Answer] = field(default_factory=dict[str, Answer])
    asked: set[str] = field(default_factory=set[str])
    again: int = 0
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    auth: dict[str, str] = field(default_factory=dict[str, str])
    done: bool = False

    async def work(self, name: int) -> None:
        number = 0
        while not self.done:
            number += 1
            await self._until_answered(f"question-{name}-{number}")

    async def _until_answered(self, key: str) -> None:
        while not (self.done and key not in self.asked):
            await self.serving.wait()
            try:
                answer = await self._ask(key, self.rng.choice([Face.REST, Face.SSE, Face.OPENAI, Face.DELTA]))
            except (aiohttp.ClientError, OSError, AssertionError):
                # Cut off: AssertionError is a stream without its end.
                self.again += 1
                await asyncio.sleep(0.02)
                continue
            if answer.status == 409:  # a chat completion is another question than the same words elsewhere
                continue
            assert answer.status == 200, answer.body
            self.answered[key] = answer
            return

    async def _ask(self, key: str, face: Face) -> Answer:
        self.asked.add(key)
        headers = {**self.auth, "Idempotency-Key": key}
        async with (
            aiohttp.ClientSession(self.server.url) as http,
            http.post(PATHS[face], json=body_of(face, f"What of {key}?"), headers=headers) as response,
        ):
            answer = await read(face, response)
            if answer.status == 200 and answer.streamed:
                assert answer.frames[-1] in ("[DONE]", {"type": "done"})
            return answer


@asynccontextmanager
async def loaded(folder: Path, seed: int) -> AsyncGenerator[tuple[Load, random.Random]]:
    rng = random.Random(seed)  # noqa: S311 -- the same moments each time

    def slow(_: object) -> Reply:
        pauses = [rng.choice([0.0, 0.0, 0.01, 0.05]) for _ in range(30)]
        words = text_steps(ANSWER)
        return Reply([step for pair in zip(words, [*pauses, *pauses], strict=False) for step in pair] + ending())

    async with Upstream() as upstream:
        upstream.default = slow
        load = Load(ServerProcess.on(folder, upstream.base_url), rng)
        await asyncio.to_thread(_endow, load.server.settings)
        async with asyncio.TaskGroup() as group:
            for name in range(WORKERS):
                group.create_task(load.work(name))
            yield load, rng


def _endow(settings: Settings) -> None:
    known = settings.model_copy(update={"admin_email": EMAIL, "admin_password": SecretStr(PASSWORD)})
    with prepare(known) as ground:

        def give(tx: Tx) -> None:
            user = users.by_email(tx, EMAIL)
            assert user is not None
            twin = institutions.by_id(tx, user.active_institution_id or "")
            assert twin is not None
            wallets.award(tx, "institution", twin.id, CREDITS, note="")

        ground.db.write_sync(give)


async def killed_again_and_again(folder: Path, *, kills: int, seed: int) -> Load:
    async with loaded(folder, seed) as (load, rng):
        server = load.server
        for _ in range(kills):
            await server.start()
            report = await asyncio.to_thread(upkeep.check, server.settings)
            assert report.clean, report.problems
            load.auth = load.auth or await server.sign_in()
            load.serving.set()
            # A seeded moment: at once, amid the first writes, or amid many answers.
            await asyncio.sleep(rng.choice([0.0, rng.uniform(0, 0.1), rng.uniform(0, 1.0)]))
            load.serving.clear()
            said = await server.kill()
            assert "Traceback" not in said, said
        await server.start()
        load.done = True
        load.serving.set()
    await server.stop()
    report = await asyncio.to_thread(upkeep.check, server.settings)
    assert report.clean, report.problems
    return load


def judge(load: Load) -> None:
    """Every question that was asked has one turn; every answer that was told is the one in the books."""
    database = load.server.data_dir / "twinspeak.sqlite3"
    rows = {row["id"]: row for row in all_turns(database)}
    questions = [row["question"] for row in rows.values()]
    assert len(questions) == len(set(questions)), "a question was answered twice"
    assert load.asked == load.answered.keys()
    assert {row["state"] for row in rows.values()} <= {"done", "interrupted", "cancelled"}
    for key, answer in load.answered.items():
        row = rows[answer.turn_id]
        assert row["question"] == f"What of {key}?"
        assert set(answer.texts.values()) <= {row["output"]}, key
        paid = charges(database, answer.turn_id)
        assert sum(paid) == row["credits"]
        assert len(paid) == (1 if row["credits"] else 0)
        if answer.face in (Face.REST, Face.SSE):
            assert answer.reply["credits"] == row["credits"]


@pytest.mark.timeout(180)
async def test_a_killed_server_comes_back_with_its_books_right(tmp_path: Path):
    load = await killed_again_and_again(tmp_path / "data", kills=8, seed=4)
    judge(load)
    assert load.again, "nobody was cut off: the test kills at the wrong moments"


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_two_hundred_kills(tmp_path: Path):
    load = await killed_again_and_again(tmp_path / "data", kills=200, seed=2026)
    judge(load)
    states = [row["state"] for row in all_turns(tmp_path / "data" / "twinspeak.sqlite3")]
    assert states.count("interrupted") > 20
