"""`Idempotency-Key`: what may be one, and what makes two questions the same (contract section 3, decision 020)."""

import hashlib
import json
import re
from typing import Any

import msgspec
from starlette.requests import Request

from twinspeak.domain.errors import CallerError
from twinspeak.domain.turn import Ask, OnceKey
from twinspeak.transports import wire_names as wire

NAME = "Idempotency-Key"
MAX_CHARS = 255
_VISIBLE = re.compile(rf"[\x21-\x7e]{{1,{MAX_CHARS}}}")

_WHAT_IS_ASKED = (
    "question", "institution_public_id", "institution_hint", "assistant_id", "course", "new_course_name", "rag_only",
    "rag_ignore", "messages", "sampling", "attachments", "uploads", "documents",
)  # fmt: skip
"""Fields of an `Ask` that make another question. The clock and the place of the client, and how it reads, do not."""

PARAMETER: dict[str, Any] = {
    "name": NAME,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CHARS, "pattern": "^[!-~]+$"},
    "description": "Asks at most once: the same key joins your running turn or returns its stored reply, for 24 hours.",
}
"""For the API documents; the header itself is read here, so that a bad one is 400 and not 422."""


def key_of(request: Request) -> str | None:
    """Return the request's key, if it has one. Raises CallerError for a key that cannot be one."""
    given = request.headers.getlist(wire.IDEMPOTENCY_KEY)
    if not given:
        return None
    if len(given) > 1 or not _VISIBLE.fullmatch(given[0]):
        words = f"{NAME} must be one value of 1 to {MAX_CHARS} visible ASCII characters."
        raise CallerError(words, param=NAME)
    return given[0]


def with_key(request: Request, ask: Ask) -> Ask:
    """Return the ask with the request's key, if it has one. Raises CallerError for a key that cannot be one."""
    key = key_of(request)
    return ask if key is None else msgspec.structs.replace(ask, once=OnceKey(key=key, fingerprint=fingerprint(ask)))


def fingerprint(ask: Ask) -> str:
    """Return a hash of what is asked; fields that say nothing leave it as it was before they existed."""
    what = {name: msgspec.to_builtins(getattr(ask, name)) for name in _WHAT_IS_ASKED}
    said = {name: value for name, value in what.items() if value not in (None, "", [], ())}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
