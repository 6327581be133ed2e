"""Secrets at rest: values encrypted in the database, and the files that hold the server's own keys.

AES-256-GCM with a random 96-bit nonce; the `context` (what the value is, e.g. "ai_model:<id>") is authenticated with
it, so that a value moved to another row does not decrypt. A token reads `v1.<key id>.<base64url of nonce + sealed>`.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twinspeak.domain.errors import OperatorError
from twinspeak.domain.ids import new_secret

MIN_SECRET_CHARS = 32
"""Shorter secrets can be guessed: HS256 wants at least 256 bits (RFC 7518, 3.2)."""

_VERSION = "v1"
_NONCE_BYTES = 12
_PURPOSE = b"twinspeak secrets at rest 1"


class SecretUnreadable(OperatorError):
    """A stored value was changed, belongs elsewhere, or was encrypted under a key that is no longer given."""


class SecretBox:
    """Encrypts under the first key, decrypts under any: put a new key first, `rotate` every value, drop the old."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take keys as text of at least 32 characters. Raises OperatorError."""
        if not keys:
            raise OperatorError("There is no key to encrypt secrets with.")
        self._ciphers: dict[str, AESGCM] = {}
        for key in keys:
            derived = hashlib.sha256(_PURPOSE + _strong(key, "TWINSPEAK_SECRETS_KEY").encode()).digest()
            self._ciphers[hashlib.sha256(derived).hexdigest()[:8]] = AESGCM(derived)
        self._current = next(iter(self._ciphers))

    def encrypt(self, value: str, *, context: str) -> str:
        """Return a token that only `decrypt` with the same `context` opens; two of one value differ."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self._current].encrypt(nonce, value.encode(), context.encode())
        return f"{_VERSION}.{self._current}.{base64.urlsafe_b64encode(sealed).decode()}"

    def decrypt(self, token: str, *, context: str) -> str:
        """Return the value. Raises SecretUnreadable."""
        key_id, sealed = _parts(token)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretUnreadable("A stored secret needs a key that TWINSPEAK_SECRETS_KEY does not list.")
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable("A stored secret was changed outside of Twinspeak.") from None

    def rotate(self, token: str, *, context: str) -> str:
        """Return the value's token under the first key; the same token if it is that already."""
        if self.is_current(token):
            return token
        return self.encrypt(self.decrypt(token, context=context), context=context)

    def is_current(self, token: str) -> bool:
        """Tell whether a token was made under the first key."""
        return _parts(token)[0] == self._current


def open_box(data_dir: Path, setting: str | None) -> SecretBox:
    """Make the box of `TWINSPEAK_SECRETS_KEY` (keys parted by blanks or commas, the first encrypts).

    Without the setting the key is in `secrets.key` in the data dir, made when there is none. Raises OperatorError.
    """
    keys = [key for key in re.split(r"[\s,]+", setting or "") if key]
    return SecretBox(keys or load_or_create_secret(data_dir / "secrets.key", None).split())


def load_or_create_secret(path: Path, given: str | None) -> str:
    """Return the secret that is set (`given`), else the one in the file at `path`, else a new one, stored there.

    The file is readable by its owner only, and appears whole or not at all: of two processes that start at once, both
    get the same secret. Raises OperatorError when a secret is too short, or the file cannot be read or made.
    """
    if given:
        return _strong(given, "The secret that was set")
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OperatorError(f"{path.name} in the data directory cannot be read ({error.strerror}).") from error
    try:
        _create(path, new_secret(48))
        return _read(path)
    except OSError as error:
        raise OperatorError(f"{path.name} cannot be made in the data directory ({error.strerror}).") from error


def _read(path: Path) -> str:
    text = path.read_text("utf-8").strip()
    if path.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):
            path.chmod(0o600)
    return _strong(text, f"{path.name} in the data directory")


def _create(path: Path, secret: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Give the draft its name, unless another process was first: a link never replaces, a rename does."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links: two first starts at the very same moment are the operator's to avoid.
        draft.rename(path)


def _strong(secret: str, name: str) -> str:
    if len(secret) < MIN_SECRET_CHARS:
        raise OperatorError(f"{name} is too short: use at least {MIN_SECRET_CHARS} random characters.")
    return secret


def _parts(token: str) -> tuple[str, bytes]:
    """Return key id and sealed bytes. Raises SecretUnreadable."""
    version, _, rest = token.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        sealed = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        sealed = b""
    if version != _VERSION or len(sealed) <= _NONCE_BYTES:
        raise SecretUnreadable("A stored secret was changed outside of Twinspeak.")
    return key_id, sealed
