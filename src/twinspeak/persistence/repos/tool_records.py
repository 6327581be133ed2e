"""What administrators say of this server's tools: one record for each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, insert, select, update

from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.tools import ARGUMENTS, ToolRecord
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.tool_tables import tools

_COLUMNS = [tools.c[name] for name in ToolRecord.__struct_fields__]
_THERE = select(*_COLUMNS)
_EDITED = _THERE.where(tools.c.updated != tools.c.created)
_NAMES = select(tools.c.id, tools.c.name).where(tools.c.id.in_(bindparam("ids", expanding=True)))
_JSON = ("arguments", "categories")
_words = msgspec.json.Decoder(tuple[str, ...])


def ensure(tx: Tx, names: Iterable[str]) -> None:
    """Make a record for each tool that has none."""
    known = {row.name for row in tx.all(select(tools.c.id, tools.c.name))}
    now = now_ms()
    for name in names:
        if name not in known:
            tx.run(insert(tools).values(id=new_id(), name=name, created=now, updated=now))


def edited(tx: Tx) -> dict[str, ToolRecord]:
    """Return the records that say something, deleted ones too, by name."""
    return {record.name: record for record in map(_record, tx.all(_EDITED))}


def names_of(tx: Tx, said: Sequence[str]) -> set[str]:
    """Return names of tools that are said by name or by a record's id; a word that is neither stays as it is."""
    return {*said, *names_by_id(tx, said).values()}


def names_by_id(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of tools by their records' ids, of those among `ids` that are one."""
    return {row.id: row.name for row in tx.all(_NAMES, {"ids": list(ids)})}


def by_id(tx: Tx, tool_id: str) -> ToolRecord | None:
    """Return a record that is not deleted."""
    row = tx.first(_THERE.where(tools.c.id == tool_id, tools.c.status != "deleted"))
    return None if row is None else _record(row)


def named(tx: Tx, name: str) -> ToolRecord | None:
    """Return a record of any status."""
    row = tx.first(_THERE.where(tools.c.name == name))
    return None if row is None else _record(row)


def listing(tx: Tx, *, first: int, limit: int) -> tuple[list[ToolRecord], int]:
    """Return a page of records by name, deleted ones left out, and how many there are."""
    there = tools.c.status != "deleted"
    rows = tx.all(_THERE.where(there).order_by(tools.c.name).offset(first).limit(limit))
    return [_record(row) for row in rows], tx.value(select(func.count()).select_from(tools).where(there))


def change(tx: Tx, record: ToolRecord, changes: Mapping[str, Any]) -> None:
    """Write fields of a record."""
    values = {name: msgspec.json.encode(value).decode() if name in _JSON else value for name, value in changes.items()}
    # Later than `created` even within one millisecond: that is how an edited record is known.
    updated = max(now_ms(), record.created + 1)
    tx.run(update(tools).where(tools.c.id == record.id).values(**values, updated=updated))


def _record(row: Row[Any]) -> ToolRecord:
    fields = as_dict(row)
    for name in _JSON:
        fields[name] = _words.decode(fields[name])
    fields["arguments"] = (fields["arguments"] + ("",) * ARGUMENTS)[:ARGUMENTS]
    return ToolRecord(**fields)
