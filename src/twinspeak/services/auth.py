"""Sign-in, and what a token is worth at this moment (contract section 3; reference 1.1, 2.1, 2.2).

A token names a session row. The row decides: signing out, a password change, a suspended user take effect with the next
statement that reads it, and whoever asked `on_revoked` to be told ends open streams at once.
"""

import asyncio

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import (
    AccountSuspended,
    AuthenticationRequired,
    Conflict,
    InvalidCredentials,
    InvalidToken,
)
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import second_factors, sessions, users
from twinspeak.persistence.repos.sessions import NewSession
from twinspeak.services import policy, profiles
from twinspeak.services.passwords import check_new
from twinspeak.services.ports import PasswordHasher, TokenIssuer
from twinspeak.services.profiles import Profile
from twinspeak.services.revocations import Revocations
from twinspeak.services.second_factors import Challenge, SecondFactors

OPENING_MS = 60_000
"""The lifetime of a session's row until its token has been made, in the same transaction."""
KEEP_ENDED_MS = 30 * 86_400_000
"""How long sessions that have run out are kept, for whoever looks into a theft."""


class Device(msgspec.Struct, frozen=True):
    """Where a sign-in comes from, for the session row."""

    ip: str = ""
    user_agent: str = ""


class SignedIn(msgspec.Struct, frozen=True):
    """A token of full lifetime (`expires`: epoch milliseconds) and the profile that goes with it."""

    token: str
    expires: int
    profile: Profile


class Held(msgspec.Struct, frozen=True):
    """Who a token speaks for, and until when (epoch milliseconds): for connections that outlive a request."""

    caller: Caller
    expires: int


class Auth:
    """Who is calling. One for the whole server."""

    def __init__(
        self, db: Database, tokens: TokenIssuer, passwords: PasswordHasher, second: SecondFactors | None = None
    ) -> None:
        """Keep the parts; without `second` a password is all that signing in takes."""
        self._db = db
        self._tokens = tokens
        self._passwords = passwords
        self._second = second
        self.revocations = Revocations()

    async def authenticate(self, token: str | None) -> Caller:
        """Return who `token` speaks for now, with the account type and the active twin that the database knows.

        Raises AuthenticationRequired (no token), TokenExpired, InvalidToken (also: signed out) and AccountSuspended.
        """
        if not token:
            raise AuthenticationRequired
        claims = self._tokens.read(token)
        return await self._db.read(lambda tx: live_caller(tx, claims.session_id, claims.user_id))

    async def hold(self, token: str) -> Held:
        """Return who `token` speaks for now, and when it expires. Raises as `authenticate` does."""
        claims = self._tokens.read(token)
        caller = await self._db.read(lambda tx: live_caller(tx, claims.session_id, claims.user_id))
        return Held(caller=caller, expires=claims.expires_s * 1000)

    def page_key(self, session_id: str) -> str:
        """Return the CSRF token that requests of a session's pages must carry."""
        return self._tokens.page_key(session_id)

    async def sign_in(
        self, email: str, password: str, device: Device | None = None, *, trusted: str = ""
    ) -> SignedIn | Challenge:
        """Open a session, or ask for a code first: `two_steps` then opens it. `trusted` is what the browser kept.

        Raises InvalidCredentials (the same, after the same work, whether the address or the password is unknown),
        AccountSuspended and SecondFactorLocked (only to who knows the password) and Overloaded. Rate limits are the
        caller's to apply.
        """
        found = await self._db.read(lambda tx: users.credentials(tx, email))
        user, stored = found if found and found[0].status != "deleted" else (None, None)
        right = await self._passwords.verify(stored, password)
        if not right or user is None or stored is None:
            raise InvalidCredentials
        better = await self._passwords.hash(password) if self._passwords.outdated(stored) else None
        verified = _Verified(
            user_id=user.id, email=user.email, password_hash=stored, better_hash=better, trusted=trusted
        )
        opened = await self._db.write(lambda tx: self._sign_in(tx, verified, device or Device()))
        if isinstance(opened, Challenge) and self._second is not None:
            self._second.deliver(opened)
        return opened

    async def sign_out(self, caller: Caller) -> None:
        """End the caller's session and everything that runs under it. Twice is fine."""
        ended = frozenset({caller.session_id})
        try:
            await self._db.write(lambda tx: sessions.revoke(tx, caller.session_id, now_ms()))
        except asyncio.CancelledError:
            self.revocations.ended(caller.user_id, ended)  # the write goes on without us
            raise
        self.revocations.ended(caller.user_id, ended)

    async def refresh(self, caller: Caller) -> SignedIn:
        """Give the caller's session another full lifetime (reference 2.1). Raises as `authenticate` does."""
        return await self._db.write(lambda tx: self.renew(tx, caller.session_id, caller.user_id))

    async def change_password(self, caller: Caller, current: str, new: str, device: Device | None = None) -> SignedIn:
        """Replace the password and end every session of the user, the caller's own too; return a fresh one.

        Whoever holds a copy of any older token is out (docs/decisions/005). Raises ValidationFailed (too short, too
        long, the same), InvalidCredentials (`current` is wrong), Conflict (somebody else just changed it), Overloaded.
        """
        policy.as_oneself(caller)
        check_new(new, current=current)
        seen = await self._db.read(lambda tx: _seen(tx, caller.user_id))
        if not await self._passwords.verify(seen.password_hash, current):
            raise InvalidCredentials("The current password is wrong.", param="password")
        made = await self._passwords.hash(new)

        def change(tx: Tx) -> tuple[SignedIn, frozenset[str]]:
            if not users.set_password(tx, caller.user_id, made, replacing=seen.password_hash):
                raise Conflict("The password has just been changed by somebody else.")
            live_caller(tx, caller.session_id, caller.user_id)
            second_factors.forget_challenges(tx, caller.user_id)
            ended = sessions.revoke_all(tx, caller.user_id, now_ms())
            return self.open(tx, caller.user_id, device or Device()), frozenset(ended)

        try:
            signed_in, ended = await self._db.write(change)
        except asyncio.CancelledError:
            self.revocations.ended(caller.user_id, seen.session_ids)  # the write goes on without us
            raise
        self.revocations.ended(caller.user_id, ended)
        return signed_in

    def act_as(self, tx: Tx, session: NewSession) -> SignedIn:
        """Open a session in which an administrator acts as its user; it ends when `session` says."""
        return self.renew(tx, sessions.create(tx, session), session.user_id)

    def _sign_in(self, tx: Tx, verified: "_Verified", device: Device) -> SignedIn | Challenge:
        """Open the session, or make the challenge, if what was verified outside this transaction still holds."""
        now = now_ms()
        # First, because it locks the row: a password change is either seen here or ends the session opened below.
        users.edit(tx, verified.user_id, {"last_login": now})
        found = users.credentials(tx, verified.email)
        if found is None or (found[0].id, found[1]) != (verified.user_id, verified.password_hash):
            raise InvalidCredentials
        if verified.better_hash:
            users.replace_hash(tx, verified.user_id, verified.better_hash, replacing=verified.password_hash)
        sessions.purge(tx, before=now - KEEP_ENDED_MS)
        if found[0].status == "active" and self._second is not None:
            challenge = self._second.demand(tx, found[0], device.ip, verified.trusted)
            if challenge is not None:
                return challenge
        return self.open(tx, verified.user_id, device)

    def open(self, tx: Tx, user_id: str, device: Device) -> SignedIn:
        """Open a session for who has proved to be that user.

        Raises AccountSuspended, as reading it back does; the transaction then leaves none.
        """
        session = NewSession(
            user_id=user_id, expires=now_ms() + OPENING_MS, ip=device.ip[:100], user_agent=device.user_agent
        )
        return self.renew(tx, sessions.create(tx, session), user_id)

    def renew(self, tx: Tx, session_id: str, user_id: str) -> SignedIn:
        """Give a live session, and a new token for it, a full lifetime."""
        caller = live_caller(tx, session_id, user_id)
        token, claims = self._tokens.issue(
            user_id=caller.user_id, email=caller.email, kind=caller.kind, session_id=caller.session_id
        )
        if caller.actor_id is not None:  # who acts as somebody does so until the time that was set, no longer
            return SignedIn(token=token, expires=claims.expires_s * 1000, profile=profiles.read(tx, caller))
        expires = claims.expires_s * 1000
        sessions.extend(tx, session_id, expires=expires, now=now_ms())
        return SignedIn(token=token, expires=expires, profile=profiles.read(tx, caller))


def live_caller(tx: Tx, session_id: str, user_id: str) -> Caller:
    """Return who a session stands for, read now. Raises InvalidToken and AccountSuspended.

    `institution_id` is the active twin only while both the twin and the membership are active.
    """
    found = sessions.live(tx, session_id, now_ms())
    if found is None or found.caller.user_id != user_id or found.user_status == "deleted":
        raise InvalidToken("You have been signed out. Please sign in again.")
    if found.user_status != "active":
        raise AccountSuspended
    return found.caller


class _Verified(msgspec.Struct, frozen=True):
    """Who proved to know the password behind `password_hash`; `better_hash` is the same one hashed by today's rules."""

    user_id: str
    email: str
    password_hash: str
    better_hash: str | None
    trusted: str


class _Seen(msgspec.Struct, frozen=True):
    """What a password change is based on."""

    password_hash: str | None
    session_ids: frozenset[str]


def _seen(tx: Tx, user_id: str) -> _Seen:
    return _Seen(
        password_hash=users.password_hash(tx, user_id),
        session_ids=frozenset(sessions.live_ids(tx, user_id, now_ms())),
    )
