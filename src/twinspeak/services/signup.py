"""Signing up with an e-mail address that is shown to be one's own, and setting a new password by a mailed code.

Nobody learns here whether an address is known: the answer, the work and the rows written are the same; only the mail
differs, and it goes to the address itself (reference 1.2, 1.3; contract section 3).
"""

from typing import Any

import msgspec

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CallerError
from twinspeak.domain.people import STARTING_CREDITS
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import second_factors, sessions, users
from twinspeak.persistence.repos.codes import Code
from twinspeak.services import audit, mails
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth, Device, SignedIn
from twinspeak.services.codes import Codes, InvalidCode, Wanted
from twinspeak.services.passwords import check_email, check_new
from twinspeak.services.ports import MailSender, PasswordHasher

SIGN_UP_MS = 24 * 3_600_000
RESET_MS = 30 * 60_000


class SignUpClosed(CallerError):
    """The operator lets nobody sign up."""

    code = "sign_up_closed"
    status = 403
    type = "permission_error"
    default = "New people cannot sign up here. Ask an administrator for an account."


class NewPerson(msgspec.Struct, frozen=True):
    """Who wants to sign up."""

    email: str
    password: str
    fname: str = ""
    lname: str = ""


class SignUp:
    """Sign-up and reset. One for the whole server."""

    def __init__(
        self, db: Database, auth: Auth, passwords: PasswordHasher, codes: Codes, mail: MailSender, *, is_open: bool
    ) -> None:
        """`is_open`: whether anybody may sign up."""
        self._db = db
        self._auth = auth
        self._passwords = passwords
        self._codes = codes
        self._mail = mail
        self.is_open = is_open

    async def ask(self, person: NewPerson) -> None:
        """Send a code to the address. Nothing else is made until it comes back.

        Raises SignUpClosed, ValidationFailed (address, password) and Overloaded.
        """
        if not self.is_open:
            raise SignUpClosed
        email = check_email(person.email)
        check_new(person.password, name="password")
        payload = {
            "password_hash": await self._passwords.hash(person.password),
            "fname": person.fname,
            "lname": person.lname,
        }
        wanted = Wanted(purpose="signup", email=email, ttl_ms=SIGN_UP_MS, payload=payload)

        def store(tx: Tx) -> tuple[bool, str]:
            known = users.by_email(tx, email) is not None
            return known, self._codes.issue(tx, wanted)[1]

        known, code = await self._db.write(store)
        self._mail.send(mails.already_there(email) if known else mails.sign_up(email, code, SIGN_UP_MS))

    async def confirm(self, email: str, code: str, device: Device) -> SignedIn:
        """Make the account of who shows the code, and sign in. Raises InvalidCode."""
        address = check_email(email)

        def make(tx: Tx) -> SignedIn | None:
            kept = self._codes.redeem(tx, "signup", address, code)
            if kept is None or users.by_email(tx, address) is not None:
                return None
            user = users.create(tx, _new_user(kept), credits=STARTING_CREDITS)
            _note(tx, user.id, address, "user.signed_up", device)
            return self._auth.open(tx, user.id, device)

        signed_in = await self._db.write(make)
        if signed_in is None:
            raise InvalidCode
        return signed_in

    async def ask_reset(self, email: str) -> None:
        """Send a code that sets a new password, if the address is somebody's."""
        address = check_email(email)

        def store(tx: Tx) -> tuple[bool, str]:
            user = users.by_email(tx, address)
            there = user is not None and user.status == "active"
            wanted = Wanted(
                purpose="reset", email=address, ttl_ms=RESET_MS, user_id=user.id if user and there else None
            )
            return there, self._codes.issue(tx, wanted)[1]

        there, code = await self._db.write(store)
        if there:
            self._mail.send(mails.reset(address, code, RESET_MS))

    async def reset(self, email: str, code: str, password: str, device: Device) -> None:
        """Set a new password by a mailed code, and end every session.

        Raises InvalidCode, ValidationFailed (password) and Overloaded.
        """
        address = check_email(email)
        check_new(password, name="password")
        made = await self._passwords.hash(password)

        def change(tx: Tx) -> tuple[str, list[str]] | None:
            kept = self._codes.redeem(tx, "reset", address, code)
            user = users.by_id(tx, kept.user_id) if kept and kept.user_id else None
            if user is None or user.status != "active" or user.email != address:
                return None
            users.set_password(tx, user.id, made)
            second_factors.forget_challenges(tx, user.id)
            if user.email_verified is None:
                users.edit(tx, user.id, {"email_verified": now_ms()})
            _note(tx, user.id, address, "password.reset", device)
            return user.id, sessions.revoke_all(tx, user.id, now_ms())

        changed = await self._db.write(change)
        if changed is None:
            raise InvalidCode
        self._auth.revocations.ended(changed[0], frozenset(changed[1]))
        self._mail.send(mails.password_changed(address))


def _new_user(kept: Code) -> users.NewUser:
    payload: dict[str, Any] = kept.payload
    return users.NewUser(
        email=kept.email,
        password_hash=payload["password_hash"],
        fname=payload["fname"],
        lname=payload["lname"],
        email_verified=True,
    )


def _note(tx: Tx, user_id: str, email: str, action: str, device: Device) -> None:
    caller = Caller(user_id=user_id, email=email, kind="user", session_id="")
    audit.note(tx, Actor(caller, device.ip, device.user_agent), action, Target("user", user_id))
