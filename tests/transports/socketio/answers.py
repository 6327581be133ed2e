"""Answers that come when a test wants them to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.faces import Answer, Face, ask
from tests.fakes.upstream import Reply, ending, text_steps
from tests.world import World

FIRST = "Twins answer from what you have given them, "
SECOND = "and they say where they found it."
TEXT = FIRST + SECOND
WAIT_S = 15


def halves() -> tuple[Reply, asyncio.Event]:
    """Return an answer that stops after its first half until the event is set."""
    go_on = asyncio.Event()
    return Reply([*text_steps(FIRST), go_on, *text_steps(SECOND)[1:], *ending()]), go_on


@dataclass
class Asked:
    """A question that is being answered. `go_on` lets its second half come."""

    task: asyncio.Task[Answer]
    go_on: asyncio.Event
    turn_id: str

    async def reply(self) -> dict[str, Any]:
        """Let it end, and return the REST reply."""
        self.go_on.set()
        async with asyncio.timeout(WAIT_S):
            answer = await self.task
        assert answer.status == 200, answer.body
        return answer.json


@asynccontextmanager
async def asking(here: World, token: str | None = None, **args: Any) -> AsyncGenerator[Asked]:
    """Ask over REST and wait until the first half of the answer is there."""
    reply, go_on = halves()
    here.upstream.script(reply)
    before = set(here.server.live.turns._running)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask(here.server, token or here.token, Face.REST, **args))
        turn_id = await _begun(here, before, task)
        try:
            yield Asked(task, go_on, turn_id)
        finally:
            go_on.set()
            task.cancel()


async def _begun(here: World, before: set[str], task: asyncio.Task[Answer]) -> str:
    async with asyncio.timeout(WAIT_S):
        while True:
            for turn_id in set(here.server.live.turns._running) - before:
                turn = here.server.live.turns._running[turn_id]
                if turn.log.text.text() == FIRST:
                    return turn_id
            assert not task.done(), task.result().body
            await asyncio.sleep(0.002)
