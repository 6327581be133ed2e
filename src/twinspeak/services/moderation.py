"""Whether a question may be asked and an answer given, by the twin's settings: `engine.ports.Moderator`.

Rules of our own judge always; a vendor's judge too where the operator chose one. When that one fails, the rules alone
decide, because a vendor's outage must not silence every twin. What was found is recorded, whatever was done about it.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Caller, scope_of, scope_of_reach
from twinspeak.domain.errors import CodedError
from twinspeak.domain.moderation import JUDGED_CHARS, Action, Finding, Side, judge, notice
from twinspeak.domain.turn import TurnPlan
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import moderations
from twinspeak.persistence.repos.moderations import Kept
from twinspeak.services import policy
from twinspeak.services.ports import Judge

__all__ = ["Kept", "Moderation", "Page"]

RULES = "rules"
PATIENCE_S = 5.0
_SHORT = 2_000
"""Characters that are judged at once, on the loop."""
_log = structlog.get_logger(__name__)


class Page(msgspec.Struct, frozen=True):
    """A page of what was found, newest first."""

    rows: Sequence[Kept]
    total: int


class Moderation:
    """One for the whole server."""

    def __init__(self, db: Database, vendor: Judge | None = None, *, patience_s: float = PATIENCE_S) -> None:
        """Keep the parts; without a vendor the rules judge alone."""
        self._db = db
        self._vendor = vendor
        self._patience_s = patience_s

    async def refuses(self, plan: TurnPlan, text: str) -> str | None:
        """Return None to let a question pass, else what to tell the person."""
        return await self._judged(plan, text, Side.INPUT)

    async def withdraws(self, plan: TurnPlan, text: str) -> str | None:
        """Return None to let an answer stand, else what to put in its place."""
        return await self._judged(plan, text, Side.OUTPUT)

    async def listing(self, caller: Caller, *, within: tuple[str, str] = ("", ""), limit: int, offset: int = 0) -> Page:
        """Return what was found in the twins where a caller may list histories; `within` are ids of twins, accounts.

        Raises AdminRequired and InvalidId.
        """
        institution, account = within

        def read(tx: Tx) -> Page:
            reach = policy.narrowed(
                tx, policy.reach(tx, caller, Verb.HISTORIES_LIST), institution=institution, account=account
            )
            scope = scope_of_reach(reach)
            rows = moderations.listing(tx, scope, limit=limit, offset=offset)
            return Page(rows=rows, total=moderations.count(tx, scope))

        return await self._db.read(read)

    async def _judged(self, plan: TurnPlan, text: str, side: Side) -> str | None:
        twin = plan.institution
        if twin is not None and not twin.enable_moderation:
            return None
        phrases = twin.moderation_phrases if twin else ()
        # A long answer takes tens of milliseconds, in which streams would stand still.
        ruled = judge(text, phrases) if len(text) < _SHORT else await asyncio.to_thread(judge, text, phrases)
        findings = [Finding(categories=ruled, engine=RULES)]
        if self._vendor is not None:
            findings.append(await self._asked(self._vendor, text[:JUDGED_CHARS]))
        findings = [finding for finding in findings if finding.categories]
        if not findings:
            return None
        action = Action(twin.moderation_action) if twin else Action.BLOCK
        scope = scope_of(plan.ask.caller, twin.id if twin else None)
        await self._db.write(
            lambda tx: moderations.add(tx, scope, plan.ask.turn_id, side=side, action=action, findings=findings)
        )
        if action is Action.RECORD:
            return None
        return notice(side, [category for finding in findings for category in finding.categories])

    async def _asked(self, vendor: Judge, text: str) -> Finding:
        try:
            async with asyncio.timeout(self._patience_s):
                return Finding(categories=await vendor.judge(text), engine=vendor.name)
        except (CodedError, TimeoutError) as error:
            _log.warning("moderation left to the rules", vendor=vendor.name, error=type(error).__name__)
            return Finding(categories=(), engine=vendor.name)
