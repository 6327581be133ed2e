"""Personal API keys (reference: runtime 1.4, 2.5; admin 10.4; decision 040).

A key reads `pria_` and 40 hex digits; only its SHA-256 is kept, so it is shown once. As documented it stands for its
owner, an administrator, and is exchanged for a session. Beyond that: several keys, with names, ends and scopes; one
with scopes is for anybody, and is good for what they say, as a Bearer token.
"""

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Sequence

import msgspec

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import AdminRequired, Conflict, InvalidId, InvalidToken, NotFound
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.people import ApiKey, KeyDevice
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import api_keys, sessions
from twinspeak.persistence.repos.sessions import NewSession
from twinspeak.services import audit, policy
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth, Device, SignedIn, live_caller

PREFIX = "pria_"
SCOPES: dict[str, str | tuple[str, ...]] = {
    "ask": ("/api/ai/", "/api/mcp"),
    "user": "/api/user/",
    "admin": "/api/admin/",
}
"""What a scope opens: every route under a path. Keys, sessions and the account itself take a session."""
MAX_KEYS = 20
NEVER_MS = 4_102_444_800_000
"""2100: when the session of a key without an end ends."""
_KEY = re.compile(r"pria_[0-9a-f]{40}")
_FAMILIES = ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl", "python", "node", "Go-http-client", "okhttp")
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")


class NewKey(msgspec.Struct, frozen=True):
    """A key to be made; `expires` in epoch milliseconds."""

    name: str
    scopes: tuple[str, ...] = ()
    expires: int | None = None


class ApiKeys:
    """Personal API keys. One for the whole server."""

    def __init__(self, db: Database, auth: Auth) -> None:
        """Keep the parts."""
        self._db = db
        self._auth = auth

    async def add(self, by: Actor, new: NewKey) -> tuple[ApiKey, str]:
        """Make a key; return it and its secret, which is never shown again.

        Raises AdminRequired (without scopes, or with `admin`), Conflict (too many).
        """
        caller = by.caller
        policy.as_oneself(caller)
        if (not new.scopes or "admin" in new.scopes) and caller.account_type not in ("admin", "super"):
            raise AdminRequired("Give the key scopes: only administrators' keys may do everything that they may.")
        secret = PREFIX + secrets.token_hex(20)

        def store(tx: Tx) -> ApiKey:
            if len(api_keys.listing(tx, caller.user_id)) >= MAX_KEYS:
                raise Conflict(f"You have {MAX_KEYS} keys already.")
            session = sessions.create(
                tx,
                NewSession(
                    user_id=caller.user_id,
                    expires=new.expires or NEVER_MS,
                    ip=by.ip[:100],
                    user_agent=by.user_agent,
                    reason=f"API key {new.name}",
                ),
            )
            key = ApiKey(
                id=new_id(),
                user_id=caller.user_id,
                session_id=session,
                name=new.name,
                ending=secret[-4:],
                created=now_ms(),
                scopes=new.scopes,
                expires=new.expires,
            )
            api_keys.add(tx, key, _hash(secret))
            audit.note(
                tx, by, "api_key.added", Target("api_key", key.id), after={"name": new.name, "scopes": new.scopes}
            )
            return key

        return await self._db.write(store), secret

    async def mine(self, caller: Caller) -> list[ApiKey]:
        """Return the caller's keys, the newest first."""
        return await self._db.read(lambda tx: api_keys.listing(tx, caller.user_id))

    async def rotate(self, by: Actor, key_id: str) -> tuple[ApiKey, str]:
        """Give a key another secret; the old one is no longer good. Raises InvalidId, NotFound."""
        policy.as_oneself(by.caller)
        secret = PREFIX + secrets.token_hex(20)

        def store(tx: Tx) -> ApiKey:
            key = _own(tx, by.caller, key_id)
            api_keys.replace(tx, key.id, key_hash=_hash(secret), ending=secret[-4:])
            audit.note(tx, by, "api_key.rotated", Target("api_key", key.id), after={"name": key.name})
            return _own(tx, by.caller, key.id)

        return await self._db.write(store), secret

    async def revoke(self, by: Actor, key_id: str) -> None:
        """Delete a key; what runs under it ends. Raises InvalidId, NotFound."""

        def store(tx: Tx) -> str:
            key = _own(tx, by.caller, key_id)
            api_keys.remove(tx, key.id)
            sessions.revoke(tx, key.session_id, now_ms())
            audit.note(tx, by, "api_key.revoked", Target("api_key", key.id), before={"name": key.name})
            return key.session_id

        ended = await self._db.write(store)
        self._auth.revocations.ended(by.caller.user_id, frozenset({ended}))

    async def devices(self, caller: Caller) -> Sequence[KeyDevice]:
        """Return what has used the caller's keys, the newest use first."""
        return await self._db.read(lambda tx: api_keys.devices(tx, caller.user_id))

    async def exchange(self, secret: str, device: Device) -> SignedIn:
        """Open a session for an administrator's key without scopes. Raises InvalidToken (whatever is wrong)."""

        def store(tx: Tx) -> SignedIn:
            key, caller = _live(tx, secret)
            if key.scopes or caller.account_type not in ("admin", "super"):
                raise InvalidToken("The API key is not valid.")
            api_keys.used(tx, key.id, _seen(device))
            return self._auth.open(tx, caller.user_id, device)

        return await self._db.write(store)

    async def bearer(self, secret: str, path: str) -> Caller:
        """Return who a key given as a Bearer token stands for on a path. Raises InvalidToken, ScopeMissing."""

        def read(tx: Tx) -> Caller:
            key, caller = _live(tx, secret)
            if not key.scopes and caller.account_type not in ("admin", "super"):
                raise InvalidToken("The API key is not valid.")
            if path.startswith(_PERSONAL) or not any(path.startswith(SCOPES[one]) for one in key.scopes or SCOPES):
                raise ScopeMissing
            return caller

        return await self._db.read(read)


class ScopeMissing(AdminRequired):
    """An API key is asked for what it is not good for."""

    code = "scope_missing"
    default = "This API key is not good for that."


_PERSONAL = ("/api/user/me", "/api/user/sessions", "/api/user/api-key", "/api/user/refresh/profile", "/api/user/data")
"""What is the person's own to do, signed in."""


def _live(tx: Tx, secret: str) -> tuple[ApiKey, Caller]:
    key = api_keys.live(tx, _hash(secret), now_ms()) if _KEY.fullmatch(secret) else None
    if key is None:
        raise InvalidToken("The API key is not valid.")
    return key, live_caller(tx, key.session_id, key.user_id)


def _own(tx: Tx, caller: Caller, key_id: str) -> ApiKey:
    wanted = parse_id(key_id)
    if wanted is None:
        raise InvalidId(param="id")
    key = api_keys.get(tx, wanted)
    if key is None or key.user_id != caller.user_id:
        raise NotFound(param="id")
    return key


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _seen(device: Device) -> KeyDevice:
    """Return what is told of a device (reference: runtime 2.5): same subnet, family and system is the same one."""
    agent = device.user_agent
    family = next((one for one in _FAMILIES if one in agent), "other")
    system = next((one for one in _SYSTEMS if one in agent), "other")
    found = re.search(re.escape(family) + r"[\w-]*/([\d.]{1,20})", agent)
    subnet = _subnet(device.ip)
    fingerprint = hashlib.sha256(f"{subnet}|{family}|{system}".encode()).hexdigest()
    known = {
        "sourceIp": device.ip,
        "ipSubnet24": subnet,
        "ua": agent,
        "uaFamily": family,
        "uaOs": system,
        "uaVersion": found[1] if found else "",
    }
    now = now_ms()
    return KeyDevice(id=new_id(), fingerprint=fingerprint, device=known, first_seen=now, last_seen=now)


def _subnet(ip: str) -> str:
    try:
        parsed = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))
