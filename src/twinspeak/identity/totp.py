"""One-time passwords of an authenticator app: RFC 6238, SHA-1, six digits, thirty seconds, as every app knows it."""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
DRIFT = 1
"""Clocks differ: the step before and the one after are good too."""
_SECRET_BYTES = 20


class Totp:
    """Makes and checks the secrets of authenticator apps."""

    def __init__(self, issuer: str = "Twinspeak") -> None:
        """`issuer` is what apps call the server."""
        self._issuer = issuer

    def new_secret(self) -> str:
        """Return 160 random bits in base 32."""
        return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()

    def address(self, secret: str, account: str) -> str:
        """Return the `otpauth:` address that apps read off a QR code."""
        label = quote(f"{self._issuer}:{account}", safe=":@")
        return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': self._issuer})}"

    def step(self, secret: str, code: str, at_ms: int) -> int | None:
        """Return the step that a code is of, None when it is of none around `at_ms`. All are compared, in one time."""
        now, found = at_ms // 1000 // STEP_S, None
        for step in range(now - DRIFT, now + DRIFT + 1):
            if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
                found = step
        return found


def code_at(secret: str, step: int) -> str:
    """Return the code of a step (RFC 4226, 5.3). Raises ValueError for a secret that is not base 32."""
    try:
        key = base64.b32decode(secret)
    except binascii.Error as error:
        raise ValueError("not base 32") from error
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"
