"""What administrators say of this server's tools (reference content 5.1, admin 9.1, 9.2): status and words.

A record belongs to a tool that the server has; its name says which, and no record makes a tool. Names and statuses are
anybody's to read who is signed in, all else and every change is the super administrators'.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twinspeak.domain.caller import Actor, Scope, scope_of
from twinspeak.domain.errors import Conflict, InvalidId, NotFound, ValidationFailed
from twinspeak.domain.ids import parse_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.tools import ToolGrants, ToolRecord, ToolSpec
from twinspeak.domain.turn import TurnPlan
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import mcp_servers, memberships
from twinspeak.persistence.repos import tool_records as rows
from twinspeak.services import audit
from twinspeak.services.audit import Target
from twinspeak.services.passwords import field

_UNKNOWN = "This version of the server has no such tool."


class Shown(msgspec.Struct, frozen=True):
    """A record, what the tool says itself, and why nobody can use it now ("" when it can be used)."""

    record: ToolRecord
    spec: ToolSpec | None
    unavailable: str = ""


class ToolRecords:
    """One for the whole server. `tools` are those that it has; `missing` says of others why they are not there."""

    def __init__(self, db: Database, tools: Sequence[ToolSpec], missing: Mapping[str, str]) -> None:
        """Keep the parts."""
        self._db = db
        self._specs = {spec.name: spec for spec in tools}
        self._missing = {name: why for name, why in missing.items() if name not in self._specs}

    async def ensure(self) -> None:
        """Make the records of new tools: at the server's start."""
        names = [*self._specs, *self._missing]
        await self._db.write(lambda tx: rows.ensure(tx, names))

    async def listing(self, *, first: int, limit: int) -> tuple[list[Shown], int]:
        """Return a page by name, and how many there are."""
        found, total = await self._db.read(lambda tx: rows.listing(tx, first=first, limit=limit))
        return [self._shown(record) for record in found], total

    async def get(self, tool_id: str) -> Shown:
        """Return one. Raises InvalidId, NotFound."""
        return self._shown(await self._db.read(lambda tx: _one(tx, tool_id)))

    async def change(self, by: Actor, tool_id: str, changes: Mapping[str, Any]) -> Shown:
        """Change fields of a record, for calls that begin from now on. Raises InvalidId, NotFound."""

        def store(tx: Tx) -> ToolRecord:
            old = _one(tx, tool_id)
            rows.change(tx, old, changes)
            new = _one(tx, old.id)
            audit.note(tx, by, "tool.changed", Target("tool", old.id), before=_noted(old), after=_noted(new))
            return new

        return self._shown(await self._db.write(store))

    async def restore(self, by: Actor, name: str, changes: Mapping[str, Any]) -> Shown:
        """Bring a deleted tool back. Raises ValidationFailed for what is no tool, Conflict for one that is there."""

        def store(tx: Tx) -> ToolRecord:
            old = rows.named(tx, name)
            if old is None:
                raise ValidationFailed(_UNKNOWN, param="name", details=field("name", "is no tool of this server"))
            if old.status != "deleted":
                raise Conflict("This tool is there already.", param="name")
            rows.change(tx, old, {"status": "active", **changes})
            new = _one(tx, old.id)
            audit.note(tx, by, "tool.restored", Target("tool", old.id), before=_noted(old), after=_noted(new))
            return new

        return self._shown(await self._db.write(store))

    async def delete(self, by: Actor, tool_id: str) -> None:
        """Take a tool away from everybody, until it is restored. Raises InvalidId, NotFound."""

        def store(tx: Tx) -> None:
            old = _one(tx, tool_id)
            rows.change(tx, old, {"status": "deleted"})
            audit.note(tx, by, "tool.deleted", Target("tool", old.id), before=_noted(old))

        await self._db.write(store)

    async def grants(self, plan: TurnPlan) -> ToolGrants:
        """Return what a turn's place has of tools by now."""
        caller, place = plan.ask.caller, plan.institution.id if plan.institution else None

        def read(tx: Tx) -> ToolGrants:
            twin = memberships.twin(tx, caller.user_id, place) if place else None
            return grants_of(tx, scope_of(caller, place), twin)

        return await self._db.read(read)

    def _shown(self, record: ToolRecord) -> Shown:
        spec = self._specs.get(record.name)
        why = "" if spec else self._missing.get(record.name, _UNKNOWN)
        return Shown(record=record, spec=spec, unavailable=why)


def grants_of(tx: Tx, scope: Scope, twin: Institution | None) -> ToolGrants:
    """Return what a place has of tools; `twin` None is somebody's personal space."""
    servers = mcp_servers.active(tx, scope) if twin else ()
    off = frozenset(rows.names_of(tx, twin.tools_disabled) if twin and twin.tools_disabled else ())
    return ToolGrants(off=off, records=rows.edited(tx), servers=servers)


def _one(tx: Tx, tool_id: str) -> ToolRecord:
    wanted = parse_id(tool_id)
    if wanted is None:
        raise InvalidId(param="id")
    found = rows.by_id(tx, wanted)
    if found is None:
        raise NotFound(param="id")
    return found


def _noted(record: ToolRecord) -> dict[str, Any]:
    return msgspec.to_builtins(record)
