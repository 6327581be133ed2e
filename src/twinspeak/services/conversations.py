"""One's own conversations: listing, renaming, clearing, and marking single records (reference 4.3 to 4.6, 8.2)."""

from typing import Any

import msgspec

from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.errors import InvalidId, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import conversations, feedbacks, turns
from twinspeak.persistence.repos.conversations import Listed
from twinspeak.persistence.repos.turns import HistoryFilter
from twinspeak.services.places import CURRENT, Place, scope_in

__all__ = ["Conversations", "Feedback", "Listed", "Marks"]


class Marks(msgspec.Struct, frozen=True):
    """What to set of a record; None leaves it. `thumb` is up, down or "" for neither."""

    favorite: bool | None = None
    favorite_name: str | None = None
    thumb: str | None = None


class Feedback(msgspec.Struct, frozen=True):
    """What somebody says, of a record or at large; `thumb` as in `Marks`."""

    comment: str
    thumb: str = ""
    history_id: str | None = None


class Conversations:
    """What people do with their conversations. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def list(
        self, caller: Caller, place: Place = CURRENT, *, faces: tuple[str, ...] | None = None
    ) -> list[Listed]:
        """Return the conversations of a place, the latest first; `faces` are those whose dialogues count, None for all.

        Raises InvalidId and NotAMember.
        """
        return await self._db.read(lambda tx: conversations.listing(tx, scope_in(tx, caller, place), faces))

    async def rename(self, caller: Caller, place: Place, course_id: int, name: str) -> int:
        """Rename a conversation; return its records: 0 for a number that is none of the caller's.

        Raises InvalidId and NotAMember.
        """
        return await self._db.write(lambda tx: conversations.rename(tx, scope_in(tx, caller, place), course_id, name))

    async def clear(self, caller: Caller, place: Place, course_id: int) -> int:
        """Forget a conversation; return its records; favourites stay, outside of it. Raises InvalidId, NotAMember."""
        return await self._db.write(lambda tx: conversations.clear(tx, scope_in(tx, caller, place), course_id))

    async def forget(self, caller: Caller, history_id: str) -> None:
        """Forget one record. Raises InvalidId, and NotFound for an unknown, a foreign and a forgotten one alike."""
        await self._db.write(lambda tx: _mark(tx, caller, history_id, {"forgotten": True}))

    async def mark(self, caller: Caller, history_id: str, marks: Marks) -> None:
        """Set favourite, its name, or the thumb of a record. Raises InvalidId and NotFound.

        A name is a favourite's: it goes when the record is one no more.
        """
        values = {name: value for name, value in msgspec.structs.asdict(marks).items() if value is not None}
        if values.get("favorite") is False:
            values["favorite_name"] = ""
        await self._db.write(lambda tx: _mark(tx, caller, history_id, values))

    async def say(self, caller: Caller, feedback: Feedback) -> str:
        """Keep feedback with what it is about; a thumb is set on the record too. Return its id.

        Raises InvalidId and NotFound.
        """
        return await self._db.write(lambda tx: _say(tx, caller, feedback))


def _home(tx: Tx, caller: Caller, history_id: str) -> tuple[Scope, str]:
    parsed = parse_id(history_id)
    if parsed is None:
        raise InvalidId(param="id")
    home = turns.scope_of_turn(tx, caller.user_id, parsed)
    if home is None:
        raise NotFound(param="id")
    return home, parsed


def _mark(tx: Tx, caller: Caller, history_id: str, values: dict[str, Any]) -> None:
    home, parsed = _home(tx, caller, history_id)
    if not conversations.mark(tx, home, parsed, values):
        raise NotFound(param="id")


def _say(tx: Tx, caller: Caller, feedback: Feedback) -> str:
    if feedback.history_id is None:
        scope = scope_in(tx, caller, CURRENT)
        return feedbacks.add(tx, scope, comment=feedback.comment, thumb=feedback.thumb, turn_id=None, context={})
    home, parsed = _home(tx, caller, feedback.history_id)
    found = turns.history(tx, home, HistoryFilter(history_id=parsed))
    if not found:
        raise NotFound(param="id")
    if feedback.thumb:
        conversations.mark(tx, home, parsed, {"thumb": feedback.thumb})
    record = found[0]
    context = {
        "course_id": record.course_id,
        "course_name": record.course_name,
        "question": record.question[:2_000],
        "model": record.model,
    }
    return feedbacks.add(tx, home, comment=feedback.comment, thumb=feedback.thumb, turn_id=parsed, context=context)
