"""Conversations for outside: exports, and links that show them to others (decision 037).

A link's secret is shown once and kept as a hash. It shows what was there when it was made, without what was forgotten
since; it ends by time, by its owner, and when the owner leaves the twin or is suspended. Who has not the secret learns
nothing: unknown, ended and foreign links are answered alike.
"""

import hashlib
import secrets
from collections.abc import AsyncGenerator

import msgspec

from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict, InvalidId, NotFound
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.transcript import Heading
from twinspeak.domain.turn import TurnRecord
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, shares, turns
from twinspeak.persistence.repos.shares import Share
from twinspeak.persistence.repos.turns import HistoryFilter
from twinspeak.services.places import Place, scope_in

__all__ = ["MOST_DAYS", "NewShare", "Share", "Transcript", "Transcripts"]

PAGE = 200
MOST_SHARES = 500
"""Links of a person that can be used at a time."""
DAYS, MOST_DAYS = 30, 365
_DAY_MS = 86_400_000


class NewShare(msgspec.Struct, frozen=True):
    """A link with its secret, which nobody can be told again."""

    share: Share
    token: str


class Transcript(msgspec.Struct, frozen=True):
    """A conversation to be read: its heading, and where its records are."""

    heading: Heading
    scope: Scope
    course_id: int | None
    turn_id: str | None
    until: int


class Transcripts:
    """Exports and links. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def of_course(self, caller: Caller, place: Place, course_id: int) -> Transcript:
        """Return one's own conversation to export. Raises InvalidId, NotAMember, and NotFound for an empty one."""

        def read(tx: Tx) -> Transcript:
            scope = scope_in(tx, caller, place)
            return _of_course(tx, scope, course_id, until=now_ms())

        return await self._db.read(read)

    async def records(self, transcript: Transcript) -> AsyncGenerator[list[TurnRecord]]:
        """Yield the records of a transcript page by page, oldest first."""
        scope, turn_id, course_id = transcript.scope, transcript.turn_id, transcript.course_id
        if turn_id is not None:
            yield await self._db.read(lambda tx: turns.history(tx, scope, HistoryFilter(history_id=turn_id)))
            return
        after = 0
        while course_id is not None:
            page, after = await self._db.read(
                lambda tx, start=after: turns.pages(
                    tx, scope, course_id, after=start, until=transcript.until, most=PAGE
                )
            )
            if not page:
                return
            yield page

    async def share(
        self, caller: Caller, place: Place, *, course_id: int | None, history_id: str | None, days: int = DAYS
    ) -> NewShare:
        """Make a link to a conversation, or to one record.

        Raises InvalidId, NotAMember, NotFound, and Conflict for one more than there may be.
        """
        token = secrets.token_urlsafe(32)

        def store(tx: Tx) -> Share:
            now = now_ms()
            scope, turn_id = _shown(tx, caller, place, course_id, history_id)
            if shares.count(tx, caller.user_id, now=now) >= MOST_SHARES:
                raise Conflict(f"You have {MOST_SHARES} links already: end some that you need no more.")
            made = Share(
                id=new_id(),
                institution_id=scope.institution_id,
                user_id=caller.user_id,
                turn_id=turn_id,
                course_id=None if turn_id else course_id,
                created=now,
                expires=now + days * _DAY_MS,
            )
            shares.add(tx, scope, made, _hash(token))
            return made

        return NewShare(share=await self._db.write(store), token=token)

    async def shares(self, caller: Caller) -> list[Share]:
        """Return one's own links that can be used, of all places, newest first."""
        return await self._db.read(lambda tx: shares.of_user(tx, caller.user_id, now=now_ms(), most=MOST_SHARES))

    async def revoke(self, caller: Caller, share_id: str) -> None:
        """End one's own link. Raises InvalidId, and NotFound for unknown, foreign and ended ones alike."""
        parsed = parse_id(share_id)
        if parsed is None:
            raise InvalidId(param="id")
        if not await self._db.write(lambda tx: shares.revoke(tx, caller.user_id, parsed, now=now_ms())):
            raise NotFound(param="id")

    async def shared(self, token: str) -> Transcript:
        """Return what a link shows. Raises NotFound, whatever the reason."""

        def read(tx: Tx) -> Transcript:
            found = shares.live(tx, _hash(token), now=now_ms())
            if found is None:
                raise NotFound(param="token")
            if found.turn_id is not None:
                return _of_turn(tx, found.scope, found.turn_id)
            return _of_course(tx, found.scope, found.course_id or 0, until=found.created)

        return await self._db.read(read)


def _shown(
    tx: Tx, caller: Caller, place: Place, course_id: int | None, history_id: str | None
) -> tuple[Scope, str | None]:
    """Return where what is to be shown is, and the record's id; make sure that there is something to show."""
    if history_id is None:
        scope = scope_in(tx, caller, place)
        _of_course(tx, scope, course_id or 0, until=now_ms())
        return scope, None
    parsed = parse_id(history_id)
    if parsed is None:
        raise InvalidId(param="id")
    home = turns.scope_of_turn(tx, caller.user_id, parsed)
    if home is None:
        raise NotFound(param="id")
    _of_turn(tx, home, parsed)
    return home, parsed


def _of_course(tx: Tx, scope: Scope, course_id: int, *, until: int) -> Transcript:
    first, _ = turns.pages(tx, scope, course_id, after=0, until=until, most=1)
    if not first:
        raise NotFound(param="course_id")
    heading = _heading(tx, scope, first[0].course_name)
    return Transcript(heading=heading, scope=scope, course_id=course_id, turn_id=None, until=until)


def _of_turn(tx: Tx, scope: Scope, turn_id: str) -> Transcript:
    found = turns.history(tx, scope, HistoryFilter(history_id=turn_id))
    if not found:
        raise NotFound(param="id")
    heading = _heading(tx, scope, found[0].favorite_name or found[0].course_name)
    return Transcript(heading=heading, scope=scope, course_id=None, turn_id=turn_id, until=found[0].created)


def _heading(tx: Tx, scope: Scope, title: str) -> Heading:
    twin = institutions.by_id(tx, scope.institution_id) if scope.institution_id else None
    return Heading(title=title, twin=(twin.ai_name or twin.name) if twin else "", at=now_ms())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
