"""Memberships: who belongs to which twin."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, delete, insert, select, update

from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.people import Membership
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import institutions as institution_rows
from twinspeak.persistence.tables import institutions, memberships

_LIVE = (memberships.c.status == "active", institutions.c.status == "active")
_JOINED = memberships.join(institutions, institutions.c.id == memberships.c.institution_id)
_TWIN = select(*institution_rows.COLUMNS).select_from(_JOINED).where(*_LIVE)
_TWIN_BY_ID = _TWIN.where(memberships.c.user_id == bindparam("user"), institutions.c.id == bindparam("institution"))
_TWIN_BY_PUBLIC_ID = _TWIN.where(
    memberships.c.user_id == bindparam("user"), institutions.c.public_id == bindparam("public")
)
_ANY = select(memberships.c.id).select_from(_JOINED).where(*_LIVE, memberships.c.user_id == bindparam("user")).limit(1)
_OTHER = _ANY.where(memberships.c.institution_id != bindparam("institution"))
_verbs = msgspec.json.Decoder(tuple[str, ...])


def create(
    tx: Tx, user_id: str, institution_id: str, *, account_type: str = "user", entitlements: tuple[str, ...] = ()
) -> Membership:
    """Make a user an active member; an existing membership is returned as it is."""
    new = Membership(
        id=new_id(),
        user_id=user_id,
        institution_id=institution_id,
        created=now_ms(),
        account_type=account_type,
        entitlements=entitlements,
    )
    return add(tx, new)


def add(tx: Tx, new: Membership) -> Membership:
    """Add a membership as it is; an existing one of the same user and twin is returned instead."""
    found = get(tx, new.user_id, new.institution_id)
    if found is not None:
        return found
    row = msgspec.structs.asdict(new)
    for name in ("entitlements", "preferences"):
        row[name] = msgspec.json.encode(row[name]).decode()
    tx.run(insert(memberships).values(row))
    return new


def get(tx: Tx, user_id: str, institution_id: str) -> Membership | None:
    """Return a membership of any status."""
    return _membership(
        tx.first(
            select(memberships).where(memberships.c.user_id == user_id, memberships.c.institution_id == institution_id)
        )
    )


def by_ids(tx: Tx, membership_ids: Iterable[str]) -> list[Membership]:
    """Return memberships of any status."""
    found = tx.all(select(memberships).where(memberships.c.id.in_(sorted(set(membership_ids)))))
    return [one for row in found if (one := _membership(row)) is not None]


def twin(tx: Tx, user_id: str, institution_id: str) -> Institution | None:
    """Return an active twin that the user is an active member of, else None, whatever the reason."""
    return institution_rows.from_row(tx.first(_TWIN_BY_ID, {"user": user_id, "institution": institution_id}))


def twin_by_public_id(tx: Tx, user_id: str, public_id: str) -> Institution | None:
    """As `twin`, by the twin's UUID."""
    return institution_rows.from_row(tx.first(_TWIN_BY_PUBLIC_ID, {"user": user_id, "public": public_id}))


def of_user(tx: Tx, user_id: str) -> list[tuple[Membership, Institution]]:
    """Return the user's active memberships with their active twins, favourites first, then by name."""
    found = select(memberships).select_from(_JOINED).where(*_LIVE, memberships.c.user_id == user_id)
    pairs = [(_membership(row), twin(tx, user_id, row.institution_id)) for row in tx.all(found)]
    kept = [(membership, institution) for membership, institution in pairs if membership and institution]
    # Sorted here: each database has an order of names of its own.
    return sorted(kept, key=lambda pair: (not pair[0].favorite, pair[1].ai_name, pair[1].name, pair[1].id))


def has_others(tx: Tx, user_id: str, institution_id: str | None) -> bool:
    """Tell whether a user is an active member of an active twin other than the one named."""
    if institution_id is None:
        return tx.value(_ANY, {"user": user_id}) is not None
    return tx.value(_OTHER, {"user": user_id, "institution": institution_id}) is not None


def requires_second_factor(tx: Tx, user_id: str) -> bool:
    """Tell whether an active twin that a user is an active member of wants more than a password of its members."""
    demanding = _ANY.where(institutions.c.require_second_factor.is_(True))
    return tx.value(demanding, {"user": user_id}) is not None


def set_status(tx: Tx, membership_id: str, status: str) -> bool:
    """Set active, pending, suspended or deleted; False for no such membership."""
    return bool(tx.change(update(memberships).where(memberships.c.id == membership_id).values(status=status)))


def remove_all(tx: Tx, user_id: str) -> None:
    """Take a user out of every twin, for good."""
    tx.run(update(memberships).where(memberships.c.referrer_id == user_id).values(referrer_id=None))
    tx.run(delete(memberships).where(memberships.c.user_id == user_id))


def touch(tx: Tx, user_id: str, institution_id: str, now: int) -> None:
    """Stamp the last use."""
    tx.run(
        update(memberships)
        .where(memberships.c.user_id == user_id, memberships.c.institution_id == institution_id)
        .values(last_login=now)
    )


def _membership(row: Row[Any] | None) -> Membership | None:
    if row is None:
        return None
    kept = as_dict(row)
    fields = {name: kept[name] for name in Membership.__struct_fields__}
    fields["entitlements"] = _verbs.decode(fields["entitlements"])
    fields["preferences"] = msgspec.json.decode(fields["preferences"], type=dict[str, Any])
    return Membership(**fields)
