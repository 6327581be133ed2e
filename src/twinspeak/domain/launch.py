"""Signed launches of a digital twin from another site: what is signed, and what a signature is worth.

    browser   the server signed what a page said: nobody has proved to be anybody
    server    the site's own server signed with the twin's secret: it vouches for who comes, and with what role

Reference: runtime 1.8. What exactly is signed is not documented there, so it is ours: see `signed_text`.
"""

import hashlib
import hmac
import json
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from twinspeak.domain.origins import origin_of

Proof = Literal["browser", "server"]
WINDOW_S = 600
AHEAD_S = 60
"""How far the clock of a site's server may be ahead of ours."""
ADMIN_TYPE = "4"
"""`usertype` of an administrator."""


class Launch(msgspec.Struct, frozen=True):
    """A launch that was signed and not used. `params` are texts, `expires` epoch milliseconds."""

    nonce: str
    institution_id: str
    proof: str
    params: dict[str, str]
    ip: str
    expires: int
    verified: int | None = None

    @property
    def email(self) -> str:
        """The address that the site gives, "" for none."""
        return self.params.get("email", "").strip().lower()

    @property
    def external_id(self) -> str:
        """What the site calls the person, "" for nothing."""
        return self.params.get("userid", "").strip()

    @property
    def subject(self) -> str:
        """What tells people of one site apart."""
        return f"id:{self.external_id}" if self.external_id else f"email:{self.email}"


def texts(params: dict[str, Any]) -> dict[str, str]:
    """Return the parameters that are signed, as texts: what begins with `launch_` is not."""
    return {name: _text(value) for name, value in params.items() if not name.startswith("launch_")}


def signed_text(params: dict[str, str], nonce: str, timestamp: int) -> bytes:
    """Return what is signed: a JSON array of the sorted [name, text] pairs, the nonce and the time.

    UTF-8 without escapes or blanks: `[[["email","ada@example.org"],["userid","7"]],"<nonce>",1750665682]`.
    """
    whole = [[list(pair) for pair in sorted(params.items())], nonce, timestamp]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def signature(secret: str, params: dict[str, str], nonce: str, timestamp: int) -> str:
    """Return the HMAC-SHA256 of a launch, in hexadecimal."""
    return hmac.new(secret.encode(), signed_text(params, nonce, timestamp), hashlib.sha256).hexdigest()


def is_signed(secret: str, params: dict[str, str], nonce: str, timestamp: int, given: str) -> bool:
    """Tell whether a signature is right, in the same time for every wrong one."""
    return hmac.compare_digest(signature(secret, params, nonce, timestamp).encode(), given.lower().encode())


def subject_hash(proof: str, subject: str, browser: str = "") -> str:
    """Return what is kept of who came; for a page's launch `browser` is what only that browser knows."""
    return hashlib.sha256(f"{proof}\0{subject}\0{browser}".encode()).hexdigest()


def context_of(url: str) -> str:
    """Return a context as it is stored and compared: an address without its fragment and last slash, else the text."""
    text = url.strip()
    origin = origin_of(text) if "://" in text else None
    if origin is None:
        return text
    parts = urlsplit(text)
    query = f"?{parts.query}" if parts.query else ""
    return f"{origin}{parts.path.rstrip('/')}{query}"


def _text(value: Any) -> str:  # noqa: ANN401 -- decoded JSON
    """Return a value as a JavaScript client would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
