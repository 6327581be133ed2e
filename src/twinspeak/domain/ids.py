"""Identifiers: ObjectId-style 24-hex ids, ordered by time, and UUIDs for what the public names (contract section 3)."""

import itertools
import re
import secrets
import uuid

from twinspeak.domain.clock import now_ms

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_process = secrets.token_bytes(5).hex()
_counter = itertools.count(secrets.randbelow(0x7FFFFF))


def new_id() -> str:
    """Return 24 lower-case hex digits: 4 bytes of epoch seconds, 5 random per process, 3 of a counter."""
    return f"{now_ms() // 1000:08x}{_process}{next(_counter) & 0xFFFFFF:06x}"


def parse_id(value: str) -> str | None:
    """Return the id in lower case, or None when `value` is not 24 hex digits."""
    lowered = value.lower()
    return lowered if _OBJECT_ID.fullmatch(lowered) else None


def new_uuid() -> str:
    """Return a random UUID (version 4) as text; institutions show one as `publicId`."""
    return str(uuid.uuid4())


def parse_uuid(value: str) -> str | None:
    """Return the canonical lower-case UUID, or None when `value` is not one."""
    try:
        return str(uuid.UUID(value)) if len(value) == 36 else None
    except ValueError:
        return None


def new_secret(size: int = 32) -> str:
    """Return `size` random bytes as URL-safe text; for tokens and keys."""
    return secrets.token_urlsafe(size)
