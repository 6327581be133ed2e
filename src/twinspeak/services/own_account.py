"""What people do to their own account: sessions, another e-mail address, personal data, deletion (product 6.3)."""

import msgspec

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict, InvalidCredentials, InvalidId, InvalidToken, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import (
    api_keys,
    erasure,
    launches,
    memberships,
    personal_data,
    second_factors,
    sessions,
    sso,
    users,
)
from twinspeak.persistence.repos import codes as code_rows
from twinspeak.persistence.repos.sessions import KeptSession
from twinspeak.services import audit, mails, policy
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth
from twinspeak.services.codes import Codes, InvalidCode, Wanted
from twinspeak.services.passwords import check_email
from twinspeak.services.ports import MailSender, PasswordHasher

EMAIL_MS = 60 * 60_000


class OwnAccount:
    """One's own account. One for the whole server."""

    def __init__(self, db: Database, auth: Auth, passwords: PasswordHasher, codes: Codes, mail: MailSender) -> None:
        """Keep the parts."""
        self._db = db
        self._auth = auth
        self._passwords = passwords
        self._codes = codes
        self._mail = mail

    async def sessions(self, caller: Caller) -> list[KeptSession]:
        """Return the caller's live sessions, the one used last first."""
        return await self._db.read(lambda tx: sessions.listing(tx, caller.user_id, now_ms()))

    async def end_session(self, by: Actor, session_id: str) -> None:
        """End one of the caller's own sessions. Raises InvalidId, NotFound (foreign, unknown and ended alike)."""
        wanted = parse_id(session_id)
        if wanted is None:
            raise InvalidId(param="sessionId")
        user_id = by.caller.user_id

        def end(tx: Tx) -> None:
            if sessions.owner(tx, wanted, now_ms()) != user_id:
                raise NotFound(param="sessionId")
            sessions.revoke(tx, wanted, now_ms())
            audit.note(tx, by, "session.ended", Target("session", wanted))

        await self._db.write(end)
        self._auth.revocations.ended(user_id, frozenset({wanted}))

    async def end_other_sessions(self, by: Actor) -> int:
        """End all of the caller's sessions but the one that asks; return how many."""
        caller = by.caller

        def end(tx: Tx) -> list[str]:
            ended = sessions.revoke_all(tx, caller.user_id, now_ms(), keep=caller.session_id)
            if ended:
                audit.note(tx, by, "session.ended_others", Target("user", caller.user_id))
            return ended

        ended = await self._db.write(end)
        self._auth.revocations.ended(caller.user_id, frozenset(ended))
        return len(ended)

    async def ask_new_email(self, caller: Caller, email: str) -> None:
        """Send a code to another address; until it comes back, nothing changes.

        An address that somebody else has is answered alike. Raises ValidationFailed.
        """
        policy.as_oneself(caller)
        address = check_email(email)
        wanted = Wanted(
            purpose="email", email=f"{caller.user_id}", ttl_ms=EMAIL_MS, user_id=caller.user_id, payload={"to": address}
        )

        def store(tx: Tx) -> tuple[bool, str]:
            return users.by_email(tx, address) is not None, self._codes.issue(tx, wanted)[1]

        taken, code = await self._db.write(store)
        self._mail.send(mails.already_there(address) if taken else mails.new_address(address, code, EMAIL_MS))

    async def confirm_new_email(self, by: Actor, code: str) -> str:
        """Take the new address; return it. Raises InvalidCode, Conflict (it was taken meanwhile)."""
        caller = by.caller

        def change(tx: Tx) -> str | None:
            kept = self._codes.redeem(tx, "email", caller.user_id, code)
            if kept is None:
                return None
            address = str(kept.payload["to"])
            users.edit(tx, caller.user_id, {"email": address, "email_verified": now_ms()})
            target = Target("user", caller.user_id)
            audit.note(tx, by, "user.email_changed", target, before={"email": caller.email}, after={"email": address})
            return address

        address = await self._db.write(change)
        if address is None:
            raise InvalidCode
        self._mail.send(mails.address_changed(caller.email, address))
        return address

    async def delete(self, by: Actor, password: str) -> None:
        """Delete the caller's account: it is gone at once, what it wrote is erased soon after (`services.erasure`).

        Raises InvalidCredentials, Conflict (the last super administrator).
        """
        caller = by.caller
        policy.as_oneself(caller)
        stored = await self._db.read(lambda tx: users.password_hash(tx, caller.user_id))
        if not await self._passwords.verify(stored, password):
            raise InvalidCredentials("The password is wrong.", param="password")
        await self._db.write(lambda tx: close(tx, by, caller.user_id))
        self._auth.revocations.ended(caller.user_id, None)


class Closed(msgspec.Struct, frozen=True):
    """A closed account's former address."""

    email: str


def close(tx: Tx, by: Actor, user_id: str) -> Closed:
    """Make an account unusable and nameless; what it wrote is erased later. Raises InvalidToken, Conflict.

    Whoever calls tells `Revocations` after the commit.
    """
    user = users.by_id(tx, user_id)
    if user is None or user.status == "deleted":
        raise InvalidToken
    keep_a_super(tx, user_id)
    audit.note(tx, by, "user.deleted", Target("user", user_id))
    users.erase(tx, user_id)
    memberships.remove_all(tx, user_id)
    erasure.ask(tx, user_id)
    code_rows.forget_user(tx, user_id)
    api_keys.remove_all(tx, user_id)
    sso.forget_user(tx, user_id)
    second_factors.remove(tx, user_id)
    launches.forget_user(tx, user_id)
    personal_data.forget_user(tx, user_id)
    sessions.revoke_all(tx, user_id, now_ms())
    return Closed(email=user.email)


def keep_a_super(tx: Tx, user_id: str) -> None:
    """Raise Conflict when this is the last active super administrator: nobody could administer the server any more."""
    if users.supers(tx) == [user_id]:
        raise Conflict("This is the last super administrator.")
