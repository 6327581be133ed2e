"""How much was used, by whom, of what: gauges of caps, one's own use, and the charts of administrators.

Everything comes from the roll-ups (`persistence.repos.usage`), so it is right to the credit and costs the same however
long the history is (reference: admin 4.7, 4.8, 7.3; decision 046).
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from twinspeak.domain.access import Reach, Verb
from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.caps import Standing
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import InvalidId, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.domain.periods import DAY_MS, Grain, shifted, start_of
from twinspeak.persistence.credit_tables import MEASURES
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import administration, caps, memberships
from twinspeak.persistence.repos import usage_reading as reading
from twinspeak.persistence.repos.caps import Gauges
from twinspeak.persistence.repos.usage_reading import Part, PeopleFilter, PersonKey, Span, Within
from twinspeak.services import policy

__all__ = ["AtLimit", "Bucket", "Chosen", "Extract", "Gauges", "Limits", "PeopleFilter", "PersonRow", "Span", "Usage"]

MOST_ROWS = 5_000
"""Rows of an extract; the export has no such limit."""
DEFAULT_DAYS = 30
PAGE = 500


class Bucket(msgspec.Struct, frozen=True):
    """What was used in a period; `values` by the names of `credit_tables.MEASURES`."""

    start: int
    values: dict[str, int]


class Limits(msgspec.Struct, frozen=True):
    """How a member stands, and what he used by day."""

    gauges: Gauges
    buckets: list[Bucket]


class AtLimit(msgspec.Struct, frozen=True):
    """How many people and memberships of an account are at a cap, and of how many."""

    enabled: bool
    users: int
    users_at_cap: int
    memberships: int
    memberships_at_cap: int


class Chosen(msgspec.Struct, frozen=True):
    """Which twins: ids parted by blanks."""

    institution: str = ""
    account: str = ""


class PersonRow(msgspec.Struct, frozen=True):
    """What somebody used in a twin in a period, and who it is. `cap` None: nothing is capped."""

    user_id: str
    email: str
    fname: str
    lname: str
    institution_id: str
    institution_name: str
    ai_name: str
    start: int
    queries: int
    credits: int
    usage: int
    cost: int
    lifetime: int
    cap: int | None


class Extract(msgspec.Struct, frozen=True):
    """Rows of people by period. Means are credits a person, and a person in a twin."""

    rows: list[PersonRow]
    truncated: bool
    mean_by_user: float
    mean_by_membership: float
    at_cap: int


class Usage:
    """Reading what was used. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def gauges(self, caller: Caller) -> Gauges:
        """Return how the caller stands in the active twin: what would stop the next question there."""
        twin = caller.institution_id
        if twin is None:
            return Gauges(enabled=False, standing=Standing(), gauges={})
        return await self._db.read(lambda tx: caps.gauges(tx, caller.user_id, twin))

    async def limits(self, caller: Caller, user_id: str, institution_id: str, *, days: int) -> Limits:
        """Return how a member of a twin stands. Raises as `policy.require` does, NotFound for who is no member."""

        def read(tx: Tx) -> Limits:
            twin = policy.require(tx, caller, Verb.USERS_LIST, institution_id, param="institutionId")
            user = parse_id(user_id)
            if user is None:
                raise InvalidId(param="userId")
            if memberships.get(tx, user, twin) is None:
                raise NotFound(param="userId")
            span = _last(days)
            rows = reading.own(tx, Scope(user_id=user, institution_id=twin), Grain.DAY, span)
            return Limits(gauges=caps.gauges(tx, user, twin), buckets=_filled(rows, Grain.DAY, span))

        return await self._db.read(read)

    async def at_limit(self, caller: Caller, account_id: str) -> AtLimit:
        """Return how many of an account's people are at a cap. Raises as `policy.require_account` does."""

        def read(tx: Tx) -> AtLimit:
            account = policy.require_account(tx, caller, account_id, param="accountId")
            row = administration.accounts_by_id(tx, [account]).get(account)
            twins = policy.narrowed(tx, policy.EVERYTHING, account=account).institutions
            listed = reading.members(tx, twins)
            at_cap = caps.blocked(tx, account)
            reached = [(one.user_id, one.institution_id) for one in listed]
            reached = [one for one in reached if one in at_cap]
            return AtLimit(
                enabled=row is not None
                and any(cap >= 0 for cap in (row.cap_h24, row.cap_institution, row.cap_account)),
                users=len({one.user_id for one in listed}),
                users_at_cap=len({user for user, _ in reached}),
                memberships=len(listed),
                memberships_at_cap=len(reached),
            )

        return await self._db.read(read)

    async def history(self, caller: Caller, grain: Grain, *, days: int, everybody: bool) -> list[Bucket]:
        """Return what the caller used in the active place, or with `everybody` all its members, by period.

        `everybody` takes `histories.list` there: raises AdminRequired, EntitlementMissing, NotFound.
        """

        def read(tx: Tx) -> list[Bucket]:
            span = _last(days)
            span = Span(start_of(span.since, grain), span.until)
            twin = caller.institution_id
            if not everybody:
                rows = reading.own(tx, Scope(user_id=caller.user_id, institution_id=twin), grain, span)
                return _filled(rows, grain, span)
            if twin is None:
                raise NotFound("You are in no digital twin.")
            twin = policy.require(tx, caller, Verb.HISTORIES_LIST, twin)
            where = reading.within(tx, Reach(institutions=frozenset({twin})))
            return _filled(reading.people(tx, where, grain, span, ["bucket"]), grain, span)

        return await self._db.read(read)

    async def timeline(
        self, caller: Caller, chosen: Chosen, grain: Grain, span: Span, *, together: bool
    ) -> dict[tuple[int, str], dict[str, int]]:
        """Return what was used by period and twin ("" for all together). Raises InvalidId."""

        def read(tx: Tx) -> dict[tuple[int, str], dict[str, int]]:
            where = _within(tx, caller, chosen)
            fine = Grain.HOUR if grain is Grain.HOUR else Grain.DAY
            found = reading.folded(reading.totals(tx, where, fine, span, ["bucket", "place"]), grain)
            return _together(found) if together else found

        return await self._db.read(read)

    async def totals(
        self, caller: Caller, chosen: Chosen, grain: Grain, span: Span, by: str
    ) -> list[tuple[str, dict[str, int]]]:
        """Return sums by a column of `usage_totals`: place, model or assistant. Raises InvalidId."""

        def read(tx: Tx) -> list[tuple[str, dict[str, int]]]:
            fine = Grain.HOUR if grain is Grain.HOUR else Grain.DAY
            rows = reading.totals(tx, _within(tx, caller, chosen), fine, span, [by])
            return [(getattr(row, by), {name: int(getattr(row, name)) for name in MEASURES}) for row in rows]

        return await self._db.read(read)

    async def tools(self, caller: Caller, chosen: Chosen, span: Span) -> list[tuple[str, dict[str, int]]]:
        """Return how often tools were called, failed, and how long they took. Raises InvalidId."""

        def read(tx: Tx) -> list[tuple[str, dict[str, int]]]:
            rows = reading.tools(tx, _within(tx, caller, chosen), span, ["tool"])
            names = ("calls", "failures", "duration_ms")
            return [(row.tool, {name: int(getattr(row, name)) for name in names}) for row in rows]

        return await self._db.read(read)

    async def by_person(self, caller: Caller, chosen: Chosen, span: Span) -> list[tuple[str, dict[str, int]]]:
        """Return sums by person; whole days. Raises InvalidId."""

        def read(tx: Tx) -> list[tuple[str, dict[str, int]]]:
            rows = reading.people(tx, _within(tx, caller, chosen), Grain.DAY, span, ["user_id"])
            return [(row.user_id, {name: int(getattr(row, name)) for name in MEASURES}) for row in rows]

        return await self._db.read(read)

    async def unique_people(
        self, caller: Caller, chosen: Chosen, grain: Grain, span: Span, *, together: bool
    ) -> Sequence[tuple[int, str, int]]:
        """Return (period, twin or "", people) where anybody asked anything. Raises InvalidId."""

        def read(tx: Tx) -> Sequence[tuple[int, str, int]]:
            return reading.unique_people(tx, _within(tx, caller, chosen), grain, span, together=together)

        return await self._db.read(read)

    async def extract(self, caller: Caller, chosen: Chosen, grain: Grain, span: Span, wanted: PeopleFilter) -> Extract:
        """Return who used how much in each period, at most `MOST_ROWS` rows. Raises InvalidId."""

        def read(tx: Tx) -> Extract:
            where = _within(tx, caller, chosen)
            rows = reading.persons(tx, where, grain, span, wanted, Part(MOST_ROWS + 1))
            shown = _persons(tx, where, rows[:MOST_ROWS])
            credits, people, pairs = reading.mean_of(tx, where, grain, span, wanted)
            return Extract(
                rows=shown,
                truncated=len(rows) > MOST_ROWS,
                mean_by_user=round(credits / people, 2) if people else 0.0,
                mean_by_membership=round(credits / pairs, 2) if pairs else 0.0,
                at_cap=len({row.user_id for row in shown if row.cap is not None and row.lifetime >= row.cap}),
            )

        return await self._db.read(read)

    async def extracted(
        self, caller: Caller, chosen: Chosen, grain: Grain, span: Span, wanted: PeopleFilter
    ) -> AsyncGenerator[list[PersonRow]]:
        """Yield the same without a limit, page by page: one page is in memory at a time. Raises InvalidId."""
        after: PersonKey | None = None
        while True:

            def read(tx: Tx, after: PersonKey | None = after) -> list[PersonRow]:
                where = _within(tx, caller, chosen)
                return _persons(tx, where, reading.persons(tx, where, grain, span, wanted, Part(PAGE, after)))

            page = await self._db.read(read)
            if page:
                yield page
            if len(page) < PAGE:
                return
            last = page[-1]
            after = PersonKey(bucket=last.start, place=last.institution_id, user_id=last.user_id)


def span_of(grain: Grain, range_: int) -> Span:
    """Return the last `abs(range_)` periods before the present one, and that."""
    now = now_ms()
    present = start_of(now, grain)
    return Span(shifted(present, grain, -abs(range_)), shifted(present, grain, 1))


def _last(days: int) -> Span:
    today = start_of(now_ms(), Grain.DAY)
    return Span(today - (days - 1) * DAY_MS, today + DAY_MS)


def _filled(rows: Sequence[Any], grain: Grain, span: Span) -> list[Bucket]:
    """Return a bucket for every period of a span, empty ones too."""
    kept = {row.bucket: row for row in rows}
    found: list[Bucket] = []
    at = start_of(span.since, grain)
    while at < span.until:
        row = kept.get(at)
        values = {name: 0 if row is None else int(getattr(row, name)) for name in MEASURES}
        found.append(Bucket(start=at, values=values))
        at = shifted(at, grain, 1)
    return found


def _together(found: dict[tuple[int, str], dict[str, int]]) -> dict[tuple[int, str], dict[str, int]]:
    summed: dict[tuple[int, str], dict[str, int]] = {}
    for (bucket, _), values in found.items():
        sums = summed.setdefault((bucket, ""), dict.fromkeys(MEASURES, 0))
        for name, value in values.items():
            sums[name] += value
    return summed


def _within(tx: Tx, caller: Caller, chosen: Chosen) -> Within:
    reach = policy.reach(tx, caller, Verb.HISTORIES_LIST)
    return reading.within(tx, policy.narrowed(tx, reach, institution=chosen.institution, account=chosen.account))


def _persons(tx: Tx, where: Within, rows: Sequence[Any]) -> list[PersonRow]:
    lifetimes = reading.lifetimes(tx, where, (row.user_id for row in rows))
    limits = reading.caps_for_ever(tx, {row.place for row in rows})
    return [
        PersonRow(
            user_id=row.user_id,
            email=row.email,
            fname=row.fname,
            lname=row.lname,
            institution_id=row.place,
            institution_name=row.name,
            ai_name=row.ai_name,
            start=row.bucket,
            queries=row.turns,
            credits=row.credits,
            usage=row.usage,
            cost=row.cost,
            lifetime=lifetimes.get((row.user_id, row.place), 0),
            cap=limits.get(row.place),
        )
        for row in rows
    ]
