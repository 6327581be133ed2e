"""Who may use a digital twin over MCP, and what of its vault is seen there (reference content 5.7).

Two ways in: the twin's own secret, which searches the twin's vault and reads its files as nobody in particular; and a
person's token, with which it is as if the person had asked in the twin.
"""

import hashlib

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.errors import InvalidId, InvalidToken, NotAMember, NotFound
from twinspeak.domain.ids import new_secret, parse_id, parse_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.vault import Document, VaultQuery, shelves_of
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import administration, documents, institutions, memberships, shelves
from twinspeak.persistence.repos.documents import Wanted
from twinspeak.services import audit, policy
from twinspeak.services import vault_rights as rights
from twinspeak.services.audit import Target
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.services.vault_reading import MOST_LISTED, Finder

PREFIX = "tsm_"
"""How secrets begin, so that they are told from tokens, and found by those who look for leaked ones."""
READS = Rule("mcp_reads", 60)
"""Lists and texts of files a minute, of a person or of a twin's secret."""
SEARCHES = Rule("mcp_search", 60)
"""Searches a minute by a twin's secret; a person has as many as over REST."""
PAGE = 200
MAX_FILE_CHARS = 500_000
_NOBODY = "0" * 24


class Door(msgspec.Struct, frozen=True):
    """Who came in, and into which twin (None: a person's own space). `caller` None: whoever bears the twin's secret."""

    twin: Institution | None
    caller: Caller | None

    @property
    def place(self) -> str | None:
        """The twin's id."""
        return self.twin.id if self.twin else None

    @property
    def key(self) -> str:
        """Whose limits count."""
        return self.caller.user_id if self.caller else f"mcp:{self.place}"


class Hit(msgspec.Struct, frozen=True):
    """A passage that was found, and its document."""

    document: Document
    section: str
    text: str
    score: float


class McpAccess:
    """One for the whole server. `rule` is how often a person may search the vault."""

    def __init__(self, db: Database, finder: Finder, limits: RateLimits, rule: Rule) -> None:
        """Keep the parts."""
        self._db = db
        self._finder = finder
        self._limits = limits
        self._rule = rule

    async def by_secret(self, secret: str) -> Door:
        """Let in who bears a twin's secret. Raises InvalidToken, also where the twin has MCP switched off."""
        twin = await self._db.read(lambda tx: institutions.by_mcp_secret(tx, _hash(secret)))
        if twin is None:
            raise InvalidToken
        return Door(twin=twin, caller=None)

    async def by_caller(self, caller: Caller, public_id: str) -> Door:
        """Let in a person, into the twin named, else the active one. Raises NotAMember."""

        def read(tx: Tx) -> Institution | None:
            if not public_id:
                return memberships.twin(tx, caller.user_id, caller.institution_id) if caller.institution_id else None
            parsed = parse_uuid(public_id)
            found = memberships.twin_by_public_id(tx, caller.user_id, parsed) if parsed else None
            if found is None:
                raise NotAMember
            return found

        return Door(twin=await self._db.read(read), caller=caller)

    async def search(self, door: Door, query: str, limit: int) -> list[Hit]:
        """Return passages for a query, best first. Raises RateLimited, Overloaded."""
        self._limits.take(door.key, self._rule if door.caller else SEARCHES)
        asked = VaultQuery.of(_caller(door), door.place, query, limit)
        found = (await self._finder.find(asked)).rows

        def read(tx: Tx) -> list[Hit]:
            known = {one.chunk.document_id: documents.by_id(tx, one.chunk.document_id) for one in found}
            return [
                Hit(document, one.chunk.section, one.chunk.text, one.score)
                for one in found
                if (document := known[one.chunk.document_id]) is not None
            ]

        return await self._db.read(read)

    async def files(self, door: Door, page: int) -> tuple[list[Document], bool]:
        """Return a page (from 0) of the files that may be read, newest first, and whether more follow.

        Raises RateLimited.
        """
        self._limits.take(door.key, READS)

        def read(tx: Tx) -> tuple[list[Document], int]:
            places = tuple((scope, on) for _, scope, on in rights.places(tx, _caller(door), door.place, None))
            return documents.page(tx, Wanted(places=places, limit=PAGE, offset=page * PAGE))

        found, total = await self._db.read(read)
        return [one for one in found if one.indexed], total > (page + 1) * PAGE

    async def text(self, door: Door, document_id: str) -> tuple[Document, str]:
        """Return a file's text as the vault has it. Raises NotFound (unknown and foreign alike), RateLimited."""
        self._limits.take(door.key, READS)

        def read(tx: Tx) -> tuple[Document, str]:
            found = _readable(tx, door, document_id)
            parts = documents.list_chunks(tx, found.id, limit=MOST_LISTED)
            return found, "\n\n".join(part.text for part in parts)[:MAX_FILE_CHARS]

        return await self._db.read(read)

    async def renew(self, by: Actor, institution_id: str) -> str:
        """Make a twin's secret anew and return it, this once; the one before ends. Raises as `policy.require` does."""
        secret = PREFIX + new_secret(32)

        def store(tx: Tx) -> None:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="id")
            administration.change_twin(tx, twin, {"mcp_secret": _hash(secret)})
            audit.note(tx, by, "institution.mcp_secret_renewed", Target("institution", twin, twin))

        await self._db.write(store)
        return secret


def _hash(secret: str) -> str:
    """Return what is kept of a secret: it is long and random, so that nothing slow is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _caller(door: Door) -> Caller:
    """Return the person, or somebody whose nothing is."""
    return door.caller or Caller(user_id=_NOBODY, email="", kind="user", session_id="")


def _readable(tx: Tx, door: Door, document_id: str) -> Document:
    """Return a document that whoever came in may read in this twin. Raises NotFound."""
    if door.caller is not None:
        try:
            return rights.enclosed(tx, door.caller, document_id, institution_id=door.place, param="uri")
        except InvalidId:
            raise NotFound(param="uri") from None
    wanted = parse_id(document_id)
    found = documents.by_id(tx, wanted) if wanted else None
    siblings = shelves.siblings(tx, door.place) if door.place else ()
    if found is None or found.shelf.key not in {shelf.key for shelf in shelves_of(_NOBODY, door.place, siblings)}:
        raise NotFound(param="uri")
    return found
