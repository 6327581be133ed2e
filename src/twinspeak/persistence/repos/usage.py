"""Roll-ups of what turns used: written in the transaction that ends a turn, so they are what the ledger says.

A turn counts in the hour, day, week and month of UTC in which it began, whenever it ends. `source` says once more, from
the ledger and the turns, what every row must be: `rebuild` writes that, `mismatches` compares.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Subquery,
    Table,
    TextClause,
    case,
    delete,
    except_,
    func,
    insert,
    literal,
    select,
    text,
)

from twinspeak.domain.credits import Usage
from twinspeak.domain.periods import DAY_MS, HOUR_MS, Grain, shifted, start_of
from twinspeak.domain.turn import ToolUse
from twinspeak.persistence.credit_tables import MEASURES, usage_people, usage_tools, usage_totals
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos.turns import HISTORY
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import ledger_entries, turn_details, turns, wallets

TOTALS_GRAINS = (Grain.HOUR, Grain.DAY)
PEOPLE_GRAINS = (Grain.DAY, Grain.WEEK, Grain.MONTH)
TOOL_CHARS, MODEL_CHARS = 200, 200
_TOGETHER = 500
_SHOWN = 5

_tools = msgspec.json.Decoder(tuple[ToolUse, ...])


class Used(msgspec.Struct, frozen=True):
    """What an ended turn comes to. `created` is when it began; `pooled`: its twin paid; `cost` is micro-dollars."""

    created: int
    institution_id: str | None
    user_id: str
    model: str
    assistant_id: str | None
    usage: Usage
    credits: int
    pooled: bool
    cost: int = 0
    tools: Sequence[ToolUse] = ()


def _upsert(table: Table, measures: Sequence[str]) -> TextClause:
    """Return a statement that adds to a row, or makes it: one that both databases read alike."""
    names = [column.name for column in table.columns]
    key = ", ".join(column.name for column in table.primary_key.columns)
    values = ", ".join(f":{name}" for name in names)
    added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in measures)
    sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {added}"  # noqa: S608 -- our own names
    return scoped(SYSTEM, text(sql))


_TOOL_MEASURES = ("calls", "failures", "duration_ms")
_ADD_TOTALS = _upsert(usage_totals, MEASURES)
_ADD_PEOPLE = _upsert(usage_people, MEASURES)
_ADD_TOOLS = _upsert(usage_tools, _TOOL_MEASURES)


def record(tx: Tx, *ended: Used) -> None:
    """Add ended turns. Rows are taken in one order, so that turns that end at once wait and do not lock up."""
    _add(tx, [(used, _measures(used)) for used in ended])
    called = [row for used in ended for row in _tool_rows(used)]
    if called:
        tx.run(_ADD_TOOLS, called)


def refund(tx: Tx, used: Used) -> None:
    """Take back what a turn was charged, where it was counted."""
    back = {"credits": -used.credits, "pooled": -used.credits if used.pooled else 0}
    _add(tx, [(used, {**dict.fromkeys(MEASURES, 0), **back})])


def _measures(used: Used) -> dict[str, int]:
    tokens = used.usage
    return {
        "turns": 1,
        "credits": used.credits,
        "pooled": used.credits if used.pooled else 0,
        "usage": tokens.total,
        "cached": tokens.cached,
        "completion": tokens.completion,
        "cost": used.cost,
    }


def _add(tx: Tx, counted: Sequence[tuple[Used, dict[str, int]]]) -> None:
    totals: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for used, measures in counted:
        twin, at = used.institution_id, used.created
        whole = {
            "place": twin or used.user_id,
            "model": used.model[:MODEL_CHARS],
            "assistant": used.assistant_id or "",
            "institution_id": twin,
            "user_id": None if twin else used.user_id,
            **measures,
        }
        totals += [{**whole, "grain": str(grain), "bucket": start_of(at, grain)} for grain in TOTALS_GRAINS]
        person = {"place": twin or "", "user_id": used.user_id, "institution_id": twin, **measures}
        people += [{**person, "grain": str(grain), "bucket": start_of(at, grain)} for grain in PEOPLE_GRAINS]
    tx.run(_ADD_TOTALS, totals)
    tx.run(_ADD_PEOPLE, people)


def _tool_rows(used: Used) -> list[dict[str, Any]]:
    counted: dict[str, list[int]] = {}
    for tool in used.tools:
        calls = counted.setdefault(tool.name[:TOOL_CHARS], [0, 0, 0])
        for place, more in enumerate((1, not tool.success, tool.duration_ms)):
            calls[place] += more
    twin = used.institution_id
    of = {"place": twin or used.user_id, "bucket": start_of(used.created, Grain.DAY), "institution_id": twin}
    owner = None if twin else used.user_id
    return [
        {**of, "user_id": owner, "tool": name, **dict(zip(_TOOL_MEASURES, counts, strict=True))}
        for name, counts in sorted(counted.items())
    ]


# -- what the rows must be, from the ledger and the turns -------------------------------------------------------------


def rebuild(tx: Tx) -> None:
    """Write every row anew."""
    for table in (usage_totals, usage_people, usage_tools):
        tx.run(scoped(SYSTEM, delete(table)))
    for table, _, wanted in _wanted(tx):
        names = [column.name for column in table.columns]
        tx.run(scoped(SYSTEM, insert(table).from_select(names, wanted)))
    for used in itertools.chain.from_iterable(_tool_pages(tx)):
        tx.run(_ADD_TOOLS, _tool_rows(used))


def mismatches(tx: Tx) -> list[str]:
    """Return in words which roll-ups are not what ledger and turns say; an empty list means all is well."""
    found: list[str] = []
    for table, grain, wanted in _wanted(tx):
        kept = select(*table.columns).where(table.c.grain == grain)
        for one, other, what in ((wanted, kept, "is missing or wrong"), (kept, wanted, "should not be as it is")):
            odd = tx.all(scoped(SYSTEM, except_(one, other).limit(_SHOWN)))
            found += [f"usage by {grain} of {row.place or 'nowhere'} at {row.bucket}: a row {what}" for row in odd]
    return found


def _wanted(tx: Tx) -> Iterator[tuple[Table, Grain, Select[Any]]]:
    for grain in TOTALS_GRAINS:
        yield usage_totals, grain, _totals(grain)
    for grain, bucket in (
        (Grain.DAY, _bucket(Grain.DAY)),
        (Grain.WEEK, _bucket(Grain.WEEK)),
        (Grain.MONTH, _month(tx)),
    ):
        yield usage_people, grain, _people(grain, bucket)


def _totals(grain: Grain) -> Select[Any]:
    base = _base(_bucket(grain))
    owner = case((base.c.institution_id.is_(None), base.c.user_id))
    place = func.coalesce(base.c.institution_id, base.c.user_id)
    key = (place, base.c.bucket, base.c.model, base.c.assistant, base.c.institution_id, owner)
    columns = (
        place.label("place"),
        literal(str(grain)).label("grain"),
        *key[1:5],
        owner.label("user_id"),
    )
    return select(*columns, *_sums(base)).group_by(*key)


def _people(grain: Grain, bucket: ColumnElement[int]) -> Select[Any]:
    base = _base(bucket)
    place = func.coalesce(base.c.institution_id, "")
    columns = (place.label("place"), literal(str(grain)).label("grain"), base.c.bucket, base.c.user_id)
    return select(*columns, base.c.institution_id, *_sums(base)).group_by(
        base.c.institution_id, base.c.bucket, base.c.user_id
    )


def _sums(base: Subquery) -> list[ColumnElement[Any]]:
    return [func.sum(base.c[name]).label(name) for name in MEASURES]


def _base(bucket: ColumnElement[int]) -> Subquery:
    """Select the history's turns with what the ledger says of each."""
    paid = (
        select(
            ledger_entries.c.turn_id,
            func.sum(-ledger_entries.c.amount).label("credits"),
            func.sum(case((wallets.c.kind == "institution", -ledger_entries.c.amount), else_=0)).label("pooled"),
        )
        .join(wallets, wallets.c.id == ledger_entries.c.wallet_id)
        .where(ledger_entries.c.turn_id.is_not(None), wallets.c.kind != "system")
        .group_by(ledger_entries.c.turn_id)
        .subquery()
    )
    columns = (
        turns.c.institution_id,
        turns.c.user_id,
        func.substr(turns.c.model, 1, MODEL_CHARS).label("model"),
        func.coalesce(turns.c.assistant_id, "").label("assistant"),
        bucket.label("bucket"),
        literal(1).label("turns"),
        func.coalesce(paid.c.credits, 0).label("credits"),
        func.coalesce(paid.c.pooled, 0).label("pooled"),
        (turns.c.usage_input + turns.c.usage_completion).label("usage"),
        turns.c.usage_cached.label("cached"),
        turns.c.usage_completion.label("completion"),
        turns.c.cost,
    )
    of_history = select(*columns).outerjoin(paid, paid.c.turn_id == turns.c.id).where(turns.c.state.in_(HISTORY))
    return of_history.subquery()


def _bucket(grain: Grain) -> ColumnElement[int]:
    """Do what `start_of` does, in SQL; months are for `_month`."""
    if grain is Grain.WEEK:
        return ((turns.c.created // DAY_MS + 3) // 7 * 7 - 3) * DAY_MS
    length = HOUR_MS if grain is Grain.HOUR else DAY_MS
    return turns.c.created // length * length


def _month(tx: Tx) -> ColumnElement[int]:
    """Do it for months, whose lengths no arithmetic knows: those that there are, one after the other."""
    row = tx.first(
        scoped(SYSTEM, select(func.min(turns.c.created).label("first"), func.max(turns.c.created).label("last")))
    )
    first, last = (0, 0) if row is None or row.first is None else (row.first, row.last)
    month = start_of(first, Grain.MONTH)
    ways: list[tuple[ColumnElement[bool], int]] = []
    while month <= last:
        following = shifted(month, Grain.MONTH, 1)
        ways.append((turns.c.created < following, month))
        month = following
    return case(*ways, else_=0) if ways else turns.c.created


def _tool_pages(tx: Tx) -> Iterator[list[Used]]:
    columns = (
        turns.c.id, turns.c.created, turns.c.institution_id, turns.c.user_id, turns.c.model, turns.c.assistant_id,
        turn_details.c.tools,
    )  # fmt: skip
    with_tools = select(*columns).join(turn_details, turn_details.c.turn_id == turns.c.id)
    of_history = (turns.c.state.in_(HISTORY),)
    last = ""
    while rows := tx.all(
        scoped(
            SYSTEM,
            with_tools.where(turn_details.c.tools != "[]", *of_history, turns.c.id > last)
            .order_by(turns.c.id)
            .limit(_TOGETHER),
        )
    ):
        yield [_used_tools(row) for row in rows]
        last = rows[-1].id


def _used_tools(row: Row[Any]) -> Used:
    return Used(
        created=row.created,
        institution_id=row.institution_id,
        user_id=row.user_id,
        model=row.model,
        assistant_id=row.assistant_id,
        usage=Usage(),
        credits=0,
        pooled=False,
        tools=_tools.decode(row.tools),
    )
