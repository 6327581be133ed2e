"""Where somebody may administer: which twins by entitlement, which accounts by e-mail address (admin 2.3).

Only `services.policy` asks: what it makes of the answers is the decision.
"""

from collections.abc import Iterable

from sqlalchemy import select

from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import account_managers, accounts, institutions, memberships, users

_THERE = institutions.c.status != "deleted"


def entitled(tx: Tx, user_id: str, verb: str | None) -> frozenset[str]:
    """Return the twins of which a user is an active administrator who holds `verb`; with None, whatever is held.

    Whether the person is an administrator at all is not looked at.
    """
    statement = (
        select(institutions.c.id)
        .select_from(memberships.join(institutions, institutions.c.id == memberships.c.institution_id))
        .where(
            memberships.c.user_id == user_id,
            memberships.c.status == "active",
            memberships.c.account_type.in_(("admin", "super")),
            _THERE,
        )
    )
    if verb is not None:
        # Entitlements are a JSON list of known words: the quotes make it exactly this one.
        statement = statement.where(memberships.c.entitlements.contains(f'"{verb}"', autoescape=True))
    return frozenset(row.id for row in tx.all(statement))


def managed_accounts(tx: Tx, user_id: str) -> frozenset[str]:
    """Return the active accounts whose managers list an address that is known to be the user's own."""
    statement = (
        select(accounts.c.id)
        .select_from(
            users.join(account_managers, account_managers.c.email == users.c.email).join(
                accounts, accounts.c.id == account_managers.c.account_id
            )
        )
        .where(users.c.id == user_id, users.c.email_verified.is_not(None), accounts.c.status == "active")
    )
    return frozenset(row.id for row in tx.all(statement))


def of_accounts(tx: Tx, account_ids: Iterable[str]) -> frozenset[str]:
    """Return the twins of some accounts."""
    wanted = sorted(account_ids)
    if not wanted:
        return frozenset()
    statement = select(institutions.c.id).where(institutions.c.account_id.in_(wanted), _THERE)
    return frozenset(row.id for row in tx.all(statement))


def account_exists(tx: Tx, account_id: str) -> bool:
    """Tell whether there is such an account."""
    there = select(accounts.c.id).where(accounts.c.id == account_id, accounts.c.status != "deleted")
    return tx.value(there) is not None


def existing(tx: Tx, institution_ids: Iterable[str]) -> frozenset[str]:
    """Return those of some twins that there are."""
    wanted = sorted(institution_ids)
    if not wanted:
        return frozenset()
    return frozenset(row.id for row in tx.all(select(institutions.c.id).where(institutions.c.id.in_(wanted), _THERE)))
