"""Personal API keys and the devices that used them; only hashes of keys are kept."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from twinspeak.domain.people import ApiKey, KeyDevice
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.identity_tables import api_key_devices, api_keys
from twinspeak.persistence.tables import sessions

DEVICES_SHOWN = 50
KEEP_DEVICES_MS = 180 * 86_400_000

_scopes = msgspec.json.Decoder(tuple[str, ...])
_COLUMNS = [api_keys.c[name] for name in ApiKey.__struct_fields__]


def add(tx: Tx, key: ApiKey, key_hash: str) -> None:
    """Add a key."""
    row = msgspec.structs.asdict(key)
    row["scopes"] = msgspec.json.encode(key.scopes).decode()
    tx.run(insert(api_keys).values(**row, key_hash=key_hash))


def live(tx: Tx, key_hash: str, now: int) -> ApiKey | None:
    """Return the key of a hash, if it has not run out; its session has a say of its own."""
    row = tx.first(select(*_COLUMNS).where(api_keys.c.key_hash == key_hash))
    if row is None or (row.expires is not None and row.expires <= now):
        return None
    return _key(as_dict(row))


def listing(tx: Tx, user_id: str) -> list[ApiKey]:
    """Return a user's keys whose session lives, the newest first."""
    joined = api_keys.join(sessions, sessions.c.id == api_keys.c.session_id)
    mine = (api_keys.c.user_id == user_id, sessions.c.revoked.is_(None))
    found = select(*_COLUMNS).select_from(joined).where(*mine).order_by(api_keys.c.id.desc())
    return [_key(as_dict(row)) for row in tx.all(found)]


def get(tx: Tx, key_id: str) -> ApiKey | None:
    """Return a key by its id."""
    row = tx.first(select(*_COLUMNS).where(api_keys.c.id == key_id))
    return None if row is None else _key(as_dict(row))


def replace(tx: Tx, key_id: str, *, key_hash: str, ending: str) -> None:
    """Give a key another secret, and forget the devices that used the old one."""
    tx.run(delete(api_key_devices).where(api_key_devices.c.key_id == key_id))
    changed = {"key_hash": key_hash, "ending": ending, "last_used": None}
    tx.run(update(api_keys).where(api_keys.c.id == key_id).values(changed))


def remove(tx: Tx, key_id: str) -> None:
    """Delete a key and what is known of its devices."""
    tx.run(delete(api_key_devices).where(api_key_devices.c.key_id == key_id))
    tx.run(delete(api_keys).where(api_keys.c.id == key_id))


def remove_all(tx: Tx, user_id: str) -> None:
    """Delete every key of a user."""
    for key in tx.all(select(api_keys.c.id).where(api_keys.c.user_id == user_id)):
        remove(tx, key.id)


def used(tx: Tx, key_id: str, seen: KeyDevice) -> None:
    """Note a use by a device, told apart by `seen.fingerprint`; forget devices not seen for long."""
    now = seen.last_seen
    tx.run(update(api_keys).where(api_keys.c.id == key_id).values(last_used=now))
    tx.run(delete(api_key_devices).where(api_key_devices.c.last_seen < now - KEEP_DEVICES_MS))
    same = (api_key_devices.c.key_id == key_id, api_key_devices.c.fingerprint == seen.fingerprint)
    device = msgspec.json.encode(seen.device).decode()
    again = update(api_key_devices).where(*same)
    if tx.change(again.values(device=device, last_seen=now, usage_count=api_key_devices.c.usage_count + 1)):
        return
    row = {**msgspec.structs.asdict(seen), "device": device, "key_id": key_id}
    tx.run(insert(api_key_devices).values(row))


def devices(tx: Tx, user_id: str) -> Sequence[KeyDevice]:
    """Return the devices that used a user's keys, the one seen last first."""
    joined = api_key_devices.join(api_keys, api_keys.c.id == api_key_devices.c.key_id)
    columns = [api_key_devices.c[name] for name in KeyDevice.__struct_fields__]
    found = select(*columns).select_from(joined).where(api_keys.c.user_id == user_id)
    page = found.order_by(api_key_devices.c.last_seen.desc(), api_key_devices.c.id).limit(DEVICES_SHOWN)
    return [_device(as_dict(row)) for row in tx.all(page)]


def _key(row: dict[str, Any]) -> ApiKey:
    fields = dict(row)
    fields["scopes"] = _scopes.decode(fields["scopes"])
    return ApiKey(**fields)


def _device(row: dict[str, Any]) -> KeyDevice:
    fields = dict(row)
    fields["device"] = msgspec.json.decode(fields["device"], type=dict[str, str])
    return KeyDevice(**fields)
