"""What the tests of faults wait for and change behind the server's back."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.world import WAIT_S, World
from twinspeak.engine.turn import Turn
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import users


async def eventually(holds: Callable[[], Any], within: float = WAIT_S) -> None:
    """Wait until something inside the server holds: no client is told of it."""
    async with asyncio.timeout(within):
        for _ in iter(lambda: bool(holds()), True):
            await asyncio.sleep(0.002)


async def reached(here: World, text: str) -> Turn:
    """Wait until the turn that runs has answered `text`; return it."""
    await eventually(lambda: len(here.server.live.turns) == 1)
    turn = await here.running()
    reader = turn.log.read()
    async with asyncio.timeout(WAIT_S):
        while turn.log.text.text() != text:
            assert await reader.next() is not None, turn.log.text.text()
    return turn


async def set_status(here: World, email: str, status: str) -> None:
    """Make somebody active, suspended or deleted in the database alone."""

    def change(tx: Tx) -> None:
        user = users.by_email(tx, email)
        assert user
        users.edit(tx, user.id, {"status": status})

    await here.server.ground.db.write(change)
