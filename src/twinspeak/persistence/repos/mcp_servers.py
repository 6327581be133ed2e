"""Twins' MCP servers. Credentials are sealed in here, and opened by who asks the server alone."""

import contextlib
from collections.abc import Generator
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict
from twinspeak.domain.tools import McpServer
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.faults import is_duplicate
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, scoped
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable
from twinspeak.persistence.tool_tables import mcp_servers

_PLAIN = [name for name in McpServer.__struct_fields__ if name != "has_credential"]
_COLUMNS = [
    *(mcp_servers.c[name] for name in _PLAIN),
    mcp_servers.c.credential.is_not(None).label("has_credential"),
]
_THERE = select(*_COLUMNS).where(mcp_servers.c.status != "deleted")
_BY_ID = ScopedStatement(_THERE.where(mcp_servers.c.id == bindparam("server")))
_ACTIVE = ScopedStatement(
    select(*_COLUMNS)
    .where(mcp_servers.c.status == "active", mcp_servers.c.enabled.is_(True))
    .order_by(mcp_servers.c.created, mcp_servers.c.id)
)
_COUNT = ScopedStatement(select(func.count()).select_from(mcp_servers).where(mcp_servers.c.status != "deleted"))
_CREDENTIAL = ScopedStatement(
    select(mcp_servers.c.credential).where(
        mcp_servers.c.id == bindparam("server"),
        mcp_servers.c.revision == bindparam("revision"),
        mcp_servers.c.status == "active",
    )
)
_EVERY_SECRET = ScopedStatement(select(mcp_servers.c.id, mcp_servers.c.credential))
_words = msgspec.json.Decoder(tuple[str, ...])


def active(tx: Tx, scope: Scope) -> tuple[McpServer, ...]:
    """Return the servers whose tools the twin of `scope` offers, oldest first."""
    return tuple(_from_row(row) for row in tx.scoped(scope, _ACTIVE))


def by_id(tx: Tx, scope: Scope, server_id: str) -> McpServer | None:
    """Return a server within `scope` that is not deleted."""
    row = tx.scoped(scope, _BY_ID, {"server": server_id}).first()
    return None if row is None else _from_row(row)


def listing(tx: Tx, scope: Scope, *, first: int, limit: int) -> tuple[list[McpServer], int]:
    """Return servers within `scope` by name, and how many there are in all."""
    statement = _THERE.order_by(mcp_servers.c.name, mcp_servers.c.id).offset(first).limit(limit)
    return [_from_row(row) for row in tx.all(scoped(scope, statement))], count(tx, scope)


def count(tx: Tx, scope: Scope) -> int:
    """Return how many servers there are within `scope`."""
    return tx.scoped(scope, _COUNT).scalar_one()


def create(tx: Tx, scope: Scope, box: SecretBox, server: McpServer, credential: str) -> None:
    """Add a server to the twin of `scope`. Raises Conflict when another one has its name."""
    values = {**_values(server), **sealed(box, server.id, credential), "updated": server.created}
    values.pop("institution_id")
    with _names_kept_apart():
        tx.run(scoped(scope, insert(mcp_servers)).values(**values))


def change(tx: Tx, scope: Scope, server: McpServer, credential: dict[str, Any]) -> None:
    """Write a server over its last revision; `credential` is `sealed`, or empty to keep it. Raises Conflict."""
    values = {**_values(server), **credential, "updated": now_ms()}
    for fixed in ("id", "institution_id", "created", "user_id"):
        values.pop(fixed)
    with _names_kept_apart():
        before = (mcp_servers.c.id == server.id, mcp_servers.c.revision == server.revision - 1)
        if not tx.change(scoped(scope, update(mcp_servers).where(*before)).values(**values)):
            # A credential must never come together with an address that somebody else set meanwhile.
            raise Conflict("Somebody else has changed this MCP server meanwhile. Look at it again.")


def remove(tx: Tx, scope: Scope, server_id: str) -> None:
    """Delete a server; its credential is overwritten."""
    gone = {"status": "deleted", "credential": None, "updated": now_ms()}
    tx.run(scoped(scope, update(mcp_servers).where(mcp_servers.c.id == server_id)).values(**gone))


def sealed(box: SecretBox, server_id: str, credential: str) -> dict[str, Any]:
    """Return what to store of a credential."""
    return {"credential": box.encrypt(credential, context=_context(server_id)) if credential else None}


def credential(tx: Tx, box: SecretBox, server: McpServer) -> str | None:
    """Return what lets us in at a server, "" for nothing; None when it has changed or gone. Raises SecretUnreadable."""
    row = tx.scoped(SYSTEM, _CREDENTIAL, {"server": server.id, "revision": server.revision}).first()
    if row is None:
        return None
    return box.decrypt(row.credential, context=_context(server.id)) if row.credential else ""


def seal_again(tx: Tx, box: SecretBox) -> int:
    """Bring every credential under the box's first key; return how many that changed. Unreadable ones stay."""
    changed = 0
    for row in tx.scoped(SYSTEM, _EVERY_SECRET).all():
        with contextlib.suppress(SecretUnreadable):
            if row.credential and not box.is_current(row.credential):
                token = box.rotate(row.credential, context=_context(row.id))
                tx.run(scoped(SYSTEM, update(mcp_servers).where(mcp_servers.c.id == row.id)).values(credential=token))
                changed += 1
    return changed


@contextlib.contextmanager
def _names_kept_apart() -> Generator[None]:
    try:
        yield
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise Conflict("This digital twin has an MCP server of this name already.", param="name") from error


def _context(server_id: str) -> str:
    return f"mcp_server:{server_id}"


def _values(server: McpServer) -> dict[str, Any]:
    kept = {name: getattr(server, name) for name in _PLAIN}
    kept["allowed_tools"] = msgspec.json.encode(server.allowed_tools).decode()
    return kept


def _from_row(row: Row[Any]) -> McpServer:
    fields = as_dict(row)
    fields["allowed_tools"] = _words.decode(fields["allowed_tools"])
    fields["has_credential"] = bool(fields["has_credential"])
    return McpServer(**fields)
