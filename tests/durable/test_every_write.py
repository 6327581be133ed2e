"""Killed between every two statements of a turn: what the disk holds at each of these moments can be settled."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event

from tests.durable.test_idempotency import ask
from tests.faces import Face
from tests.fakes.upstream import STALL, Reply, text_steps, tool_reply
from tests.live import EMAIL, PASSWORD
from tests.world import World, charges, world
from twinspeak.app import upkeep
from twinspeak.settings import Settings

FILE_SUFFIXES = ("", "-wal")
CREDITS_AT_FIRST = 50 + 1_000


@contextmanager
def copied_after_every_statement(here: World, folder: Path) -> Generator[list[Path]]:
    """Copy the database's files as they are after each statement, and each commit, of the server's writer."""
    copies: list[Path] = []
    writer: Any = here.server.ground.db._engines[0]

    def copy(*_: object) -> None:
        target = folder / f"{len(copies):04d}"
        target.mkdir(parents=True)
        for suffix in FILE_SUFFIXES:
            source = here.database.with_name(here.database.name + suffix)
            if source.exists():
                shutil.copyfile(source, target / source.name)
        copies.append(target)

    hooks: list[tuple[str, Callable[..., None]]] = [("after_cursor_execute", copy), ("commit", copy)]
    for name, hook in hooks:
        event.listen(writer, name, hook)
    try:
        yield copies
        copy()
    finally:
        for name, hook in hooks:
            event.remove(writer, name, hook)


@pytest.mark.usefixtures("sqlite_file")
async def test_killed_between_every_two_statements_of_a_turn(tmp_path: Path):
    async with world(tmp_path / "data", credits=1_000) as here:
        here.upstream.script(
            tool_reply(("search_uploads", {"query": "twins"}), text="Let me look. "),
            Reply([*text_steps("Here is half of it"), STALL]),
        )
        with copied_after_every_statement(here, tmp_path / "copies") as copies:
            asking = asyncio.create_task(ask(here, Face.SSE, key="once"))
            await here.upstream.exchange()
            await here.upstream.exchange()
            turn = await here.running()
            # A checkpoint comes every second; one of them holds text.
            before = len(copies)
            async with asyncio.timeout(10):
                while len(copies) < before + 2:  # noqa: ASYNC110 -- a thread of the server makes them
                    await asyncio.sleep(0.05)
            turn.cancel()
            assert (await asking).status == 200
    assert len(copies) > 20
    seen = {await asyncio.to_thread(settled, copy, turn.turn_id) for copy in copies}
    assert seen == {"no turn", "interrupted", "cancelled"}


def settled(copy: Path, turn_id: str) -> str:
    """Start from a copy as after a crash; return what became of the turn."""
    settings = Settings(data_dir=copy, admin_email=EMAIL, admin_password=SecretStr(PASSWORD))
    found = upkeep.check(settings)
    assert all("nobody runs it" in problem for problem in found.problems), found.problems
    assert upkeep.repair(settings).clean
    assert upkeep.repair(settings).settled == 0
    with closing(sqlite3.connect(copy / "twinspeak.sqlite3")) as connection:
        row = connection.execute("SELECT state, credits, output FROM turns WHERE id = ?", (turn_id,)).fetchone()
        keys = connection.execute("SELECT turn_id FROM turn_keys").fetchall()
        pool = connection.execute("SELECT balance, held FROM wallets WHERE kind = 'institution'").fetchone()
    assert keys == ([(turn_id,)] if row else []), "a key without its turn, or a turn without its key"
    if row is None:
        assert pool == (CREDITS_AT_FIRST, 0)
        return "no turn"
    state, credits, output = row
    assert pool == (CREDITS_AT_FIRST - credits, 0)
    assert charges(copy / "twinspeak.sqlite3", turn_id) == ([credits] if credits else [])
    assert credits == (1 if output else 0)
    return state
