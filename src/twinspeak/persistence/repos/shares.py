"""Links that show a record or a conversation to others, as rows. Of a link's secret only a hash is known here."""

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from twinspeak.domain.caller import Scope
from twinspeak.persistence.conversation_tables import shares
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import institutions, memberships, users


class Share(msgspec.Struct, frozen=True):
    """A link. Either a record (`turn_id`) or a conversation as it was at `created`. Times are epoch milliseconds."""

    id: str
    institution_id: str | None
    user_id: str
    turn_id: str | None
    course_id: int | None
    created: int
    expires: int
    revoked: int | None = None

    @property
    def scope(self) -> Scope:
        """Return whose, and where, what it shows is."""
        return Scope(user_id=self.user_id, institution_id=self.institution_id)


_COLUMNS = [shares.c[name] for name in Share.__struct_fields__]
_AT_HOME = shares.c.institution_id.is_(None) | (
    (memberships.c.status == "active") & (institutions.c.status == "active")
)
_LIVE = scoped(
    SYSTEM,
    select(*_COLUMNS)
    .select_from(
        shares.join(users, users.c.id == shares.c.user_id)
        .outerjoin(
            memberships,
            (memberships.c.institution_id == shares.c.institution_id) & (memberships.c.user_id == shares.c.user_id),
        )
        .outerjoin(institutions, institutions.c.id == shares.c.institution_id)
    )
    .where(
        shares.c.token_hash == bindparam("token"),
        shares.c.revoked.is_(None),
        shares.c.expires > bindparam("now"),
        users.c.status == "active",
        _AT_HOME,
    ),
)


def add(tx: Tx, scope: Scope, share: Share, token_hash: str) -> None:
    """Add a link; owner and place come from the scope. That what it shows is there is the caller's to check."""
    row = {
        "id": share.id,
        "token_hash": token_hash,
        "turn_id": share.turn_id,
        "course_id": share.course_id,
        "created": share.created,
        "expires": share.expires,
    }
    tx.run(scoped(scope, insert(shares)).values(**row))


def live(tx: Tx, token_hash: str, *, now: int) -> Share | None:
    """Return the link of a secret while it may be used and its owner is where it came from."""
    row = tx.first(_LIVE, {"token": token_hash, "now": now})
    return None if row is None else Share(**as_dict(row))


def of_user(tx: Tx, user_id: str, *, now: int, most: int) -> list[Share]:
    """Return a person's links that can still be used, of all places, newest first."""
    usable = (shares.c.user_id == user_id, shares.c.revoked.is_(None), shares.c.expires > now)
    newest = select(*_COLUMNS).where(*usable).order_by(shares.c.created.desc(), shares.c.id.desc()).limit(most)
    return [Share(**as_dict(row)) for row in tx.all(scoped(SYSTEM, newest))]


def count(tx: Tx, user_id: str, *, now: int) -> int:
    """Return how many links of a person can still be used."""
    usable = (shares.c.user_id == user_id, shares.c.revoked.is_(None), shares.c.expires > now)
    return tx.value(scoped(SYSTEM, select(func.count()).select_from(shares).where(*usable)))


def revoke(tx: Tx, user_id: str, share_id: str, *, now: int) -> bool:
    """End a person's link; False when there is no such one, or it has ended."""
    ended = update(shares).where(shares.c.id == share_id, shares.c.user_id == user_id, shares.c.revoked.is_(None))
    return bool(tx.change(scoped(SYSTEM, ended.values(revoked=now))))
