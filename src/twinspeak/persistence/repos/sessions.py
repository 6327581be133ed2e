"""Sessions: every token is tied to a row here, so that revoking one takes effect at once (contract section 3)."""

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.people import LiveSession
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.identity_tables import api_key_devices, api_keys
from twinspeak.persistence.tables import institutions, memberships, sessions, users

_LIVE = (
    select(
        sessions.c.user_id,
        sessions.c.created,
        sessions.c.expires,
        sessions.c.last_seen,
        sessions.c.actor_id,
        users.c.email,
        users.c.account_type,
        users.c.status,
        memberships.c.account_type.label("member_type"),
        institutions.c.id.label("institution_id"),
    )
    .select_from(
        sessions.join(users, users.c.id == sessions.c.user_id)
        .outerjoin(
            memberships,
            (memberships.c.user_id == users.c.id)
            & (memberships.c.institution_id == users.c.active_institution_id)
            & (memberships.c.status == "active"),
        )
        .outerjoin(
            institutions, (institutions.c.id == memberships.c.institution_id) & (institutions.c.status == "active")
        )
    )
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.revoked.is_(None),
        sessions.c.expires > bindparam("now"),
    )
)


class NewSession(msgspec.Struct, frozen=True):
    """A sign-in. `expires` is epoch milliseconds; an empty `id` gets a new one."""

    user_id: str
    expires: int
    ip: str = ""
    user_agent: str = ""
    id: str = ""
    actor_id: str | None = None
    reason: str = ""


class KeptSession(msgspec.Struct, frozen=True):
    """A session as lists show it. Times are epoch milliseconds; `actor_id` is who acts as its user."""

    id: str
    user_id: str
    created: int
    expires: int
    last_seen: int
    ip: str
    user_agent: str
    actor_id: str | None
    reason: str


def create(tx: Tx, new: NewSession) -> str:
    """Add a session; return its id."""
    now = now_ms()
    row = msgspec.structs.asdict(new)
    row["id"] = new.id or new_id()
    row["user_agent"] = new.user_agent[:500]
    tx.run(insert(sessions).values(created=now, last_seen=now, **row))
    return row["id"]


def live(tx: Tx, session_id: str, now: int) -> LiveSession | None:
    """Return a session that is neither revoked nor expired, its user and active twin, in one statement."""
    row = tx.first(_LIVE, {"session": session_id, "now": now})
    if row is None:
        return None
    member_type = row.member_type if row.institution_id is not None else row.account_type
    caller = Caller(
        user_id=row.user_id,
        email=row.email,
        kind=_kind(row.account_type, member_type),
        session_id=session_id,
        institution_id=row.institution_id,
        account_type=row.account_type,
        actor_id=row.actor_id,
    )
    return LiveSession(
        caller=caller, user_status=row.status, created=row.created, expires=row.expires, last_seen=row.last_seen
    )


def _kind(account_type: str, member_type: str) -> str:
    """Return what somebody is in the active twin: both gates must be passed (reference, admin 2.1)."""
    if account_type == "super":
        return "super"
    return "admin" if account_type == "admin" and member_type in ("admin", "super") else "user"


def live_ids(tx: Tx, user_id: str, now: int) -> list[str]:
    """Return the ids of a user's live sessions."""
    mine = (sessions.c.user_id == user_id, sessions.c.revoked.is_(None), sessions.c.expires > now)
    return [row.id for row in tx.all(select(sessions.c.id).where(*mine))]


def listing(tx: Tx, user_id: str, now: int, *, limit: int = 100) -> list[KeptSession]:
    """Return a user's live sessions, the one used last first."""
    columns = [sessions.c[name] for name in KeptSession.__struct_fields__]
    mine = (sessions.c.user_id == user_id, sessions.c.revoked.is_(None), sessions.c.expires > now)
    found = select(*columns).where(*mine).order_by(sessions.c.last_seen.desc(), sessions.c.id.desc()).limit(limit)
    return [KeptSession(**as_dict(row)) for row in tx.all(found)]


def owner(tx: Tx, session_id: str, now: int) -> str | None:
    """Return whose live session it is."""
    live_one = (sessions.c.id == session_id, sessions.c.revoked.is_(None), sessions.c.expires > now)
    return tx.value(select(sessions.c.user_id).where(*live_one))


def extend(tx: Tx, session_id: str, *, expires: int, now: int) -> bool:
    """Give a live session a new end; False when it is not live any more."""
    statement = (
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.revoked.is_(None), sessions.c.expires > now)
        .values(expires=expires, last_seen=now)
    )
    return bool(tx.change(statement))


def revoke(tx: Tx, session_id: str, now: int) -> bool:
    """End one session; False when it was over already."""
    statement = update(sessions).where(sessions.c.id == session_id, sessions.c.revoked.is_(None)).values(revoked=now)
    return bool(tx.change(statement))


def revoke_all(tx: Tx, user_id: str, now: int, *, keep: str | None = None) -> list[str]:
    """End all live sessions of a user but `keep`; return their ids, so that open streams can be ended too."""
    ended = [session_id for session_id in live_ids(tx, user_id, now) if session_id != keep]
    mine = (sessions.c.user_id == user_id, sessions.c.revoked.is_(None), sessions.c.id != (keep or ""))
    tx.run(update(sessions).where(*mine).values(revoked=now))
    return ended


def purge(tx: Tx, *, before: int) -> int:
    """Forget sessions that ended before `before` (epoch milliseconds); return how many."""
    gone = select(sessions.c.id).where(sessions.c.expires < before)
    keys = select(api_keys.c.id).where(api_keys.c.session_id.in_(gone))
    tx.run(delete(api_key_devices).where(api_key_devices.c.key_id.in_(keys)))
    tx.run(delete(api_keys).where(api_keys.c.session_id.in_(gone)))
    return tx.change(delete(sessions).where(sessions.c.expires < before))
