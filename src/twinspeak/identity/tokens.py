"""Sign-in tokens: JWT, HS256, with the claims that clients of the documented system read (contract section 3).

A token only names a session; whether that session still lives is for the database to say (`services.auth`).
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from twinspeak.domain.caller import TokenClaims
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import InvalidToken, OperatorError, TokenExpired
from twinspeak.domain.ids import parse_id

ALGORITHM = "HS256"
KINDS = ("super", "admin", "user")
MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2: a key of at least the size of the hash."""
MAX_TOKEN_CHARS = 4_096
"""Ours are about 400; a longer one is refused unread."""
_REMEMBERED = 4_096
"""Tokens whose signature is known to be good; a bad one is never remembered."""


class Tokens:
    """Issue and read tokens. `older` secrets still verify, so that a secret can be replaced without signing all out."""

    def __init__(self, secret: str, ttl_s: int, older: Sequence[str] = ()) -> None:
        """Raise OperatorError when a secret is too short to keep forgers out."""
        self._keys = [_key(text) for text in (secret, *older)]
        self._ttl_s = ttl_s
        # What a token says never changes, and checking a signature costs ten times what the rest of a read does.
        # Whether the token still counts (its lifetime, its session) is looked at each time.
        self._said = lru_cache(_REMEMBERED)(self._verified)
        self._page_secret = hashlib.sha256(b"page key\0" + secret.encode()).digest()

    def issue(self, *, user_id: str, email: str, kind: str, session_id: str) -> tuple[str, TokenClaims]:
        """Return a token of full lifetime, and what it says."""
        issued = now_ms() // 1000
        claims = TokenClaims(
            user_id=user_id,
            email=email,
            kind=kind,
            session_id=session_id,
            issued_s=issued,
            expires_s=issued + self._ttl_s,
        )
        body = {
            "_id": claims.user_id,
            "email": claims.email,
            "customerId": claims.customer_id,
            "accountType": claims.kind,
            "sessionId": claims.session_id,
            "iat": claims.issued_s,
            "exp": claims.expires_s,
        }
        return jwt.encode({"alg": ALGORITHM}, body, self._keys[0], algorithms=[ALGORITHM]), claims

    def read(self, token: str) -> TokenClaims:
        """Check signature, shape and lifetime. Raises InvalidToken, or TokenExpired for one that was good."""
        claims = self._said(token)
        if claims.expires_s <= now_ms() // 1000:
            raise TokenExpired
        return claims

    def page_key(self, session_id: str) -> str:
        """Return the CSRF token of a session: the same for its whole life, in every tab (decision 033)."""
        return hmac.new(self._page_secret, session_id.encode(), hashlib.sha256).hexdigest()

    def _verified(self, token: str) -> TokenClaims:
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise InvalidToken
        for key in self._keys:
            try:
                body = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
            except (JoseError, ValueError, TypeError, RecursionError):
                # The library raises the last three for headers that are JSON but no object, or nested too deeply.
                continue
            return _claims(body)
        raise InvalidToken


def _key(secret: str) -> OctKey:
    raw = secret.encode()
    if len(raw) < MIN_SECRET_BYTES:
        raise OperatorError(f"TWINSPEAK_JWT_SECRET must have at least {MIN_SECRET_BYTES} characters, or be unset.")
    try:
        return OctKey.import_key(raw)
    except ValueError:
        raise OperatorError(
            "TWINSPEAK_JWT_SECRET is a public key, which everybody may know: use random text."
        ) from None


def _claims(body: Mapping[str, object]) -> TokenClaims:
    """Check the type of every claim: what is signed is ours, but perhaps by an older version, or by another program."""
    kind = _text(body, "accountType")
    customer = body.get("customerId")
    if kind not in KINDS or not isinstance(customer, str | None):
        raise InvalidToken
    return TokenClaims(
        user_id=_id(body, "_id"),
        email=_text(body, "email"),
        kind=kind,
        session_id=_id(body, "sessionId"),
        issued_s=_seconds(body, "iat"),
        expires_s=_seconds(body, "exp"),
        customer_id=customer,
    )


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken
    return value


def _id(body: Mapping[str, object], name: str) -> str:
    value = parse_id(_text(body, name))
    if value is None:
        raise InvalidToken
    return value


def _seconds(body: Mapping[str, object], name: str) -> int:
    value = body.get(name)
    if type(value) is not int:  # True is an int too
        raise InvalidToken
    return value
