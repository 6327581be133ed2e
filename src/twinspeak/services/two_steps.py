"""Signing in by two steps, and choosing the second one: a mailed code or an app (reference 1.5; decision 050)."""

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.audit import KeptEntry
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict, InvalidCredentials, InvalidId, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.domain.people import User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import audit_log, memberships, users
from twinspeak.persistence.repos import second_factors as rows
from twinspeak.persistence.repos.audit_log import LogFilter
from twinspeak.persistence.repos.second_factors import TrustedDevice
from twinspeak.services import audit, mails, policy
from twinspeak.services.administered import NotYourself, person_within
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth, Device, SignedIn
from twinspeak.services.codes import InvalidCode
from twinspeak.services.ports import MailSender, PasswordHasher
from twinspeak.services.second_factors import Challenge, SecondFactors

ACTIONS = "mfa."
"""How the actions of the audit log begin that are about the second step."""


class Passed(msgspec.Struct, frozen=True):
    """A challenge that was answered. `device_token` is what a trusted browser is to keep; "" for none."""

    signed: SignedIn
    device_token: str = ""


class Standing(msgspec.Struct, frozen=True):
    """Somebody's second step: `method` is email, totp or "" for none; `confirmed` when a code of it first came back.

    `required`: one of his twins wants one; without a `method` it is a mailed code.
    """

    method: str
    required: bool
    confirmed: int | None
    recovery_codes: int
    devices: tuple[TrustedDevice, ...]


class NewApp(msgspec.Struct, frozen=True):
    """What an authenticator app is to be told; shown once."""

    secret: str
    address: str


class TwoSteps:
    """The second step, for its owners and their administrators. One for the whole server."""

    def __init__(
        self, db: Database, auth: Auth, second: SecondFactors, passwords: PasswordHasher, mail: MailSender
    ) -> None:
        """Keep the parts."""
        self._db = db
        self._auth = auth
        self._second = second
        self._passwords = passwords
        self._mail = mail

    async def verify(self, challenge_id: str, code: str, device: Device, *, trust: bool) -> Passed:
        """Open the session that a sign-in was to open, or confirm the second step of the session that asked.

        Raises InvalidCode (wrong, used, run out, tried too often, never made: all alike), AccountSuspended.
        """

        def store(tx: Tx) -> Passed | None:
            answered = self._second.answer(tx, challenge_id, code, ip=device.ip, user_agent=device.user_agent)
            if answered is None:
                return None
            if answered.session_id:
                signed = self._confirm(tx, answered.user, answered.session_id, device)
            else:
                signed = self._auth.open(tx, answered.user.id, device)
            kept = ""
            if trust:
                kept = self._second.trust(tx, answered.user.id, ip=device.ip, user_agent=device.user_agent)
            return Passed(signed=signed, device_token=kept)

        passed = await self._db.write(store)
        if passed is None:
            raise InvalidCode
        return passed

    async def resend(self, challenge_id: str) -> Challenge:
        """Put a new challenge in place of one, for the same purpose. Raises InvalidCode, ResendTooSoon, Locked."""
        made = await self._db.write(lambda tx: self._second.resend(tx, challenge_id))
        if made is None:
            raise InvalidCode
        self._second.deliver(made)
        return made

    async def cancel(self, challenge_id: str) -> None:
        """Give a challenge up; nothing tells whether there was one."""
        await self._db.write(lambda tx: self._second.cancel(tx, challenge_id))

    async def standing(self, caller: Caller) -> Standing:
        """Return how the caller signs in."""

        def read(tx: Tx) -> Standing:
            factor = rows.enabled(tx, caller.user_id)
            return Standing(
                method=factor.method if factor else "",
                required=memberships.requires_second_factor(tx, caller.user_id),
                confirmed=factor.confirmed if factor else None,
                recovery_codes=rows.recovery_left(tx, caller.user_id),
                devices=tuple(rows.devices(tx, caller.user_id)),
            )

        return await self._db.read(read)

    async def switch(self, by: Actor, *, on: bool) -> None:
        """Switch the second step on, by mail, or off with all that belongs to it; twice is fine."""
        policy.as_oneself(by.caller)
        user_id = by.caller.user_id

        def store(tx: Tx) -> bool:
            if (rows.enabled(tx, user_id) is not None) == on:
                return False
            (rows.switch_on if on else rows.remove)(tx, user_id)
            audit.note(tx, by, f"{ACTIONS}switched_{'on' if on else 'off'}", Target("user", user_id))
            return True

        if await self._db.write(store) and not on:
            self._tell(by.caller.email, "The second step at sign-in was switched off.")

    async def enroll(self, by: Actor) -> Challenge:
        """Send the code that confirms the second step by mail, switching it on if need be.

        Raises Conflict (an app is the second step already), SecondFactorLocked.
        """
        policy.as_oneself(by.caller)

        def store(tx: Tx) -> Challenge:
            user = _user(tx, by.caller)
            rows.switch_on(tx, user.id)
            if rows.begin(tx, user.id).method == "totp":
                raise Conflict("An authenticator app is your second step already.")
            audit.note(tx, by, f"{ACTIONS}enrolment_asked", Target("user", user.id))
            return self._second.challenge(tx, user, "email", session_id=by.caller.session_id)

        made = await self._db.write(store)
        self._second.deliver(made)
        return made

    async def begin_app(self, by: Actor, password: str) -> NewApp:
        """Return a secret for an authenticator app; it counts once a code of it comes back.

        Raises InvalidCredentials.
        """
        await self._prove(by.caller, password)
        secret, user_id = self._second.totp.new_secret(), by.caller.user_id

        def store(tx: Tx) -> NewApp:
            rows.begin(tx, user_id)
            rows.change(tx, user_id, totp_pending=self._second.seal(user_id, secret))
            audit.note(tx, by, f"{ACTIONS}app_asked", Target("user", user_id))
            return NewApp(secret=secret, address=self._second.totp.address(secret, _user(tx, by.caller).email))

        return await self._db.write(store)

    async def confirm_app(self, by: Actor, code: str) -> list[str]:
        """Make the app the second step; return recovery codes. Raises InvalidCode (wrong, or no app was begun)."""
        policy.as_oneself(by.caller)
        user_id = by.caller.user_id

        def store(tx: Tx) -> list[str] | None:
            factor = rows.get(tx, user_id)
            plain = "".join(code.split())
            if factor is None or not factor.totp_pending:
                return None
            rows.change(tx, user_id, totp_step=0)
            if not self._second.check_app(tx, user_id, factor.totp_pending, plain):
                rows.change(tx, user_id, totp_step=factor.totp_step)
                return None
            given = {"method": "totp", "totp_secret": factor.totp_pending, "totp_pending": "", "confirmed": now_ms()}
            rows.change(tx, user_id, **given)
            rows.forget_challenges(tx, user_id)
            audit.note(tx, by, f"{ACTIONS}app_confirmed", Target("user", user_id))
            return self._second.new_recovery(tx, user_id)

        made = await self._db.write(store)
        if made is None:
            raise InvalidCode
        self._tell(by.caller.email, "An authenticator app is your second step at sign-in now.")
        return made

    async def drop_app(self, by: Actor, password: str) -> None:
        """Go back to codes by mail. Raises InvalidCredentials, Conflict (there is no app)."""
        await self._prove(by.caller, password)
        user_id = by.caller.user_id

        def store(tx: Tx) -> None:
            factor = rows.get(tx, user_id)
            if factor is None or factor.method != "totp":
                raise Conflict("You have no authenticator app.")
            rows.change(tx, user_id, method="email", totp_secret="", totp_pending="", totp_step=0)
            rows.forget_challenges(tx, user_id)
            audit.note(tx, by, f"{ACTIONS}app_dropped", Target("user", user_id))

        await self._db.write(store)
        self._tell(by.caller.email, "The authenticator app is your second step no longer: codes come by mail.")

    async def renew_recovery(self, by: Actor, password: str) -> list[str]:
        """Return fresh recovery codes in place of all older ones. Raises InvalidCredentials, Conflict."""
        await self._prove(by.caller, password)
        user_id = by.caller.user_id

        def store(tx: Tx) -> list[str]:
            if rows.enabled(tx, user_id) is None:
                raise Conflict("Switch the second step on first.")
            audit.note(tx, by, f"{ACTIONS}recovery_renewed", Target("user", user_id))
            return self._second.new_recovery(tx, user_id)

        return await self._db.write(store)

    async def distrust(self, by: Actor, device_id: str | None = None) -> int:
        """Trust one of the caller's browsers no longer, None: none of them; return how many that were.

        Raises InvalidId, NotFound (foreign and unknown alike).
        """
        wanted = parse_id(device_id) if device_id is not None else None
        if device_id is not None and wanted is None:
            raise InvalidId(param="id")
        policy.as_oneself(by.caller)
        user_id = by.caller.user_id

        def store(tx: Tx) -> int:
            gone = rows.distrust(tx, user_id, wanted)
            if wanted is not None and not gone:
                raise NotFound(param="id")
            if gone:
                audit.note(tx, by, f"{ACTIONS}device_distrusted", Target("user", user_id))
            return gone

        return await self._db.write(store)

    async def reset(self, by: Actor, user_id: str) -> None:
        """Take away somebody's second step, with app, recovery codes and trusted browsers.

        Raises as `person_within` does, and NotYourself: a stolen session must not end its owner's second step quietly.
        """

        def store(tx: Tx) -> str:
            user = person_within(tx, by.caller, Verb.USERS_EDIT, user_id)
            if user.id == by.caller.user_id:
                raise NotYourself
            rows.remove(tx, user.id)
            audit.note(tx, by, f"{ACTIONS}reset", Target("user", user.id))
            return user.email

        self._tell(await self._db.write(store), "An administrator has taken away your second step at sign-in.")

    async def history(self, caller: Caller, user_id: str) -> list[KeptEntry]:
        """Return what happened around somebody's second step, the newest first. Raises as `person_within` does."""

        def read(tx: Tx) -> list[KeptEntry]:
            user = person_within(tx, caller, Verb.AUDIT_LIST, user_id, all_twins=False)
            return audit_log.listing(tx, LogFilter(target_id=user.id, action_prefix=ACTIONS), limit=100)

        return await self._db.read(read)

    def _confirm(self, tx: Tx, user: User, session_id: str, device: Device) -> SignedIn:
        rows.change(tx, user.id, confirmed=now_ms())
        if user.email_verified is None:
            users.edit(tx, user.id, {"email_verified": now_ms()})
        by = Actor(Caller(user_id=user.id, email=user.email, kind="user", session_id=""), device.ip, device.user_agent)
        audit.note(tx, by, f"{ACTIONS}confirmed", Target("user", user.id))
        return self._auth.renew(tx, session_id, user.id)

    async def _prove(self, caller: Caller, password: str) -> None:
        """Raise InvalidCredentials unless the caller knows the password.

        A stolen token must not change how its owner signs in.
        """
        policy.as_oneself(caller)
        stored = await self._db.read(lambda tx: users.password_hash(tx, caller.user_id))
        if not await self._passwords.verify(stored, password):
            raise InvalidCredentials("The password is wrong.", param="password")

    def _tell(self, email: str, what: str) -> None:
        self._mail.send(mails.second_factor_changed(email, what))


def _user(tx: Tx, caller: Caller) -> User:
    user = users.by_id(tx, caller.user_id)
    if user is None:
        raise NotFound
    return user
