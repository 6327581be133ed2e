"""Many records of history at once, written as rows: nobody could ask a million questions first."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.persistence import fulltext
from twinspeak.persistence.db import Tx
from twinspeak.persistence.engines import make_engine, parse_url
from twinspeak.persistence.repos.turns import HISTORY
from twinspeak.persistence.tables import accounts, institutions, turns, users, wallets

TOGETHER = 2_000
"""Rows of one statement."""
OTHERS = 2_000
WORDS = 20_000
QUESTION, ANSWER = 12, 120
"""Words of a text."""
EACH = 25
"""Records of a conversation."""
BEGAN = 1_700_000_000_000
APART_MS = 20_000


@dataclass(frozen=True)
class Members:
    """A twin, its people, and the wallet that pays for them."""

    people: list[str]
    twin: str
    wallet: str


@dataclass(frozen=True)
class Seeded:
    """Whose records to look for, and what is in them."""

    user_id: str
    institution_id: str
    courses: list[int]
    moments: list[int]
    common: list[str]
    rare: list[str]


def seed(url: str, *, records: int, own: int) -> Seeded:
    """Fill an empty database: one twin, its members, `records` turns evenly in time, `own` of them one person's."""
    draw = random.Random(11)  # noqa: S311 -- a benchmark
    vocabulary = vocabulary_of(draw)
    engine = make_engine(parse_url(url), read_only=False)
    try:
        with engine.begin() as connection:
            members = members_of(connection)
        people, twin = members.people, members.twin
        rows = _turns(draw, vocabulary, members, records, max(1, records // own))
        for batch in iter(lambda: list(itertools.islice(rows, TOGETHER)), []):
            with engine.begin() as connection:
                _write(connection, batch)
        finished(engine)
        with engine.connect() as connection:
            mine = connection.execute(
                select(turns.c.course_id, turns.c.created).where(
                    turns.c.user_id == people[0], turns.c.institution_id == twin
                )
            ).all()
    finally:
        engine.dispose()
    return Seeded(
        user_id=people[0],
        institution_id=twin,
        courses=sorted({row.course_id for row in mine}),
        moments=[row.created for row in mine],
        common=vocabulary[:50],
        rare=vocabulary[WORDS // 2 : WORDS // 2 + 2_000],
    )


def _write(connection: Connection, batch: list[dict[str, Any]]) -> None:
    tx = Tx(connection)
    for row in batch:
        row["number"] = fulltext.number_of(row["created"], row["id"])
        row["words"] = fulltext.column_of(tx, row["user_id"], row["question"], row["output"])
    connection.execute(insert(turns), batch)
    for row in batch:
        fulltext.index(tx, row["number"], row["user_id"], row["question"], row["output"])


def vocabulary_of(draw: random.Random) -> list[str]:
    """Return invented words, all different."""
    pieces = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(draw.choices(pieces, k=draw.randint(1, 5)))] = None
    return list(found)


def finished(engine: Engine) -> None:
    """Have PostgreSQL look at what it has, as it does on its own sooner or later; SQLite never does."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            connection.commit()
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def members_of(connection: Connection) -> Members:
    """Add a twin and its people."""
    account, twin, wallet = new_id(), new_id(), new_id()
    connection.execute(insert(accounts).values(id=account, name="Bench", created=BEGAN))
    connection.execute(
        insert(institutions).values(id=twin, public_id=new_uuid(), account_id=account, name="Bench", created=BEGAN)
    )
    connection.execute(insert(wallets).values(id=wallet, kind="institution", owner_id=twin))
    people = [new_id() for _ in range(OTHERS + 1)]
    rows = [
        {"id": one, "email": f"{one}@example.org", "referral_id": one, "reset_code_id": one, "created": BEGAN}
        for one in people
    ]
    connection.execute(insert(users), rows)
    return Members(people, twin, wallet)


def _turns(
    draw: random.Random, vocabulary: list[str], members: Members, records: int, every: int
) -> Iterator[dict[str, Any]]:
    # As in any language: the n-th word comes about 1/n as often as the first.
    weights = list(itertools.accumulate(1 / (place + 2) for place in range(len(vocabulary))))
    people, twin, wallet = members.people, members.twin, members.wallet
    asked: dict[str, int] = {}
    for number in range(records):
        person = people[0] if number % every == 0 else draw.choice(people[1:])
        asked[person] = asked.get(person, 0) + 1
        words = draw.choices(vocabulary, cum_weights=weights, k=QUESTION + ANSWER)
        created = BEGAN + number * APART_MS
        yield {
            "id": f"{created // 1000:08x}{number:016x}",
            "institution_id": twin,
            "user_id": person,
            "course_id": BEGAN + asked[person] // EACH,
            "course_name": "Talk",
            "state": HISTORY[0],
            "face": "rest",
            "question": " ".join(words[:QUESTION]) + "?",
            "output": " ".join(words[QUESTION:]) + ".",
            "model": "local",
            "provider": "local",
            "success": True,
            "owner": "bench",
            "lease_until": created,
            "payer_wallet_id": wallet,
            "created": created,
            "ended": created,
        }
