"""Codes by mail: eight letters and digits, five tries, one use. What is stored is an HMAC under the server's secret."""

import hashlib
import hmac
import secrets
from typing import Any

import msgspec

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CallerError
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import codes
from twinspeak.persistence.repos.codes import Code, NewCode

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0, O, 1 or I: codes are read and typed by people."""
LENGTH = 8
MAX_TRIES = 5


class InvalidCode(CallerError):
    """Wrong, used, run out, tried too often, or never sent: the answer never tells which."""

    code = "invalid_code"
    status = 400
    default = "The code is wrong or no longer good. Ask for a new one."


class Wanted(msgspec.Struct, frozen=True):
    """A code to be made: what for, for which address, how long it is good."""

    purpose: str
    email: str
    ttl_ms: int
    user_id: str | None = None
    payload: dict[str, Any] = {}


class Codes:
    """Makes codes and takes them back."""

    def __init__(self, secret: str) -> None:
        """`secret` is the server's own."""
        self._key = hashlib.sha256(b"twinspeak codes 1" + secret.encode()).digest()

    def issue(self, tx: Tx, wanted: Wanted, *, digits: int = 0) -> tuple[str, str]:
        """Keep a new code in place of older ones; return (its row's id, the code).

        `digits`: that many, no letters, and an id that nobody can guess, for few digits need something beside them.
        """
        letters, length = ("0123456789", digits) if digits else (ALPHABET, LENGTH)
        code = "".join(secrets.choice(letters) for _ in range(length))
        new = NewCode(
            id=secrets.token_hex(12) if digits else new_id(),
            purpose=wanted.purpose,
            email=wanted.email,
            code_hash=self._hash(wanted.purpose, wanted.email, code),
            expires=now_ms() + wanted.ttl_ms,
            user_id=wanted.user_id,
            payload=wanted.payload,
        )
        codes.put(tx, new)
        return new.id, code

    def redeem(self, tx: Tx, purpose: str, email: str, code: str) -> Code | None:
        """Return what a code stands for, and use it up; None, with the try counted, when it is not good.

        The transaction must commit either way: raise InvalidCode after it.
        """
        return self.take(tx, codes.find(tx, purpose, email, now_ms()), code)

    def take(self, tx: Tx, kept: Code | None, code: str) -> Code | None:
        """As `redeem`, for a code that is known already."""
        right = self.is_of(kept, "".join(code.split()).upper())
        if kept is None or kept.attempts >= MAX_TRIES:
            return None
        if not right:
            codes.wrong(tx, kept.id)
            return None
        return kept if codes.spend(tx, kept.id) else None

    def is_of(self, kept: Code | None, code: str) -> bool:
        """Tell whether a code is the one that was made, in the same time for None; nothing is counted."""
        expected = kept.code_hash if kept else self._hash("", "", "")
        made = self._hash(kept.purpose if kept else "", kept.email if kept else "", code)
        return hmac.compare_digest(made, expected)

    def sealed(self, what_for: str, code: str) -> str:
        """Return what to store of a code that is kept elsewhere."""
        return self._hash("kept", what_for, code)

    def _hash(self, purpose: str, email: str, code: str) -> str:
        return hmac.new(self._key, f"{purpose}\0{email}\0{code}".encode(), hashlib.sha256).hexdigest()
