"""A real server, its upstream, the people on it, and its books: what tests of the whole product begin with."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from tests import databases
from tests.faces import Face, ask
from tests.fakes.upstream import Upstream
from tests.live import EMAIL, LiveServer, live_server
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.engine.turn import Turn
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, users, wallets
from twinspeak.services.users import Person, add

STRANGER = "eve@example.org"
STRANGER_PASSWORD = "battery staple horse"
WAIT_S = 10
UNBOUNDED = 1_000_000
"""Turns a minute, where their limit is not what a test is about."""


@dataclass
class World:
    """`token` is the administrator's, a super administrator and a member of the sample twin alone."""

    server: LiveServer
    upstream: Upstream
    token: str

    @property
    def database(self) -> Path:
        return self.server.settings.data_dir / "twinspeak.sqlite3"

    async def ask(self, face: Face, question: str = "What is a digital twin?", **args: Any) -> Any:
        return await ask(self.server, self.token, face, question, **args)

    async def get(self, path: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
        async with self.server.http.get(path, headers=self.server.auth(token or self.token)) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: Any = None, token: str | None = None) -> tuple[int, dict[str, Any]]:
        headers = self.server.auth(token or self.token)
        async with self.server.http.post(path, json=body or {}, headers=headers) as response:
            return response.status, await response.json()

    async def record(self, turn_id: str, token: str | None = None) -> dict[str, Any]:
        """Return a history record as the API shows it."""
        status, body = await self.post("/api/user/histories", {"historyId": turn_id}, token)
        assert status == 200, body
        assert len(body["data"]) == 1
        return body["data"][0]

    async def running(self) -> Turn:
        """Return the turn that runs; there must be one."""
        turns = list(self.server.live.turns._running.values())
        assert len(turns) == 1
        return turns[0]

    async def ended(self) -> None:
        """Wait until no turn runs."""
        for turn in list(self.server.live.turns._running.values()):
            await asyncio.wait_for(turn.ended(), WAIT_S)

    async def award(self, email: str, amount: int) -> None:
        """Give credits to a person, or to his active twin where that pays."""

        def give(tx: Tx) -> None:
            user = users.by_email(tx, email)
            assert user
            twin = institutions.by_id(tx, user.active_institution_id or "")
            pooled = twin is not None and twin.pool_credits
            wallets.award(tx, *(("institution", twin.id) if twin and pooled else ("user", user.id)), amount, note="")

        await self.server.ground.db.write(give)

    async def stranger(self) -> str:
        """Add a person with a twin of her own, and sign her in."""
        db, passwords = self.server.ground.db, self.server.ground.passwords
        twin = Institution(
            id=new_id(), public_id=new_uuid(), name="Other", ai_name="Other", chat_completion_enabled=True
        )

        def make(tx: Tx) -> None:
            account = institutions.ensure_account(tx, "Other")
            institutions.create(tx, twin, account_id=account, credits=50)

        await db.write(make)
        person = Person(email=STRANGER, password=STRANGER_PASSWORD, account_type="admin", twin=twin.public_id)
        await asyncio.to_thread(add, db, passwords, person)
        return await self.server.sign_in(STRANGER, STRANGER_PASSWORD)


@asynccontextmanager
async def world(data_dir: Path, *, credits: int = 100_000, **changes: Any) -> AsyncGenerator[World]:
    """Serve with a fake provider behind it. `changes` are settings; `credits` come on top of the starting ones."""
    limits = {"turns_per_minute_user": UNBOUNDED, "turns_per_minute_twin": UNBOUNDED, "stream_coalesce_ms": 0}
    async with Upstream() as upstream:
        values = {**limits, "openai_base_url": upstream.base_url, **changes}
        async with live_server(data_dir, **values) as server:
            here = World(server, upstream, await server.sign_in())
            if credits:
                await here.award(EMAIL, credits)
            yield here


@contextmanager
def looking_into(database: Path) -> Generator[Connection]:
    """Look at one state of the database of a data dir (a file in it), read only: none of the server's code between."""
    url = make_url(databases.url_for(database.parent))
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite:
        url = url.set(database=f"file:{url.database}").update_query_dict({"mode": "ro", "uri": "true"})
    else:
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 5} if sqlite else {})
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN" if sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


def stored(database: Path, turn_id: str) -> dict[str, Any]:
    """Return a turn's row."""
    with looking_into(database) as connection:
        row = connection.execute(text("SELECT * FROM turns WHERE id = :turn"), {"turn": turn_id}).mappings().one()
        return dict(row)


def all_turns(database: Path) -> list[dict[str, Any]]:
    """Return every turn's row, in the order of their beginning."""
    with looking_into(database) as connection:
        return [dict(row) for row in connection.execute(text("SELECT * FROM turns ORDER BY id")).mappings()]


def charges(database: Path, turn_id: str) -> list[int]:
    """Return what a turn was charged, one number for each time."""
    with looking_into(database) as connection:
        rows = connection.execute(
            text(
                "SELECT -amount FROM ledger_entries JOIN wallets ON wallets.id = wallet_id"
                " WHERE turn_id = :turn AND wallets.kind <> 'system'"
            ),
            {"turn": turn_id},
        )
        return list(rows.scalars())


def balances(database: Path) -> dict[str, int]:
    """Return every owner's balance, having made sure that the books are right (contract section 5)."""
    assert mistakes(database) == []
    with looking_into(database) as connection:
        rows = connection.execute(text("SELECT owner_id, balance FROM wallets"))
        return {row.owner_id: row.balance for row in rows}


def mistakes(database: Path) -> list[str]:
    """Return what is wrong with the books, by plain SQL."""
    laws = {
        "balance is not the sum of the entries": """
            SELECT w.id FROM wallets w WHERE w.balance <>
            (SELECT coalesce(sum(amount), 0) FROM ledger_entries e WHERE e.wallet_id = w.id)""",
        "held is not the sum of the open holds": """
            SELECT w.id FROM wallets w WHERE w.held <>
            (SELECT coalesce(sum(amount), 0) FROM holds h WHERE h.wallet_id = w.id AND h.state = 'open')""",
        "below zero, or more held than there is": """
            SELECT id FROM wallets WHERE kind <> 'system' AND (balance < 0 OR held < 0 OR held > balance)""",
        "transfer does not sum to zero": """
            SELECT transfer_id FROM ledger_entries GROUP BY transfer_id HAVING sum(amount) <> 0""",
        "charged twice": """
            SELECT turn_id FROM ledger_entries e JOIN wallets w ON w.id = wallet_id WHERE w.kind <> 'system'
            AND turn_id IS NOT NULL GROUP BY turn_id, e.kind HAVING count(*) > 1""",
        "used another sum than was paid": """
            SELECT 'credits' WHERE (SELECT coalesce(sum(credits), 0) FROM usage_people WHERE grain = 'month') <>
            (SELECT coalesce(-sum(amount), 0) FROM ledger_entries e JOIN wallets w ON w.id = wallet_id
            WHERE w.kind <> 'system' AND turn_id IS NOT NULL)""",
        "the record says another charge": """
            SELECT t.id FROM turns t WHERE t.credits <> coalesce((SELECT -sum(amount) FROM ledger_entries e
            JOIN wallets w ON w.id = e.wallet_id WHERE e.turn_id = t.id AND w.kind <> 'system'), 0)""",
        "more charged than was held": """
            SELECT t.id FROM turns t JOIN holds h ON h.turn_id = t.id WHERE t.credits > h.amount""",
        "an ended turn still holds": """
            SELECT t.id FROM turns t JOIN holds h ON h.turn_id = t.id
            WHERE t.state <> 'running' AND h.state = 'open'""",
        "a failed turn was charged": """
            SELECT id FROM turns WHERE state IN ('failed', 'refused') AND credits <> 0""",
    }
    with looking_into(database) as connection:
        return [f"{law}: {row[0]}" for law, query in laws.items() for row in connection.execute(text(query))]
