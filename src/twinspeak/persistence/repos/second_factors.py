"""Who wants a second step at sign-in, with what, and which browsers need none for a while."""

from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update

from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.identity_tables import burned_codes, codes, recovery_codes, second_factors, trusted_devices

PURPOSE = "second_factor"
"""Of the rows in `codes` that are its challenges."""


class Factor(msgspec.Struct, frozen=True):
    """Somebody's second step. `method` is email, totp, or none while the first app is not confirmed.

    The secrets are encrypted, "" for none; `confirmed` is when a code of it first came back.
    """

    user_id: str
    method: str
    confirmed: int | None
    totp_secret: str
    totp_pending: str
    totp_step: int
    created: int


class TrustedDevice(msgspec.Struct, frozen=True):
    """A browser that needs no code until `expires`, as lists show it. Times are epoch milliseconds."""

    id: str
    created: int
    expires: int
    ip: str
    user_agent: str


class NewDevice(msgspec.Struct, frozen=True):
    """What `trust` needs."""

    user_id: str
    token_hash: str
    network: str
    ip: str
    user_agent: str
    expires: int


_FACTOR = [second_factors.c[name] for name in Factor.__struct_fields__]
_DEVICE = [trusted_devices.c[name] for name in TrustedDevice.__struct_fields__]


def get(tx: Tx, user_id: str) -> Factor | None:
    """Return somebody's second step, None for none."""
    row = tx.first(select(*_FACTOR).where(second_factors.c.user_id == user_id))
    return None if row is None else Factor(*row)


def enabled(tx: Tx, user_id: str) -> Factor | None:
    """Return somebody's second step, None for none and for one that has only begun."""
    found = get(tx, user_id)
    return None if found is None or found.method == "none" else found


def begin(tx: Tx, user_id: str) -> Factor:
    """Return somebody's second step; where there is none, it begins."""
    found = get(tx, user_id)
    if found is None:
        tx.run(insert(second_factors).values(user_id=user_id, method="none", created=now_ms()))
    return found or begin(tx, user_id)


def switch_on(tx: Tx, user_id: str) -> None:
    """Have somebody take a second step by mail, unless there is one already."""
    if begin(tx, user_id).method == "none":
        change(tx, user_id, method="email")


def change(tx: Tx, user_id: str, **values: Any) -> None:  # noqa: ANN401 -- whatever columns hold
    """Set columns of a second step."""
    tx.run(update(second_factors).where(second_factors.c.user_id == user_id).values(values))


def use_step(tx: Tx, user_id: str, step: int) -> bool:
    """Note that an app's code of a step has served; False when it, or a later one, has before."""
    mine = (second_factors.c.user_id == user_id, second_factors.c.totp_step < step)
    return bool(tx.change(update(second_factors).where(*mine).values(totp_step=step)))


def remove(tx: Tx, user_id: str) -> None:
    """Take away somebody's second step, and all that belongs to it."""
    forget_challenges(tx, user_id)
    for table in (second_factors, recovery_codes, trusted_devices, burned_codes):
        tx.run(delete(table).where(table.c.user_id == user_id))


def forget_challenges(tx: Tx, user_id: str) -> None:
    """Have every code that was sent to somebody, and every browser that was trusted, count no more."""
    tx.run(delete(codes).where(codes.c.user_id == user_id, codes.c.purpose == PURPOSE))
    tx.run(delete(trusted_devices).where(trusted_devices.c.user_id == user_id))


def open_challenges(tx: Tx, user_id: str) -> int:
    """Return how many codes of somebody have not run out."""
    mine = (codes.c.user_id == user_id, codes.c.purpose == PURPOSE, codes.c.expires > now_ms())
    return tx.value(select(func.count()).select_from(codes).where(*mine))


def burn(tx: Tx, user_id: str, *, since: int) -> None:
    """Note that somebody guessed at a code; forget what was before `since`."""
    tx.run(delete(burned_codes).where(burned_codes.c.user_id == user_id, burned_codes.c.at < since))
    tx.run(insert(burned_codes).values(id=new_id(), user_id=user_id, at=now_ms()))


def burned(tx: Tx, user_id: str, *, since: int) -> list[int]:
    """Return when codes were guessed at, oldest first."""
    mine = (burned_codes.c.user_id == user_id, burned_codes.c.at >= since)
    return [row.at for row in tx.all(select(burned_codes.c.at).where(*mine).order_by(burned_codes.c.at))]


def set_recovery(tx: Tx, user_id: str, hashes: list[str]) -> None:
    """Put codes in place of all older ones."""
    tx.run(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    if hashes:
        tx.run(insert(recovery_codes), [{"user_id": user_id, "code_hash": one} for one in hashes])


def spend_recovery(tx: Tx, user_id: str, code_hash: str) -> bool:
    """Take a recovery code away; False when it is none, or somebody else was first."""
    mine = (recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == code_hash)
    return bool(tx.change(delete(recovery_codes).where(*mine)))


def recovery_left(tx: Tx, user_id: str) -> int:
    """Return how many recovery codes are left."""
    return tx.value(select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_id == user_id))


def trust(tx: Tx, new: NewDevice, *, most: int) -> None:
    """Trust a browser; of more than `most`, those that are trusted longest are forgotten."""
    now = now_ms()
    tx.run(delete(trusted_devices).where(trusted_devices.c.expires < now))
    tx.run(insert(trusted_devices).values(id=new_id(), created=now, **msgspec.structs.asdict(new)))
    mine = select(trusted_devices.c.id).where(trusted_devices.c.user_id == new.user_id)
    newest = [row.id for row in tx.all(mine.order_by(trusted_devices.c.id.desc()))]
    tx.run(delete(trusted_devices).where(trusted_devices.c.id.in_(newest[most:])))


def is_trusted(tx: Tx, user_id: str, token_hash: str, network: str) -> bool:
    """Tell whether a browser is, in the network where it showed a code."""
    mine = (
        trusted_devices.c.token_hash == token_hash,
        trusted_devices.c.user_id == user_id,
        trusted_devices.c.network == network,
        trusted_devices.c.expires > now_ms(),
    )
    return tx.first(select(trusted_devices.c.id).where(*mine)) is not None


def devices(tx: Tx, user_id: str) -> list[TrustedDevice]:
    """Return the trusted browsers, the newest first."""
    mine = (trusted_devices.c.user_id == user_id, trusted_devices.c.expires > now_ms())
    found = select(*_DEVICE).where(*mine).order_by(trusted_devices.c.id.desc())
    return [TrustedDevice(**as_dict(row)) for row in tx.all(found)]


def distrust(tx: Tx, user_id: str, device_id: str | None = None) -> int:
    """Trust one of somebody's browsers no longer, None: none of them; return how many that were."""
    mine = delete(trusted_devices).where(trusted_devices.c.user_id == user_id)
    return tx.change(mine if device_id is None else mine.where(trusted_devices.c.id == device_id))


def secrets_of_all(tx: Tx) -> list[Factor]:
    """Return every second step with a secret, to encrypt it anew."""
    kept = (second_factors.c.totp_secret != "") | (second_factors.c.totp_pending != "")
    return [Factor(*row) for row in tx.all(select(*_FACTOR).where(kept))]
