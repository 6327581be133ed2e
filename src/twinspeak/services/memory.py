"""What is remembered of people and shared in twins: list, add, change, delete (reference content 8.1).

A model writes into what is private alone (`tools.builtin.set_user_memory`): what a document makes it write can then
reach nobody else. Sharing is a person's act. Everything says who wrote it, and in which turn.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Caller, Scope, scope_of, scope_of_reach
from twinspeak.domain.errors import CallerError, Conflict, InvalidId, NotFound, OwnerRequired
from twinspeak.domain.ids import parse_id
from twinspeak.domain.memory import Memory
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import memories
from twinspeak.services import policy
from twinspeak.services.places import CURRENT, Place, scope_in

__all__ = ["Memories", "Memory", "Page"]


class Page(msgspec.Struct, frozen=True):
    """A page of memories, the latest first."""

    rows: Sequence[Memory]
    total: int


class Memories:
    """One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def list(self, caller: Caller, place: Place = CURRENT) -> list[Memory]:
        """Return what the caller may read in a place: personal, private to the twin, shared in it.

        Raises InvalidId and NotAMember.
        """
        return await self._db.read(lambda tx: memories.readable(tx, scope_in(tx, caller, place)))

    async def add(self, caller: Caller, place: Place, fields: dict[str, Any]) -> str:
        """Add a memory in a place; return its id.

        Raises InvalidId, NotAMember, Conflict, and CallerError for sharing what belongs to no twin.
        """

        def store(tx: Tx) -> str:
            scope = scope_in(tx, caller, place)
            if fields.get("shared") and scope.institution_id is None:
                raise CallerError("What is personal cannot be shared: name a twin.", param="shared")
            return memories.add(tx, scope, {**fields, "source": "user"})

        return await self._db.write(store)

    async def change(self, caller: Caller, memory_id: str, changes: dict[str, Any], *, version: int | None) -> int:
        """Change value, description or sharing of one's own memory; return its new version.

        With `version`, only if it is still of that one: Conflict when somebody was faster. Raises InvalidId, NotFound
        (unknown and foreign alike), OwnerRequired (somebody else's that is shared here), Conflict and CallerError.
        """

        def store(tx: Tx) -> int:
            memory = _own(tx, caller, memory_id)
            if version is not None and version != memory.version:
                raise Conflict("This memory has changed meanwhile: look at it again.", param="version")
            if changes.get("shared") and memory.institution_id is None:
                raise CallerError("What is personal cannot be shared.", param="shared")
            if not memories.change(tx, memory, {**changes, "source": "user", "turn_id": None}):
                raise Conflict("This memory has changed meanwhile: look at it again.", param="version")
            return memory.version + 1

        return await self._db.write(store)

    async def delete(self, caller: Caller, memory_id: str) -> None:
        """Delete one's own memory. Raises InvalidId, NotFound and OwnerRequired, as `change` does."""

        def store(tx: Tx) -> None:
            memory = _own(tx, caller, memory_id)
            memories.remove(tx, _place_of(memory), memory.id)

        await self._db.write(store)

    async def delete_personal(self, caller: Caller) -> int:
        """Delete all that is personal; return how many."""
        return await self._db.write(lambda tx: memories.remove(tx, scope_of(caller, None)))

    async def administered(self, caller: Caller, *, institution: str, limit: int, offset: int) -> Page:
        """Return what is kept in the twins where a caller may list users. Raises AdminRequired and InvalidId."""

        def read(tx: Tx) -> Page:
            reach = policy.narrowed(tx, policy.reach(tx, caller, Verb.USERS_LIST), institution=institution)
            rows, total = memories.administered(tx, scope_of_reach(reach), limit=limit, offset=offset)
            return Page(rows=rows, total=total)

        return await self._db.read(read)

    async def remove(self, caller: Caller, memory_id: str) -> None:
        """Delete any memory of a twin where a caller may edit users. Raises AdminRequired, InvalidId and NotFound."""
        parsed = _parsed(memory_id)

        def store(tx: Tx) -> None:
            reach = policy.reach(tx, caller, Verb.USERS_EDIT)
            if not reach or not memories.remove(tx, scope_of_reach(reach), parsed):
                raise NotFound(param="id")

        await self._db.write(store)


def _own(tx: Tx, caller: Caller, memory_id: str) -> Memory:
    parsed = _parsed(memory_id)
    found = memories.own(tx, caller.user_id, parsed)
    if found is not None:
        # In a twin that he has left, a person's own is as good as gone.
        scope_in(tx, caller, found.institution_id)
        return found
    shared = memories.shared_in(tx, caller.institution_id) if caller.institution_id else []
    if any(one.id == parsed for one in shared):
        raise OwnerRequired
    raise NotFound(param="id")


def _place_of(memory: Memory) -> Scope:
    return Scope(user_id=memory.user_id, institution_id=memory.institution_id)


def _parsed(memory_id: str) -> str:
    parsed = parse_id(memory_id)
    if parsed is None:
        raise InvalidId(param="id")
    return parsed
