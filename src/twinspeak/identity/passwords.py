"""Password hashes: argon2id on a few threads of their own, so that the event loop never waits for one.

A hash takes about 0.1 s and 64 MiB on purpose (RFC 9106, second recommended option), so both are bounded: at most
`WORKERS` run at once, at most `WAITING` wait, the next is told that the server is busy.
"""

import asyncio
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_bytes
from typing import TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from twinspeak.domain.errors import Overloaded, ValidationFailed

WORKERS = 2
WAITING = 64
MAX_BYTES = 1_024
"""Longer passwords are refused before any work; UTF-8, after normalisation."""

_T = TypeVar("_T")
_HASH_BYTES = 32
_SALT_BYTES = 16


class Cost(msgspec.Struct, frozen=True):
    """What one hash costs. Tests use less; a change re-hashes each password at its next sign-in."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class Passwords:
    """Hash and check passwords. Made when the server starts, closed with it."""

    def __init__(self, cost: Cost | None = None, *, workers: int = WORKERS, waiting: int = WAITING) -> None:
        cost = cost or Cost()
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._nobody = _hash_of_nobody(cost)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._places = threading.BoundedSemaphore(workers + waiting)

    async def hash(self, password: str) -> str:
        """Return an argon2id hash in PHC format. Raises ValidationFailed (too long, not text) and Overloaded."""
        secret = _hashable(password)
        return await self._run(lambda: self._hasher.hash(secret))

    def hash_now(self, password: str) -> str:
        """Do as `hash` does on the calling thread: for start-up and the command line."""
        return self._hasher.hash(_hashable(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tell whether `password` made the hash `stored`.

        With None, for somebody who does not exist or has no password, the same work is done and the answer is False:
        the time taken never tells which e-mail addresses have an account (contract section 3). Raises Overloaded.
        """
        secret = _secret(password)
        if secret is None:
            return False
        return await self._run(lambda: self._matches(stored or self._nobody, secret))

    def outdated(self, stored: str) -> bool:
        """Tell whether `stored` was made at another cost than today's, and should be made again."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Drop what waits and let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str, secret: bytes) -> bool:
        try:
            return self._hasher.verify(stored, secret)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _T]) -> _T:
        if not self._places.acquire(blocking=False):
            raise Overloaded(retry_after_s=2)
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            self._places.release()
            raise Overloaded from None
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)


def _hashable(password: str) -> bytes:
    secret = _secret(password)
    if secret is None:
        message = f"must be text of at most {MAX_BYTES} bytes"
        raise ValidationFailed(details={"fields": [{"field": "password", "message": message}]})
    return secret


def _secret(password: str) -> bytes | None:
    """Return what is hashed, or None when nobody can have such a password.

    Normalised (NFKC, as NIST SP 800-63B 3.1.1.2 advises), for one key press can arrive composed or decomposed.
    """
    if len(password) > MAX_BYTES:
        return None
    try:
        secret = unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        return None
    return secret if len(secret) <= MAX_BYTES else None


def _hash_of_nobody(cost: Cost) -> str:
    """Write a hash that no known password has, at full cost to check, without paying for one at every start."""
    salt, digest = (b64encode(token_bytes(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _HASH_BYTES))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"
