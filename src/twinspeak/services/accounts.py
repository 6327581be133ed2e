"""Accounts, the tier above twins (reference: admin 4.1, 4.2).

Super administrators add, rename, close and delete them; whoever manages one keeps its managers and its domains.
"""

from collections.abc import Mapping
from typing import Any

from twinspeak.domain.administration import AccountRow
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.errors import Conflict, NotFound, SuperRequired, ValidationFailed
from twinspeak.domain.origins import origin_of
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import administration
from twinspeak.services import audit, policy
from twinspeak.services.administered import Page
from twinspeak.services.audit import Target
from twinspeak.services.passwords import check_email, field

_MANAGED = frozenset({"managers", "domain_urls", "transfer_mode", "cap_h24", "cap_institution", "cap_account"})
"""What managers may change; the rest is the super administrators'."""


class Accounts:
    """Managing accounts. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def search(self, caller: Caller, search: str, page: Page) -> tuple[list[AccountRow], int]:
        """Return a page of the accounts that the caller manages, all for super administrators."""

        def read(tx: Tx) -> tuple[list[AccountRow], int]:
            within = None if policy.is_super(caller) else policy.managed_accounts(tx, caller)
            return administration.search_accounts(tx, within, search, skip=page.skip, most=page.size)

        return await self._db.read(read)

    async def get(self, caller: Caller, account_id: str) -> AccountRow:
        """Return an account. Raises as `policy.require_account` does."""
        return await self._db.read(lambda tx: _one(tx, policy.require_account(tx, caller, account_id, param="id")))

    async def add(self, by: Actor, name: str, fields: Mapping[str, Any], *, credits: int) -> AccountRow:
        """Add an account, for super administrators. Raises SuperRequired, Conflict, ValidationFailed."""
        if not policy.is_super(by.caller):
            raise SuperRequired
        values = _checked(fields)

        def store(tx: Tx) -> AccountRow:
            account = administration.add_account(tx, name, credits=credits)
            administration.change_account(tx, account, values)
            after = {"name": name, "credits": credits, **values}
            audit.note(tx, by, "account.added", Target("account", account), after=after)
            return _one(tx, account)

        return await self._db.write(store)

    async def change(self, by: Actor, account_id: str, fields: Mapping[str, Any]) -> AccountRow:
        """Change an account. Raises as `policy.require_account` does, SuperRequired, Conflict, ValidationFailed."""
        values = _checked(fields)

        def store(tx: Tx) -> AccountRow:
            account = policy.require_account(tx, by.caller, account_id, param="id")
            row = _one(tx, account)
            kept = {name: value for name, value in values.items() if getattr(row, name) != value}
            if kept.keys() - _MANAGED and not policy.is_super(by.caller):
                raise SuperRequired
            if kept:
                before = {name: getattr(row, name) for name in kept}
                administration.change_account(tx, account, kept)
                audit.note(tx, by, "account.changed", Target("account", account), before=before, after=kept)
            return _one(tx, account)

        return await self._db.write(store)

    async def delete(self, by: Actor, account_id: str) -> None:
        """Delete an account that has no twins. Raises SuperRequired, InvalidId, NotFound, Conflict."""
        if not policy.is_super(by.caller):
            raise SuperRequired

        def store(tx: Tx) -> None:
            account = policy.require_account(tx, by.caller, account_id, param="id")
            row = _one(tx, account)
            if row.twins:
                raise Conflict("The account still has digital twins: move or delete them first.")
            gone = {"status": "deleted", "name": f"{account} {row.name}"[:200], "managers": ()}
            administration.change_account(tx, account, gone)
            audit.note(tx, by, "account.deleted", Target("account", account), before={"name": row.name})

        await self._db.write(store)


def _one(tx: Tx, account_id: str) -> AccountRow:
    row = administration.accounts_by_id(tx, [account_id]).get(account_id)
    if row is None:
        raise NotFound(param="id")
    return row


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as they are stored. Raises ValidationFailed."""
    values = dict(fields)
    if "managers" in values:
        try:
            values["managers"] = tuple(dict.fromkeys(check_email(one) for one in values["managers"]))
        except ValidationFailed:
            raise _wrong("managerEmail", "must be e-mail addresses") from None
    if "domain_urls" in values:
        values["domain_urls"] = tuple(dict.fromkeys(values["domain_urls"]))
        if not all(origin_of(url) for url in values["domain_urls"]):
            raise _wrong("domainUrls", "must be web addresses or hosts")
    return values


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(param=name, details=field(name, message))
