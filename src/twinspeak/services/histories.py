"""One's own saved turns (reference 4.1). Values only: what is cut short for a list is for `transports.rest.render`."""

from twinspeak.domain.caller import Caller, Scope, scope_of
from twinspeak.domain.errors import InvalidId, NotAMember, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.domain.turn import TurnRecord
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import memberships, turns
from twinspeak.persistence.repos.turns import HistoryFilter

__all__ = ["Histories", "HistoryFilter"]


class Histories:
    """Reading history. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def list(
        self, caller: Caller, wanted: HistoryFilter | None = None, *, institution_id: str | None = None
    ) -> list[TurnRecord]:
        """Return the caller's records that match, oldest first: the newest `limit` of them.

        Of the caller's active twin (the personal ones when there is none), or of the twin `institution_id`. A record
        asked for by its id is found in whichever of the caller's twins it is. Raises InvalidId, NotAMember (unknown,
        foreign and inactive twins alike) and NotFound (unknown and foreign records alike).
        """
        wanted = wanted or HistoryFilter()
        return await self._db.read(lambda tx: _list(tx, caller, wanted, institution_id))


def _list(tx: Tx, caller: Caller, wanted: HistoryFilter, institution_id: str | None) -> list[TurnRecord]:
    scope = _scope(tx, caller, institution_id)
    if wanted.history_id is None:
        return turns.history(tx, scope, wanted)
    history_id = parse_id(wanted.history_id)
    if history_id is None:
        raise InvalidId(param="historyId")
    home = turns.scope_of_turn(tx, caller.user_id, history_id)
    records = turns.history(tx, home, HistoryFilter(history_id=history_id)) if home else []
    if not records or (institution_id is not None and home != scope):
        raise NotFound(param="historyId")
    return records


def _scope(tx: Tx, caller: Caller, institution_id: str | None) -> Scope:
    if institution_id is None:
        return scope_of(caller, caller.institution_id)
    parsed = parse_id(institution_id)
    if parsed is None:
        raise InvalidId(param="institution")
    if memberships.twin(tx, caller.user_id, parsed) is None:
        raise NotAMember
    return scope_of(caller, parsed)
