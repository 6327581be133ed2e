"""Facts about the installation itself, by key."""

from sqlalchemy import delete, insert, select, update

from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import meta


def get(tx: Tx, key: str) -> str | None:
    """Return the value, None when it was never set."""
    return tx.value(select(meta.c.value).where(meta.c.key == key))


def put(tx: Tx, key: str, value: str) -> None:
    """Set the value."""
    if not tx.change(update(meta).where(meta.c.key == key).values(value=value)):
        tx.run(insert(meta).values(key=key, value=value))


def keys(tx: Tx, prefix: str) -> list[str]:
    """Return the keys that begin so."""
    found = select(meta.c.key).where(meta.c.key.startswith(prefix, autoescape=True)).order_by(meta.c.key)
    return [row.key for row in tx.all(found)]


def drop(tx: Tx, key: str) -> None:
    """Forget a fact."""
    tx.run(delete(meta).where(meta.c.key == key))
