"""Places on other sites: which twin stands for one, and who is a member there (reference 1.8; admin 3.6 and 3.10)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.administration import TwinRow
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.errors import AuthenticationRequired
from twinspeak.domain.ids import parse_uuid
from twinspeak.domain.launch import Launch, subject_hash
from twinspeak.domain.origins import origin_of
from twinspeak.domain.people import User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import administration, memberships, users
from twinspeak.persistence.repos import launches as rows
from twinspeak.services import policy
from twinspeak.services.twins import Twins

INVALID = "invalid"
"""The status of what matches nothing."""


class Place(msgspec.Struct, frozen=True):
    """The twin of a place; `status` is its, or the membership's that was asked about. `assigned`: by its context."""

    status: str = INVALID
    assigned: bool = False
    name: str = ""
    ai_name: str = ""
    picture: str = ""
    public_id: str = ""


class About(msgspec.Struct, frozen=True):
    """Whose membership is asked about; both empty: nobody's."""

    email: str = ""
    external_id: str = ""

    @property
    def nobody(self) -> bool:
        """Tell whether it is nobody."""
        return not (self.email or self.external_id)


class Contexts:
    """Places. One for the whole server."""

    def __init__(self, db: Database, twins: Twins) -> None:
        """Keep the parts."""
        self._db = db
        self._twins = twins

    async def resolve(
        self, url: str, public_id: str, about: About, *, caller: Caller | None, launch: Launch | None
    ) -> Place:
        """Return the twin of a place, else with a public id.

        A membership is told to the person, to who may list users in the twin, and to a verified launch of the person.
        Raises AuthenticationRequired to anybody else, before anything is looked at.
        """
        if not about.nobody and caller is None and (launch is None or not _is_about(launch, about)):
            raise AuthenticationRequired

        def read(tx: Tx) -> Place:
            found = rows.twin_at(tx, url=url)
            row = found or rows.twin_at(tx, public_id=parse_uuid(public_id) or "")
            if row is None:
                return Place()
            status = "inactive" if row.status == "suspended" else row.status
            if not about.nobody:
                status = self._membership(tx, row.id, about, caller, launch)
            if row.status == "deleted":
                return Place(status="deleted")
            return Place(
                status=status,
                assigned=found is not None,
                name=row.name,
                ai_name=row.ai_name,
                picture=row.picture,
                public_id=row.public_id,
            )

        return await self._db.read(read)

    async def add(self, by: Actor, fields: Mapping[str, Any], account_id: str | None, domain: str) -> TwinRow:
        """Add a twin for a place, to an account, or to the one that has the domain.

        Raises as `Twins.add` does, ActingAsSomebody.
        """
        policy.as_oneself(by.caller)
        found = account_id
        if found is None and domain:
            found = await self._db.read(lambda tx: _account_of(tx, by.caller, domain))
        return await self._twins.add(by, fields, found)

    def _membership(self, tx: Tx, twin: str, about: About, caller: Caller | None, launch: Launch | None) -> str:
        person = _person(tx, twin, about)
        if launch is None and caller is not None and (person is None or person.id != caller.user_id):
            # As for somebody unknown: who may not list users learns of nobody.
            covers = caller.account_type in ("admin", "super") and policy.reach(tx, caller, Verb.USERS_LIST).covers(
                twin
            )
            person = person if covers else None
        if launch is not None and launch.institution_id != twin:
            person = None
        member = memberships.get(tx, person.id, twin) if person is not None else None
        if person is None or member is None:
            return INVALID
        return member.status if person.status == "active" else person.status


def _is_about(launch: Launch, about: About) -> bool:
    """Tell whether a launch is of the person asked about, as far as its own server vouches for that."""
    same_email = not about.email or about.email.strip().lower() == launch.email
    same_id = not about.external_id or about.external_id.strip() == launch.external_id
    return launch.proof == "server" and same_email and same_id


def _person(tx: Tx, twin: str, about: About) -> User | None:
    if about.email:
        return users.by_email(tx, about.email)
    found = rows.known(tx, twin, subject_hash("server", f"id:{about.external_id.strip()}"))
    return users.by_id(tx, found) if found else None


def _account_of(tx: Tx, caller: Caller, domain: str) -> str | None:
    """Return the account, among those the caller may see, that lists a domain."""
    wanted = _host(domain)
    within = None if policy.is_super(caller) else policy.managed_accounts(tx, caller)
    found, _ = administration.search_accounts(tx, within, "", skip=0, most=5_000)
    return next((one.id for one in found if wanted and wanted in map(_host, one.domain_urls)), None)


def _host(listed: str) -> str:
    return (origin_of(listed) or "").rpartition("//")[2].partition(":")[0]
