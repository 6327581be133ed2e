"""What twins that have a budget have cost."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select

from twinspeak.domain.periods import Grain
from twinspeak.persistence.credit_tables import usage_totals
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import institutions


class Spending(msgspec.Struct, frozen=True):
    """A twin's budget in dollars a month, and its cost in micro-dollars."""

    institution_id: str
    name: str
    contacts: tuple[str, ...]
    budget: int
    cost: int

    @property
    def budget_micro(self) -> int:
        """The budget as costs are counted."""
        return self.budget * 1_000_000


def spending(tx: Tx, *, since: int) -> Sequence[Spending]:
    """Return what active twins with a budget have cost since a day of UTC began, but for those that cost nothing."""
    columns = (institutions.c.id, institutions.c.ai_name, institutions.c.contact_email, institutions.c.budget)
    of_days = (usage_totals.c.grain == Grain.DAY, usage_totals.c.bucket >= since)
    summed = (
        select(*columns, func.sum(usage_totals.c.cost).label("cost"))
        .join(usage_totals, usage_totals.c.place == institutions.c.id)
        .where(institutions.c.budget >= 0, institutions.c.status == "active", *of_days)
        .group_by(*columns)
    )
    return [
        Spending(
            institution_id=row.id,
            name=row.ai_name,
            contacts=tuple(one.strip() for one in row.contact_email.split(",") if one.strip()),
            budget=row.budget,
            cost=int(row.cost),
        )
        for row in tx.all(scoped(SYSTEM, summed))
        if row.cost
    ]
