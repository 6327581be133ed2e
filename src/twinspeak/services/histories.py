"""One's own saved turns (reference 4.1). Values only: what is cut short for a list is for `transports.rest.render`."""

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller, scope_of_reach
from twinspeak.domain.errors import InvalidId, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.prompts import PromptSeen
from twinspeak.domain.turn import TurnRecord
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import memberships, turns
from twinspeak.persistence.repos.turns import HistoryFilter
from twinspeak.services import audit, policy
from twinspeak.services.audit import Target
from twinspeak.services.places import CURRENT, Place, scope_in

__all__ = ["Everywhere", "Histories", "HistoryFilter"]


class Everywhere(msgspec.Struct, frozen=True):
    """Records of all of a person's places. `matched` would have been found without a limit, of `total` there are."""

    records: list[TurnRecord]
    matched: int
    total: int
    twins: dict[str, Institution]


class Histories:
    """Reading history. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def list(
        self, caller: Caller, wanted: HistoryFilter | None = None, *, place: Place = CURRENT
    ) -> list[TurnRecord]:
        """Return the caller's records of a place that match, oldest first: the newest `limit` of them.

        A record asked for by its id, with `CURRENT`, is found in whichever of the caller's places it is. Raises
        InvalidId, NotAMember (unknown, foreign and inactive twins alike) and NotFound (unknown and foreign records
        alike).
        """
        wanted = wanted or HistoryFilter()
        return await self._db.read(lambda tx: _list(tx, caller, wanted, place))

    async def everywhere(self, caller: Caller, wanted: HistoryFilter) -> Everywhere:
        """Return the caller's records of all twins that he is an active member of, and the personal ones.

        Raises InvalidId and NotFound, as `list` does.
        """
        return await self._db.read(lambda tx: _everywhere(tx, caller, wanted))

    async def record(self, caller: Caller, history_id: str) -> TurnRecord:
        """Return one record with all details, reasoning too. Raises InvalidId and NotFound."""
        return await self._db.read(lambda tx: _record(tx, caller, history_id))

    async def prompt(self, by: Actor, history_id: str) -> tuple[PromptSeen, TurnRecord]:
        """Return what an administrator may see of what a model was sent in a turn of a twin, and the turn.

        That it was read is noted.

        Raises InvalidId, AdminRequired, and NotFound: unknown ones, those out of reach, those with nothing kept alike.
        """
        seen, record = await self._db.read(lambda tx: _prompt(tx, by.caller, history_id))
        target = Target("history", record.id, record.institution_id)
        await self._db.write(lambda tx: audit.note(tx, by, "prompt.read", target, after={"user": record.user_id}))
        return seen, record


def _prompt(tx: Tx, caller: Caller, history_id: str) -> tuple[PromptSeen, TurnRecord]:
    parsed = _parsed(history_id)
    reach = policy.reach(tx, caller, Verb.HISTORIES_LIST)
    scope = scope_of_reach(reach)
    seen = turns.prompt(tx, scope, parsed) if reach else None
    record = turns.record(tx, scope, parsed) if seen else None
    if seen is None or record is None:
        raise NotFound(param="id")
    return seen, record


def _list(tx: Tx, caller: Caller, wanted: HistoryFilter, place: Place) -> list[TurnRecord]:
    scope = scope_in(tx, caller, place)
    if wanted.history_id is None:
        return turns.history(tx, scope, wanted)
    history_id = _parsed(wanted.history_id)
    home = turns.scope_of_turn(tx, caller.user_id, history_id)
    records = turns.history(tx, home, HistoryFilter(history_id=history_id)) if home else []
    if not records or (place != CURRENT and home != scope):
        raise NotFound(param="historyId")
    return records


def _everywhere(tx: Tx, caller: Caller, wanted: HistoryFilter) -> Everywhere:
    if wanted.history_id is not None:
        wanted = msgspec.structs.replace(wanted, history_id=_parsed(wanted.history_id))
    records = turns.history_everywhere(tx, caller.user_id, wanted)
    if wanted.history_id is not None and not records:
        raise NotFound(param="historyId")
    matched, total = turns.count_everywhere(tx, caller.user_id, wanted)
    twins = {twin.id: twin for _, twin in memberships.of_user(tx, caller.user_id)}
    return Everywhere(records=records, matched=matched, total=total, twins=twins)


def _record(tx: Tx, caller: Caller, history_id: str) -> TurnRecord:
    parsed = _parsed(history_id)
    home = turns.scope_of_turn(tx, caller.user_id, parsed)
    if home is None or not turns.history(tx, home, HistoryFilter(history_id=parsed)):
        raise NotFound(param="historyId")
    record = turns.record(tx, home, parsed)
    if record is None:
        raise NotFound(param="historyId")
    return record


def _parsed(history_id: str) -> str:
    parsed = parse_id(history_id)
    if parsed is None:
        raise InvalidId(param="historyId")
    return parsed
