"""A twin's administrators are told when its month gets dear: once a level, by mail and in the log."""

from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

from tests import databases
from tests.persistence.world import World, settle_in
from twinspeak.domain.credits import Dollars, Price, Usage
from twinspeak.domain.mail import Mail
from twinspeak.domain.turn import TurnEnd, TurnState
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import audit_log
from twinspeak.persistence.repos.audit_log import LogFilter
from twinspeak.persistence.tables import institutions
from twinspeak.services.budgets import Budgets
from twinspeak.services.turn_store import TurnStore


class Box:
    """Keeps mails."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.mails.append(mail)


@pytest.fixture
def world(tmp_path: Path, database: str) -> Generator[World]:
    db = Database.open(databases.url_for(tmp_path))
    yield settle_in(db)
    db.close()


async def spend(world: World, dollars: float) -> None:
    """Have somebody ask oak something that costs so much."""
    plan = world.plan(world.ada, world.oak)
    price = Price(input=0, cached=0, completion=0, dollars=Dollars(input=1_000_000, cached=0, completion=0))
    store = TurnStore(world.db, lease_s=30, owner="me")
    model = msgspec.structs.replace(plan.model, price=price)
    await store.begin(msgspec.structs.replace(plan, model=model), wanted=0, least=0)
    await store.finish(
        TurnEnd(
            turn_id=plan.ask.turn_id,
            state=TurnState.DONE,
            output="So.",
            usage=Usage(input=round(dollars * 1_000_000), completion=1),
            charge=0,
            duration_ms=1,
            first_token_ms=1,
        )
    )


async def test_each_level_is_told_once(world: World) -> None:
    box = Box()
    budgets = Budgets(world.db, box)
    await spend(world, 7.9)
    assert await budgets.once() == 0  # no budget, no warning
    values = {"budget": 10, "contact_email": "chief@example.org, second@example.org"}
    changed = update(institutions).where(institutions.c.id == world.oak.id).values(values)
    await world.db.write(lambda tx: tx.run(changed))
    assert await budgets.once() == 0
    await spend(world, 0.2)
    assert [await budgets.once() for _ in range(3)] == [1, 0, 0]
    assert [mail.to for mail in box.mails] == ["chief@example.org", "second@example.org"]
    assert "80 %" in box.mails[0].text
    await spend(world, 5)
    assert [await budgets.once() for _ in range(2)] == [1, 0]
    assert len(box.mails) == 4
    assert "13.10" in box.mails[3].text
    wanted = LogFilter(action="budget.warning", institutions=frozenset({world.oak.id}))
    noted = await world.db.read(lambda tx: audit_log.listing(tx, wanted, limit=9))
    assert [kept.entry.details["after"]["level"] for kept in noted] == [100, 80]


async def test_what_is_dear_at_once_is_told_once(world: World) -> None:
    box = Box()
    changed = (
        update(institutions).where(institutions.c.id == world.oak.id).values(budget=1, contact_email="a@b.example")
    )
    await world.db.write(lambda tx: tx.run(changed))
    await spend(world, 2)
    assert [await Budgets(world.db, box).once() for _ in range(2)] == [1, 0]
    assert len(box.mails) == 1
