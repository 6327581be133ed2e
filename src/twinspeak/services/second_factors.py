"""The second step at sign-in, inside transactions: who has to take it, its challenges, what answers them.

A challenge is a row of `codes`, good for five minutes and five tries. By mail it is answered with the code that was
sent, with an app with the app's, and either way with a recovery code. Reference: runtime 0.6 and 1.5; decision 050.
"""

import hashlib
import ipaddress
import secrets

import msgspec

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import RateLimited
from twinspeak.domain.ids import new_id
from twinspeak.domain.mail import Mail
from twinspeak.domain.people import User
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import codes as code_rows
from twinspeak.persistence.repos import memberships, users
from twinspeak.persistence.repos import second_factors as rows
from twinspeak.persistence.repos.codes import Code
from twinspeak.persistence.repos.second_factors import PURPOSE, NewDevice
from twinspeak.persistence.secrets import SecretUnreadable
from twinspeak.services import audit, mails
from twinspeak.services.audit import Target
from twinspeak.services.codes import ALPHABET, MAX_TRIES, Codes, Wanted
from twinspeak.services.ports import MailSender, OneTimePasswords, Vault

DIGITS = 6
CHALLENGE_MS = 5 * 60_000
RESEND_MS = 30_000
MAX_BURNED = 5
LOCK_MS = 3_600_000
MAX_OPEN = 5
"""Challenges of one person at a time: each is a mail, and a few guesses."""
MAX_RESENT = 5
DEVICE_MS = 7 * 86_400_000
MAX_DEVICES = 10
RECOVERY_CODES = 10
RECOVERY_LENGTH = 10


class SecondFactorLocked(RateLimited):
    """Too many codes were guessed at, or asked for."""

    code = "second_factor_locked"
    default = "Too many codes were tried or sent. Wait a while, or ask an administrator to reset the second step."


class ResendTooSoon(RateLimited):
    """The last code is hardly on its way."""

    code = "resend_too_soon"
    default = "We have only just sent a code. Wait half a minute before you ask for another one."


class Challenge(msgspec.Struct, frozen=True):
    """What a sign-in, or switching the second step on, still takes: a code, `email` or `totp`. `mail` brings it."""

    id: str
    method: str
    masked_email: str
    mail: Mail | None = None


class Answered(msgspec.Struct, frozen=True):
    """A challenge that was answered rightly. `session_id` is the one that asked for it; "": a sign-in did."""

    user: User
    session_id: str = ""


class SecondFactors:
    """The rules of the second step. One for the whole server."""

    def __init__(self, codes: Codes, mail: MailSender, totp: OneTimePasswords, vault: Vault) -> None:
        """Keep the parts."""
        self._codes = codes
        self._mail = mail
        self.totp = totp
        self._vault = vault

    def demand(self, tx: Tx, user: User, ip: str, trusted: str) -> Challenge | None:
        """Return what a sign-in with the right password still takes; None for nothing.

        `trusted` is what the browser kept. A second step by mail that was never confirmed counts only where the
        address is known to be the person's: a mistyped one must not lock anybody out. Who chose none gets a mailed code
        where one of his twins requires a second step. Raises SecondFactorLocked.
        """
        factor = rows.enabled(tx, user.id)
        chosen = factor is not None and (factor.confirmed is not None or user.email_verified is not None)
        if not chosen and not memberships.requires_second_factor(tx, user.id):
            return None
        if trusted and rows.is_trusted(tx, user.id, hashed(trusted), network_of(ip)):
            return None
        return self.challenge(tx, user, factor.method if factor else "email")

    def challenge(self, tx: Tx, user: User, method: str, *, session_id: str = "", resent: int = 0) -> Challenge:
        """Make a challenge; `deliver` it after the commit. Raises SecondFactorLocked."""
        guessed = rows.burned(tx, user.id, since=now_ms() - LOCK_MS)
        if len(guessed) >= MAX_BURNED:
            raise SecondFactorLocked(retry_after_s=max(1, (guessed[-MAX_BURNED] + LOCK_MS - now_ms()) // 1000 + 1))
        if resent > MAX_RESENT or rows.open_challenges(tx, user.id) >= MAX_OPEN:
            raise SecondFactorLocked(retry_after_s=CHALLENGE_MS // 1000)
        wanted = Wanted(
            purpose=PURPOSE,
            email=f"{user.id}.{new_id()}",
            ttl_ms=CHALLENGE_MS,
            user_id=user.id,
            payload={"method": method, "session": session_id, "resent": resent},
        )
        challenge_id, code = self._codes.issue(tx, wanted, digits=DIGITS)
        mail = mails.second_factor(user.email, code, CHALLENGE_MS) if method == "email" else None
        return Challenge(id=challenge_id, method=method, masked_email=masked(user.email), mail=mail)

    def deliver(self, challenge: Challenge) -> None:
        """Send the code, where one is to be sent."""
        if challenge.mail is not None:
            self._mail.send(challenge.mail)

    def resend(self, tx: Tx, challenge_id: str) -> Challenge | None:
        """Put a new challenge in place of one; None when that is no longer good.

        Raises ResendTooSoon, SecondFactorLocked.
        """
        kept, user = self._kept(tx, challenge_id)
        if kept is None or user is None:
            return None
        wait_ms = kept.created + RESEND_MS - now_ms()
        if wait_ms > 0:
            raise ResendTooSoon(retry_after_s=wait_ms // 1000 + 1)
        code_rows.spend(tx, kept.id)
        said = kept.payload
        return self.challenge(tx, user, said["method"], session_id=said["session"], resent=said["resent"] + 1)

    def cancel(self, tx: Tx, challenge_id: str) -> None:
        """Give a challenge up, whether there is one or not."""
        kept, _ = self._kept(tx, challenge_id)
        if kept is not None:
            code_rows.spend(tx, kept.id)

    def answer(self, tx: Tx, challenge_id: str, code: str, *, ip: str, user_agent: str) -> Answered | None:
        """Return whose challenge it was, used up; None, with the try counted, for a wrong code or no such challenge.

        The transaction must commit either way: raise InvalidCode after it.
        """
        kept, user = self._kept(tx, challenge_id)
        if kept is None or user is None or kept.attempts >= MAX_TRIES:
            return None
        right = self._is_right(tx, kept, user, _plain(code))
        by = Actor(Caller(user_id=user.id, email=user.email, kind="user", session_id=""), ip, user_agent)
        audit.note(tx, by, "mfa.code.verified" if right else "mfa.code.failed", Target("user", user.id))
        if not right:
            code_rows.wrong(tx, kept.id)
            if kept.attempts == 0:
                rows.burn(tx, user.id, since=now_ms() - LOCK_MS)
            return None
        return Answered(user=user, session_id=kept.payload["session"]) if code_rows.spend(tx, kept.id) else None

    def check_app(self, tx: Tx, user_id: str, sealed: str, code: str) -> bool:
        """Tell whether a code is the app's, of now, and has not served yet; note that it has."""
        try:
            secret = self._vault.decrypt(sealed, context=_context(user_id))
        except SecretUnreadable:  # a key that is no longer given: recovery codes and administrators still help
            return False
        step = self.totp.step(secret, code, now_ms())
        return step is not None and rows.use_step(tx, user_id, step)

    def seal(self, user_id: str, secret: str) -> str:
        """Return an app's secret as it is stored."""
        return self._vault.encrypt(secret, context=_context(user_id))

    def trust(self, tx: Tx, user_id: str, *, ip: str, user_agent: str) -> str:
        """Trust a browser for a while; return what it is to keep."""
        token = secrets.token_urlsafe(32)
        new = NewDevice(
            user_id=user_id,
            token_hash=hashed(token),
            network=network_of(ip),
            ip=ip[:100],
            user_agent=user_agent[:500],
            expires=now_ms() + DEVICE_MS,
        )
        rows.trust(tx, new, most=MAX_DEVICES)
        return token

    def new_recovery(self, tx: Tx, user_id: str) -> list[str]:
        """Put fresh recovery codes in place of all older ones; return them, once."""
        made = ["".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
        rows.set_recovery(tx, user_id, [self._codes.sealed(_recovery(user_id), code) for code in made])
        return [f"{code[:5]}-{code[5:]}" for code in made]

    def _is_right(self, tx: Tx, kept: Code, user: User, code: str) -> bool:
        if len(code) == RECOVERY_LENGTH:
            return rows.spend_recovery(tx, user.id, self._codes.sealed(_recovery(user.id), code))
        if kept.payload["method"] == "email":
            return self._codes.is_of(kept, code)
        factor = rows.get(tx, user.id)
        return factor is not None and self.check_app(tx, user.id, factor.totp_secret, code)

    def _kept(self, tx: Tx, challenge_id: str) -> tuple[Code | None, User | None]:
        kept = code_rows.by_id(tx, PURPOSE, challenge_id, now_ms())
        return kept, users.by_id(tx, kept.user_id) if kept is not None and kept.user_id else None


def rotate_secrets(tx: Tx, vault: Vault) -> int:
    """Encrypt every app's secret anew under the first key; return how many rows changed."""
    done = 0
    for factor in rows.secrets_of_all(tx):
        given = {name: getattr(factor, name) for name in ("totp_secret", "totp_pending") if getattr(factor, name)}
        try:
            made = {name: vault.rotate(token, context=_context(factor.user_id)) for name, token in given.items()}
        except SecretUnreadable:  # its key may be given again
            continue
        if made != given:
            rows.change(tx, factor.user_id, **made)
            done += 1
    return done


def masked(email: str) -> str:
    """Return an address as a stranger may see it (reference 1.5: `hu***@praxis-ai.com`)."""
    local, _, host = email.partition("@")
    return f"{local[:2]}***@{host}"


def hashed(token: str) -> str:
    """Return what is stored of a browser's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def network_of(ip: str) -> str:
    """Return where a browser is, roughly: it may change its address, not its provider."""
    try:
        parsed = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 16 if parsed.version == 4 else 40), strict=False))


def _plain(code: str) -> str:
    """Return a code without what people type around it."""
    return "".join(code.split()).replace("-", "").upper()


def _context(user_id: str) -> str:
    return f"totp:{user_id}"


def _recovery(user_id: str) -> str:
    return f"recovery\0{user_id}"
