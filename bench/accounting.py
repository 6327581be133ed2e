"""Roll-ups and administrators' histories where a million questions were asked, paid, cancelled, given back.

    python -m bench.accounting                     both databases, a million records: about an hour
    python -m bench.accounting --records 50000     a quick look

Writes turns and their ledger as rows, as `running` would have left them, and counts every one in the roll-ups by the
very function that the end of a turn calls. Then compares the roll-ups with the ledger to the credit, times what
administrators ask, and exports everything while watching the memory of this process.
"""

import argparse
import asyncio
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import psutil
from sqlalchemy import Connection, Row, insert, select, update

from bench.databases import fresh
from bench.history import print_table, timed
from bench.seeding import BEGAN, Members, finished, members_of, vocabulary_of
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.credits import Usage
from twinspeak.domain.ids import new_id
from twinspeak.domain.periods import DAY_MS, Grain
from twinspeak.persistence import fulltext
from twinspeak.persistence.conversation_tables import feedbacks
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.engines import make_engine, parse_url
from twinspeak.persistence.repos import usage as rollups
from twinspeak.persistence.repos import wallets as books
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import ledger_entries, turns, users, wallets
from twinspeak.services.admin_histories import AdminHistories, RecordFilter
from twinspeak.services.administered import Page
from twinspeak.services.usage import Chosen, PeopleFilter, Span
from twinspeak.services.usage import Usage as Charts
from twinspeak.transports.rest.admin_histories import flat

RECORDS = 1_000_000
TOGETHER = 2_000
APART_MS = 20_000
ROUNDS = 40
TARGET_MS = 300.0
MODELS = ("gpt-6-luna", "gpt-6-sol", "claude-opus", "local", "rare-model")
WEIGHTS = (60, 25, 14.9, 0.09, 0.01)
STATES = ("done", "cancelled", "failed", "interrupted", "refused")
OFTEN = (90, 5, 3, 1, 1)
RESULTS = Path(__file__).parent / "results" / "accounting.json"


def main() -> None:
    """Seed, compare, measure; leave the figures behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    figures: dict[str, Any] = {"records": options.records}
    for kind in options.databases.split(","):
        with fresh(kind) as url:
            began = time.monotonic()
            twin = seed(url, options.records)
            print(f"{kind}: {options.records} turns seeded in {time.monotonic() - began:.0f} s", flush=True)
            figures[kind] = asyncio.run(_measure(url, twin, options.records))
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def seed(url: str, records: int, seed: int = 11) -> str:
    """Fill an empty database; return the twin that everybody asked."""
    draw = random.Random(seed)  # noqa: S311 -- a benchmark
    engine = make_engine(parse_url(url), read_only=False)
    try:
        with engine.begin() as connection:
            members = members_of(connection)
            members = _own_wallets(connection, members)
        rows = _history(draw, members, records)
        for batch in iter(lambda: list(itertools.islice(rows, TOGETHER)), []):
            with engine.begin() as connection:
                _write(connection, draw, batch, members)
        with engine.begin() as connection:
            _settle(connection)
        finished(engine)
    finally:
        engine.dispose()
    return members.twin


def _own_wallets(connection: Connection, members: Members) -> Members:
    connection.execute(insert(wallets).values(id=_SYSTEM, kind="system", owner_id=books.SYSTEM_OWNER))
    rows = [{"id": new_id(), "kind": "user", "owner_id": one} for one in members.people]
    connection.execute(insert(wallets), rows)
    return members


_SYSTEM = new_id()


def _history(draw: random.Random, members: Members, records: int) -> Iterator[dict[str, Any]]:
    words = vocabulary_of(draw)
    weights = list(itertools.accumulate(1 / (place + 2) for place in range(len(words))))
    for number in range(records):
        created = BEGAN + number * APART_MS
        state = draw.choices(STATES, OFTEN)[0]
        said = draw.choices(words, cum_weights=weights, k=30)
        model = draw.choices(MODELS, WEIGHTS)[0]
        free = state in ("failed", "refused") or model == "local"
        late = 30 * DAY_MS if draw.random() < 0.001 else draw.randint(1_000, 60_000)
        yield {
            "id": f"{created // 1000:08x}{number:016x}",
            "institution_id": members.twin,
            "user_id": draw.choice(members.people),
            "course_id": BEGAN + number // 25,
            "course_name": f"Talk {number // 25 % 5_000}",
            "state": state,
            "face": "rest",
            "question": " ".join(said[:10]) + "?",
            "output": " ".join(said[10:]) + ".",
            "model": model,
            "provider": "local",
            "success": state in ("done", "cancelled", "interrupted"),
            "owner": "bench",
            "lease_until": created,
            "payer_wallet_id": members.wallet,
            "created": created,
            "ended": created + late,
            "usage_input": draw.randint(100, 40_000),
            "usage_cached": draw.randint(0, 100),
            "usage_completion": draw.randint(1, 4_000),
            "credits": 0 if free else draw.randint(1, 12),
            "cost": 0 if free else draw.randint(1, 90_000),
            "thumb": draw.choices(("", "up", "down"), (980, 15, 5))[0],
        }


def _write(connection: Connection, draw: random.Random, batch: list[dict[str, Any]], members: Members) -> None:
    """Write turns, their entries and their words, and count them; give every five hundredth its credits back."""
    tx = Tx(connection)
    entries: list[dict[str, Any]] = []
    for row in batch:
        row["number"] = fulltext.number_of(row["created"], row["id"])
        row["words"] = fulltext.column_of(tx, row["user_id"], row["question"], row["output"])
        if row["credits"]:
            entries += _entries(row, "turn", -row["credits"], members.wallet)
    back = [row for row in batch if row["credits"] and draw.random() < 0.002]
    for row in back:
        entries += _entries(row, "adjust", row["credits"], members.wallet)
    connection.execute(insert(turns), batch)
    connection.execute(insert(ledger_entries), entries)
    kept = [row for row in batch if row["state"] != "refused"]
    for row in kept:
        fulltext.index(tx, row["number"], row["user_id"], row["question"], row["output"])
    rollups.record(tx, *map(_used, kept))
    for row in back:
        rollups.refund(tx, _used(row))
        connection.execute(scoped(SYSTEM, update(turns).where(turns.c.id == row["id"]).values(credits=0)))
    said = [row for row in batch if row["thumb"]]
    for row in said[:1]:
        fields = {name: row[name] for name in ("created", "thumb", "institution_id", "user_id")}
        connection.execute(insert(feedbacks).values(id=new_id(), comment="Hm", turn_id=row["id"], **fields))


def _entries(row: dict[str, Any], kind: str, amount: int, wallet: str) -> list[dict[str, Any]]:
    entry = {"transfer_id": new_id(), "kind": kind, "turn_id": row["id"], "note": "", "created": row["ended"]}
    return [{**entry, "wallet_id": wallet, "amount": amount}, {**entry, "wallet_id": _SYSTEM, "amount": -amount}]


def _used(row: dict[str, Any]) -> rollups.Used:
    return rollups.Used(
        created=row["created"],
        institution_id=row["institution_id"],
        user_id=row["user_id"],
        model=row["model"],
        assistant_id=None,
        usage=Usage(input=row["usage_input"], cached=row["usage_cached"], completion=row["usage_completion"]),
        credits=row["credits"],
        pooled=True,
        cost=row["cost"],
    )


def _settle(connection: Connection) -> None:
    """Give the twin what its turns have cost, and a little more."""
    tx = Tx(connection)
    spent = sum(
        row.amount for row in tx.all(select(ledger_entries.c.amount).where(ledger_entries.c.wallet_id != _SYSTEM))
    )
    row = tx.first(select(wallets.c.id).where(wallets.c.kind == "institution"))
    assert row is not None
    entry = {"transfer_id": new_id(), "kind": "award", "note": "", "created": BEGAN}
    given = 100 - spent
    connection.execute(
        insert(ledger_entries),
        [{**entry, "wallet_id": row.id, "amount": given}, {**entry, "wallet_id": _SYSTEM, "amount": -given}],
    )
    for wallet, balance in ((row.id, 100), (_SYSTEM, -100)):
        connection.execute(update(wallets).where(wallets.c.id == wallet).values(balance=balance))


async def _measure(url: str, twin: str, records: int) -> dict[str, Any]:
    db = Database.open(url)
    try:
        began = time.monotonic()
        wrong = await db.read(rollups.mismatches) + await db.read(books.discrepancies)
        found: dict[str, Any] = {"mismatches": wrong, "compared_s": round(time.monotonic() - began, 1)}
        print(
            f"  roll-ups and ledger compared in {found['compared_s']} s: {wrong or 'equal to the credit'}", flush=True
        )
        person = await db.read(lambda tx: tx.first(select(users.c.id, users.c.email)))
        assert person is not None
        caller = Caller(user_id=person.id, email="", kind="super", session_id=new_id(), account_type="super")
        found["times"] = {}
        for name, ask in _asked(db, caller, twin, person, records).items():
            times = found["times"][name] = await timed(ask, ROUNDS)
            print_table(url.partition(":")[0], {name: times}, {"": TARGET_MS})
        found["export"] = await _export(db, caller, twin)
        return found
    finally:
        db.close()


def _asked(
    db: Database, caller: Caller, twin: str, person: Row[Any], records: int
) -> dict[str, Callable[[], Awaitable[object]]]:
    draw = random.Random(7)  # noqa: S311 -- a benchmark
    looking, charts = AdminHistories(db, _NOBODY, _NOBODY), Charts(db)
    by, chosen, everything = Actor(caller), Chosen(institution=twin), Chosen()
    end = BEGAN + records * APART_MS
    whole, month = Span(BEGAN - BEGAN % DAY_MS, end + DAY_MS), Span(end - 30 * DAY_MS, end + DAY_MS)
    days = (end - BEGAN) // DAY_MS

    def somewhere() -> Span:
        first = whole.since + draw.randint(0, max(0, days - 7)) * DAY_MS
        return Span(first, first + 7 * DAY_MS)

    async def page(wanted: RecordFilter, at: int = 1, among: Chosen = chosen) -> None:
        found = await looking.search(by, among, wanted, Page(page=at, size=100))
        for row in found.rows:
            flat(row, found.cards)

    anywhere = lambda: draw.randint(1, max(1, records // 110))  # noqa: E731 -- said once
    return {
        "list, the newest 100": lambda: page(RecordFilter()),
        "list, of all twins": lambda: page(RecordFilter(), among=everything),
        "list, a page anywhere": lambda: page(RecordFilter(), anywhere()),
        "list, a week": lambda: page(RecordFilter(span=somewhere())),
        "list, one person": lambda: page(RecordFilter(people=person.email)),
        "list, half of all people": lambda: page(RecordFilter(people="a"), anywhere() // 2 + 1),
        "list, a common model": lambda: page(RecordFilter(model=MODELS[0]), anywhere() // 2 + 1),
        "list, a rare model": lambda: page(RecordFilter(model=MODELS[4])),
        "list, a conversation's name": lambda: page(RecordFilter(course_name=f"Talk {draw.randint(0, 4_000)}")),
        "list, with feedback": lambda: page(RecordFilter(feedback=True)),
        "list, a person's with a model": lambda: page(RecordFilter(people=person.email, model=MODELS[1])),
        "list, two words of a person": lambda: page(RecordFilter(keyword=" ".join(_COMMON[:2]), people=person.email)),
        "list, a word of sixteen people": lambda: page(
            RecordFilter(keyword=draw.choice(_COMMON), people=person.email[:23])
        ),
        "one record": lambda: looking.get(by, f"{(BEGAN + 9 * APART_MS) // 1000:08x}{9:016x}"),
        "chart, hours of a month": lambda: charts.timeline(caller, chosen, Grain.HOUR, month, together=False),
        "chart, days of everything": lambda: charts.timeline(caller, everything, Grain.DAY, whole, together=False),
        "chart, months of everything": lambda: charts.timeline(caller, everything, Grain.MONTH, whole, together=True),
        "chart, totals": lambda: charts.totals(caller, everything, Grain.DAY, whole, "place"),
        "chart, models": lambda: charts.totals(caller, chosen, Grain.DAY, whole, "model"),
        "chart, people by hour of a week": lambda: charts.unique_people(
            caller, chosen, Grain.HOUR, somewhere(), together=False
        ),
        "chart, people by day": lambda: charts.unique_people(caller, chosen, Grain.DAY, whole, together=False),
        "chart, people by month": lambda: charts.unique_people(caller, chosen, Grain.MONTH, whole, together=True),
        "extract, people of a week": lambda: charts.extract(caller, chosen, Grain.DAY, somewhere(), PeopleFilter()),
        "extract, people by month": lambda: charts.extract(caller, chosen, Grain.MONTH, month, PeopleFilter()),
    }


_COMMON = vocabulary_of(random.Random(11))[:50]  # noqa: S311 -- the words that the records are made of


_NOBODY = cast("Any", None)
"""No model is asked here."""


async def _export(db: Database, caller: Caller, twin: str) -> dict[str, Any]:
    """Export everything; return how long it took, and the memory of this process: of the first records, and most."""
    process, began, rows, peak, early = psutil.Process(), time.monotonic(), 0, 0, 0
    looking = AdminHistories(db, _NOBODY, _NOBODY)
    async for page, cards in looking.export(Actor(caller), Chosen(institution=twin), RecordFilter()):
        for row in page:
            flat(row, cards)
        rows += len(page)
        taken = process.memory_info()
        used = taken.rss - taken.shared  # SQLite maps a part of its file, which is counted as ours
        if rows < 20_000:
            early = max(early, used)
        peak = max(peak, used)
    figures = {
        "rows": rows,
        "seconds": round(time.monotonic() - began, 1),
        "mb_after_20000": round(early / 1e6, 1),
        "mb_peak": round(peak / 1e6, 1),
    }
    print(f"  export: {figures}", flush=True)
    return figures


if __name__ == "__main__":
    main()
