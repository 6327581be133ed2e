"""Launches from other sites: the secrets that sign them, those of the last minutes, who came by them, and whereto."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict
from twinspeak.domain.launch import Launch, context_of
from twinspeak.persistence.db import Tx
from twinspeak.persistence.identity_tables import launch_identities, launch_secrets, launches, twin_contexts
from twinspeak.persistence.tables import institutions

_LAUNCH = [launches.c[name] for name in Launch.__struct_fields__]


def secret(tx: Tx, institution_id: str) -> str:
    """Return a twin's secret, encrypted as it is stored; "" for none."""
    return tx.value(select(launch_secrets.c.secret).where(launch_secrets.c.institution_id == institution_id)) or ""


def set_secret(tx: Tx, institution_id: str, sealed: str) -> None:
    """Put a secret in place of any other."""
    forget_secret(tx, institution_id)
    tx.run(insert(launch_secrets).values(institution_id=institution_id, secret=sealed, created=now_ms()))


def forget_secret(tx: Tx, institution_id: str) -> bool:
    """Take a twin's secret away; False when there was none."""
    return bool(tx.change(delete(launch_secrets).where(launch_secrets.c.institution_id == institution_id)))


def secrets_of_all(tx: Tx) -> list[tuple[str, str]]:
    """Return (twin, encrypted secret) of all, to encrypt them anew."""
    rows = tx.all(select(launch_secrets.c.institution_id, launch_secrets.c.secret))
    return [(row.institution_id, row.secret) for row in rows]


def replace_secret(tx: Tx, institution_id: str, sealed: str, *, replacing: str) -> bool:
    """Store a secret encrypted anew, unless it was changed meanwhile."""
    same = (launch_secrets.c.institution_id == institution_id, launch_secrets.c.secret == replacing)
    return bool(tx.change(update(launch_secrets).where(*same).values(secret=sealed)))


def keep(tx: Tx, launch: Launch) -> None:
    """Keep a launch, with what was signed; forget those that ran out. Raises Conflict: it is there already."""
    tx.run(delete(launches).where(launches.c.expires < now_ms()))
    row = msgspec.structs.asdict(launch)
    row["params"] = msgspec.json.encode(launch.params).decode()
    try:
        tx.run(insert(launches).values(**row))
    except IntegrityError as error:
        raise Conflict from error


def get(tx: Tx, nonce: str) -> Launch | None:
    """Return a launch that has neither run out nor been used."""
    return _launch(tx.first(select(*_LAUNCH).where(launches.c.nonce == nonce, *_open())))


def exists(tx: Tx, nonce: str) -> bool:
    """Tell whether a nonce is taken, by a used launch too."""
    return tx.first(select(launches.c.nonce).where(launches.c.nonce == nonce)) is not None


def verify(tx: Tx, nonce: str, ip: str) -> None:
    """Note that a launch was shown to be signed, and from where."""
    tx.run(update(launches).where(launches.c.nonce == nonce).values(verified=now_ms(), ip=ip))


def verified(tx: Tx, institution_id: str, ip: str, *, most: int = 50) -> list[Launch]:
    """Return the launches of a twin that were verified from an address and not used, the newest first."""
    mine = (launches.c.institution_id == institution_id, launches.c.ip == ip, launches.c.verified.is_not(None))
    found = select(*_LAUNCH).where(*mine, *_open()).order_by(launches.c.verified.desc()).limit(most)
    return [one for row in tx.all(found) if (one := _launch(row)) is not None]


def use(tx: Tx, nonce: str) -> bool:
    """Use a launch up; False when somebody else was first."""
    mine = (launches.c.nonce == nonce, launches.c.used.is_(None))
    return bool(tx.change(update(launches).where(*mine).values(used=now_ms())))


def known(tx: Tx, institution_id: str, subject_hash: str) -> str | None:
    """Return the user who came by launches as this subject."""
    same = (launch_identities.c.institution_id == institution_id, launch_identities.c.subject_hash == subject_hash)
    return tx.value(select(launch_identities.c.user_id).where(*same))


def link(tx: Tx, institution_id: str, subject_hash: str, proof: str, user_id: str) -> None:
    """Note who came as which subject."""
    row = {"institution_id": institution_id, "subject_hash": subject_hash, "proof": proof, "user_id": user_id}
    tx.run(insert(launch_identities).values(**row, created=now_ms()))


def forget_user(tx: Tx, user_id: str) -> None:
    """Forget that somebody came by launches."""
    tx.run(delete(launch_identities).where(launch_identities.c.user_id == user_id))


def set_contexts(tx: Tx, institution_id: str, contexts: Iterable[str]) -> None:
    """Have a twin stand for places, and no others. Raises Conflict: another twin stands for one."""
    tx.run(delete(twin_contexts).where(twin_contexts.c.institution_id == institution_id))
    for position, context in enumerate(dict.fromkeys(context_of(one) for one in contexts if one.strip())):
        row = {"context": context, "institution_id": institution_id, "position": position}
        try:
            tx.run(insert(twin_contexts).values(**row))
        except IntegrityError as error:
            raise Conflict("Another digital twin has this context.", param="ltiContextIds") from error


def contexts_of(tx: Tx, institution_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the places of twins."""
    wanted = twin_contexts.c.institution_id.in_(sorted(set(institution_ids)))
    found = select(twin_contexts).where(wanted).order_by(twin_contexts.c.position)
    kept: dict[str, list[str]] = {}
    for row in tx.all(found):
        kept.setdefault(row.institution_id, []).append(row.context)
    return kept


def twin_at(tx: Tx, *, url: str = "", public_id: str = "") -> Any:  # noqa: ANN401 -- a row
    """Return id, status, name, ai_name, picture and public_id of the twin of a place, or with a public id; None.

    `url` comes first; the twin may be of any status.
    """
    names = ("id", "status", "name", "ai_name", "picture", "public_id")
    columns = [institutions.c[name] for name in names]
    if url:
        there = institutions.join(twin_contexts, twin_contexts.c.institution_id == institutions.c.id)
        found = select(*columns).select_from(there).where(twin_contexts.c.context == context_of(url))
        if (row := tx.first(found)) is not None:
            return row
    return tx.first(select(*columns).where(institutions.c.public_id == public_id)) if public_id else None


def _open() -> tuple[Any, ...]:
    return launches.c.used.is_(None), launches.c.expires > now_ms()


def _launch(row: Any) -> Launch | None:  # noqa: ANN401 -- a row
    if row is None:
        return None
    fields = dict(zip(Launch.__struct_fields__, row, strict=True))
    fields["params"] = msgspec.json.decode(fields["params"], type=dict[str, str])
    return Launch(**fields)
