"""MCP servers of twins, as administrators manage them (reference content 5.6, admin 9.3): `institutions.*` verbs.

The credential goes in and never comes out: `MASK` stands for what is there, and giving it back leaves that as it is. It
goes to the address that it was given for and to no other, so an address is changed together with it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller, Scope, scope_of_reach
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import AddressNotAllowed, Conflict, InvalidId, NotFound, ValidationFailed
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.tools import MCP_ACTIVE, McpHealth, McpServer
from twinspeak.egress.guard import Guard
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import mcp_servers as rows
from twinspeak.persistence.scope import SYSTEM
from twinspeak.persistence.secrets import SecretBox
from twinspeak.services import audit, policy
from twinspeak.services.administered import MASK, twin_within
from twinspeak.services.passwords import field
from twinspeak.services.rate_limits import RateLimits, Rule

MAX_PER_TWIN = 20
TRIES = Rule("mcp_server_tries", 10)
"""How often a person may try servers in a minute."""
_PLAIN = ("name", "url", "description", "enabled", "allowed_tools", "shares_documents", "status")


class FoundTool(msgspec.Struct, frozen=True):
    """A tool that a server offers."""

    name: str
    description: str
    allowed: bool


class McpProbe(Protocol):
    """Whoever asks MCP servers: `app` wires it."""

    async def test(self, server: McpServer) -> Sequence[tuple[str, str]]:
        """Return (name, description) of a server's tools, asked now. Raises FetchFailed, its message saying why not."""
        ...

    def health(self, server: McpServer) -> McpHealth:
        """Return how a server did when it was asked last."""
        ...

    def runs(self, program: str, institution_id: str) -> bool:
        """Tell whether the operator has a program of this name for a twin."""
        ...

    def forget(self, server_id: str) -> None:
        """Let go of a server that has changed or gone, at once."""
        ...


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; UNSET leaves a field as it is. As `McpServer`, and the credential.

    `kind` is what the address must be: url, or stdio for the operator's programs.
    """

    name: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    credential: str | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    allowed_tools: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    shares_documents: bool | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        """Say nothing: the credential is in here."""
        return "Changes()"


class Listed(msgspec.Struct, frozen=True):
    """A server and how it did lately."""

    server: McpServer
    health: McpHealth


class McpServers:
    """One for the whole server. `guard` holds the rules for addresses of MCP servers."""

    def __init__(self, db: Database, box: SecretBox, probe: McpProbe, guard: Guard, limits: RateLimits) -> None:
        """Keep the parts."""
        self._db = db
        self._box = box
        self._probe = probe
        self._guard = guard
        self._limits = limits

    async def search(self, caller: Caller, institution: str, *, first: int, limit: int) -> tuple[list[Listed], int]:
        """Return a page of the servers of twins where the caller may list. Raises InvalidId."""

        def read(tx: Tx) -> tuple[list[McpServer], int]:
            found = policy.narrowed(tx, policy.reach(tx, caller, Verb.INSTITUTIONS_LIST), institution=institution)
            return rows.listing(tx, scope_of_reach(found), first=first, limit=limit)

        found, total = await self._db.read(read)
        return [self._listed(server) for server in found], total

    async def get(self, caller: Caller, server_id: str) -> Listed:
        """Return a server. Raises InvalidId, NotFound, EntitlementMissing."""
        return self._listed(await self._db.read(lambda tx: _one(tx, caller, Verb.INSTITUTIONS_LIST, server_id)))

    async def create(self, by: Actor, institution_id: str | None, changes: Changes) -> str:
        """Add a server to a twin, the caller's active one by default; return its id.

        Raises ValidationFailed, Conflict (its name is taken, or there are too many), and what `policy.require` does.
        """
        caller, server_id, created = by.caller, new_id(), now_ms()

        def write(tx: Tx) -> None:
            twin = twin_within(tx, caller, Verb.INSTITUTIONS_EDIT, institution_id)
            blank = McpServer(
                id=server_id, institution_id=twin, name="", url="", created=created, user_id=caller.user_id
            )
            credential = "" if isinstance(changes.credential, msgspec.UnsetType) else changes.credential
            if credential == MASK:
                raise ValidationFailed(param="authorization_header", details=field("authorization_header", "is a mask"))
            server = self._judged(blank, changes, has_credential=bool(credential))
            scope = _scope(caller, twin)
            if rows.count(tx, scope) >= MAX_PER_TWIN:
                raise Conflict(f"A digital twin has at most {MAX_PER_TWIN} MCP servers.")
            rows.create(tx, scope, self._box, server, credential)
            audit.note(tx, by, "mcp_server.created", _target(server), after=_noted(server))

        await self._db.write(write)
        return server_id

    async def change(self, by: Actor, server_id: str, changes: Changes) -> None:
        """Change a server; what comes of it is judged as a new one would be. Raises as `create` and `get` do."""

        def write(tx: Tx) -> None:
            old = _one(tx, by.caller, Verb.INSTITUTIONS_EDIT, server_id)
            given = changes.credential
            kept = isinstance(given, msgspec.UnsetType) or given == MASK
            has = old.has_credential if kept else bool(given)
            server = self._judged(old, changes, has_credential=has)
            if kept and old.has_credential and server.url != old.url:
                stays = "must be given again, because it would go to another address"
                raise ValidationFailed(param="authorization_header", details=field("authorization_header", stays))
            sealed = {} if kept else rows.sealed(self._box, old.id, str(given))
            rows.change(tx, _scope(by.caller, old.institution_id), server, sealed)
            replaced = {} if kept else {"replaced": "credential"}
            audit.note(
                tx, by, "mcp_server.changed", _target(old), before=_noted(old), after={**_noted(server), **replaced}
            )

        await self._db.write(write)
        self._probe.forget(server_id.lower())

    async def delete(self, by: Actor, server_id: str) -> None:
        """Delete a server; its credential is gone at once. Raises as `get` does."""

        def write(tx: Tx) -> None:
            old = _one(tx, by.caller, Verb.INSTITUTIONS_EDIT, server_id)
            rows.remove(tx, _scope(by.caller, old.institution_id), old.id)
            audit.note(tx, by, "mcp_server.deleted", _target(old), before=_noted(old))

        await self._db.write(write)
        self._probe.forget(server_id.lower())

    async def test(self, caller: Caller, server_id: str) -> list[FoundTool]:
        """Ask a server for its tools now. Raises as `get` does, Conflict, RateLimited, FetchFailed."""
        server = await self._db.read(lambda tx: _one(tx, caller, Verb.INSTITUTIONS_EDIT, server_id))
        if server.status != MCP_ACTIVE:
            raise Conflict("Only an active MCP server can be tried.")
        self._limits.take(caller.user_id, TRIES)
        found = await self._probe.test(server)
        return [FoundTool(name, description, server.allows(name)) for name, description in found]

    def _listed(self, server: McpServer) -> Listed:
        return Listed(server, self._probe.health(server))

    def _judged(self, old: McpServer, changes: Changes, *, has_credential: bool) -> McpServer:
        """Return the server as it will be. Raises ValidationFailed."""
        given: dict[str, Any] = {
            name: value for name in _PLAIN if not isinstance(value := getattr(changes, name), msgspec.UnsetType)
        }
        revision = old.revision + (1 if old.name else 0)
        server = msgspec.structs.replace(old, **given, has_credential=has_credential, revision=revision)
        if not server.name.strip():
            raise ValidationFailed(param="name", details=field("name", "must not be empty"))
        kind = "url" if server.program is None else "stdio"
        if changes.kind not in (msgspec.UNSET, kind):
            raise ValidationFailed(param="server_type", details=field("server_type", f"does not fit: it is {kind}"))
        if server.program is not None:
            self._check_program(server, server.program)
            return server
        try:
            self._guard.parse(server.url)
        except AddressNotAllowed as wrong:
            raise ValidationFailed(param="server_url", details=field("server_url", wrong.message)) from None
        return server

    def _check_program(self, server: McpServer, program: str) -> None:
        """Raise ValidationFailed for what is no program of the operator's for this twin."""
        if server.has_credential:
            given = field("authorization_header", "must be empty: programs have none")
            raise ValidationFailed(param="authorization_header", details=given)
        if not self._probe.runs(program, server.institution_id):
            wrong = "names no program that this server has for this digital twin"
            raise ValidationFailed(param="server_url", details=field("server_url", wrong))


def rotate_secrets(tx: Tx, vault: SecretBox) -> None:
    """Bring every credential under the first key: at the server's start."""
    rows.seal_again(tx, vault)


def _one(tx: Tx, caller: Caller, verb: Verb, server_id: str) -> McpServer:
    wanted = parse_id(server_id)
    if wanted is None:
        raise InvalidId(param="id")
    found = rows.by_id(tx, SYSTEM, wanted)
    if found is None:
        raise NotFound(param="id")
    policy.require(tx, caller, verb, found.institution_id, param="id")
    return found


def _scope(caller: Caller, institution_id: str) -> Scope:
    """Return the scope of a twin whose verb has been checked."""
    return Scope(user_id=caller.user_id, institution_id=institution_id)


def _target(server: McpServer) -> audit.Target:
    return audit.Target("mcp_server", server.id, server.institution_id)


def _noted(server: McpServer) -> dict[str, Any]:
    return msgspec.to_builtins({name: getattr(server, name) for name in (*_PLAIN, "has_credential")})
