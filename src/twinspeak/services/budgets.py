"""Alert a twin's administrators when its month gets dear: once at 80 % of its budget, once when it is spent.

A budget stops nobody: caps and credits do that. It is in dollars, counted by what vendors ask where that is known
(`providers.catalogue.money`), over the month of UTC. A warning is an entry of the audit log, a line of the server's
log, and a mail to the twin's contact addresses.
"""

from collections.abc import Sequence

import msgspec
import structlog

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.mail import Mail
from twinspeak.domain.periods import Grain, start_of
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import budgets, meta
from twinspeak.persistence.repos.budgets import Spending
from twinspeak.services import audit, mails
from twinspeak.services.audit import Target
from twinspeak.services.ports import MailSender

LEVELS = (100, 80)
"""Per cent of a budget, the highest first."""
_TOLD = "budget."
"""In `meta`, before a twin's id: the month and the level that its administrators were last told of."""
_ITSELF = Actor(Caller(user_id="", email="", kind="system", session_id=""))

_log = structlog.get_logger(__name__)


class Alert(msgspec.Struct, frozen=True):
    """What is to be told of one twin."""

    spending: Spending
    month: int
    level: int


class Budgets:
    """Looks after budgets. One for the whole server."""

    def __init__(self, db: Database, mailer: MailSender) -> None:
        """Keep the parts."""
        self._db = db
        self._mailer = mailer

    async def once(self) -> int:
        """Look at every twin that has a budget; return how many were warned of. Each level is told once a month."""
        if not await self._db.read(_due):
            return 0
        told = await self._db.write(_tell)
        for alert in told:
            spent = alert.spending
            _log.warning("budget_warning", twin=spent.institution_id, percent=alert.level, budget=spent.budget)
            for address in spent.contacts:
                self._mailer.send(_mail(address, alert))
        return len(told)


def _due(tx: Tx) -> Sequence[Alert]:
    month = start_of(now_ms(), Grain.MONTH)
    found: list[Alert] = []
    for spending in budgets.spending(tx, since=month):
        level = next((level for level in LEVELS if spending.cost * 100 >= spending.budget_micro * level), 0)
        if level and _told(tx, spending.institution_id, month) < level:
            found.append(Alert(spending, month, level))
    return found


def _tell(tx: Tx) -> Sequence[Alert]:
    due = _due(tx)
    for alert in due:
        spent = alert.spending
        meta.put(tx, _TOLD + spent.institution_id, f"{alert.month} {alert.level}")
        after = {"level": alert.level, "budget": spent.budget, "cost": spent.cost / 1_000_000}
        target = Target("institution", spent.institution_id, spent.institution_id)
        audit.note(tx, _ITSELF, "budget.warning", target, after=after)
    return due


def _told(tx: Tx, institution_id: str, month: int) -> int:
    said = (meta.get(tx, _TOLD + institution_id) or "").split()
    return int(said[1]) if len(said) == 2 and said[0] == str(month) else 0


def _mail(to: str, alert: Alert) -> Mail:
    spent = alert.spending
    return mails.budget(to, (spent.cost / 1_000_000, spent.budget), alert.level, spent.name, iso(alert.month)[:7])
