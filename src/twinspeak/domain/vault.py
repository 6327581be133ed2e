"""Documents of the IP vault as data: whose they are, who reads them, how far they are taken in (reference content 3).

A document is in a person's own vault (no institution), in a twin's, or in its account's: then it lies in a twin and is
`account_shared`. Beside that it has an access level: public (anyone with the link), private (who may see the vault), or
confidential: its owner's alone, administrators not excepted.

Searching goes by shelves: parts of vaults that the same people read, so that what a search must not see is not in any
index that it looks into. Each document is on exactly one shelf.
"""

from enum import StrEnum
from hashlib import blake2b

import msgspec

from twinspeak.domain.caller import Caller, Scope

NAME_CHARS, TITLE_CHARS, SUMMARY_CHARS = 500, 500, 4_000
CHUNK_CHARS = 8_000
"""The longest passage that a person may write (reference content 4.5)."""


class Vault(StrEnum):
    """Whose a document is (reference content 3.2)."""

    PERSONAL = "personal"
    INSTANCE = "instance"
    ACCOUNT = "account"


class Status(StrEnum):
    """ACTIVE is kept but not searched, SELECTED is searched, DELETED is hidden (reference content 3.3)."""

    ACTIVE = "active"
    SELECTED = "selected"
    DELETED = "deleted"


class Phase(StrEnum):
    """How far a document is taken in; each is committed before the next begins. The last two are final."""

    QUEUED = "queued"
    EXTRACT = "extract"
    CHUNK = "chunk"
    SANITIZE = "sanitize"
    EMBED = "embed"
    FINALIZE = "finalize"
    DONE = "done"
    ERROR = "error"


FINAL = (Phase.DONE, Phase.ERROR)
BANDS: dict[Phase, tuple[int, int]] = {
    Phase.QUEUED: (0, 5),
    Phase.EXTRACT: (5, 40),
    Phase.CHUNK: (40, 50),
    Phase.SANITIZE: (50, 60),
    Phase.EMBED: (60, 95),
    Phase.FINALIZE: (95, 100),
    Phase.DONE: (100, 100),
    Phase.ERROR: (100, 100),
}
"""Per cent of all work, at the begin and at the end of a phase; the first three are the reference's (3.4)."""


class Trouble(msgspec.Struct, frozen=True):
    """Why a document could not be taken in: a code of docs/errors.md, and words for its owner."""

    code: str
    message: str


class Quotas(msgspec.Struct, frozen=True):
    """How much there may be. A twin's number of files is its own setting; vaults of a kind may have as many bytes."""

    own_files: int = 300
    own_bytes: int = 2_000_000_000
    twin_bytes: int = 20_000_000_000


class Shelf(msgspec.Struct, frozen=True):
    """A part of a vault that the same people read.

    `kind` is personal (a person's own), twin (what members read), shared (of one twin, what all twins of its account
    read) or own (a person's confidential documents in a twin).
    """

    kind: str
    institution_id: str | None = None
    user_id: str | None = None

    @property
    def key(self) -> str:
        """A name that no other shelf has."""
        return f"{self.kind}:{self.institution_id or ''}:{self.user_id or ''}"

    @property
    def scope(self) -> Scope:
        """Whose rows these are; `repos.shelves` narrows them to the shelf."""
        if self.institution_id is None:
            return Scope(user_id=self.user_id, institution_id=None)
        return Scope(user_id=None, institution_id=None, managed=frozenset({self.institution_id}))


class Document(msgspec.Struct, frozen=True):
    """A document. `owner_id` is who brought it, None for what came with the installation; times are epoch ms.

    `indexed`: its passages are whole, and found once it is `selected`. `member_of` is the archive it came in.
    """

    id: str
    institution_id: str | None
    user_id: str | None
    owner_id: str | None
    name: str
    media_type: str
    bytes: int
    content_hash: str
    status: str
    created: int
    account_shared: bool = False
    is_public: bool = False
    is_private: bool = False
    collection_id: str | None = None
    member_of: str | None = None
    title: str = ""
    summary: str = ""
    authors: str = ""
    source_url: str = ""
    on_disk: bool = False
    indexed: bool = False
    skip_indexing: bool = False
    phase: str = Phase.DONE
    progress: int = 100
    attempts: int = 0
    enqueued: int | None = None
    trouble: Trouble | None = None
    hits: int = 0
    last_hit: int | None = None
    embeddings_model: str = ""
    chunks: int = 0

    @property
    def vault(self) -> Vault:
        """Whose it is."""
        if self.institution_id is None:
            return Vault.PERSONAL
        return Vault.ACCOUNT if self.account_shared else Vault.INSTANCE

    @property
    def shelf(self) -> Shelf:
        """Where it is searched."""
        return shelf_of(
            self.institution_id, self.owner_id or self.user_id, shared=self.account_shared, private=self.is_private
        )

    @property
    def scope(self) -> Scope:
        """The scope that its rows are written in."""
        return Scope(user_id=self.user_id or self.owner_id or "", institution_id=self.institution_id)

    @property
    def busy(self) -> bool:
        """Whether it is being taken in, or waits for that."""
        return self.phase not in FINAL

    @property
    def confidential(self) -> bool:
        """Whether its text is for its owner alone: what is confidential, and what is in a person's own vault."""
        return (self.is_private or self.institution_id is None) and not self.is_public

    @property
    def identity(self) -> str:
        """What only one living document can have: the same content is once on a shelf."""
        return identity(self.shelf, self.content_hash)


def shelf_of(institution_id: str | None, owner_id: str | None, *, shared: bool, private: bool) -> Shelf:
    """Return the shelf of a document."""
    if institution_id is None:
        return Shelf("personal", user_id=owner_id)
    if private:
        return Shelf("own", institution_id, owner_id)
    return Shelf("shared" if shared else "twin", institution_id)


def identity(shelf: Shelf, content_hash: str) -> str:
    """Return 64 hex digits that stand for a content on a shelf."""
    return blake2b(f"{shelf.key}\n{content_hash}".encode(), digest_size=32).hexdigest()


def shelves_of(user_id: str, institution_id: str | None, siblings: tuple[str, ...] = ()) -> list[Shelf]:
    """Return what a person reads: the own vault, and in a twin its shelves and those that its account's twins share.

    `siblings` are the active twins of the account, the twin itself among them.
    """
    shelves = [Shelf("personal", user_id=user_id)]
    if institution_id is not None:
        shelves += [Shelf("twin", institution_id), Shelf("own", institution_id, user_id)]
        shelves += [Shelf("shared", sibling) for sibling in siblings]
    return shelves


_QUERY_ENDS = 2_000
"""Of an endless question, what is searched for: this many characters of each end, where people say what they want."""


class VaultQuery(msgspec.Struct, frozen=True):
    """What to look for, and for whom. `collections`: only in these folders of the vaults; `limit` passages.

    `confidential` False leaves out what is for its owner's eyes alone, his own too.
    """

    user_id: str
    institution_id: str | None
    text: str
    limit: int
    collections: tuple[str, ...] = ()
    documents: frozenset[str] | None = None
    confidential: bool = True

    @classmethod
    def of(cls, caller: Caller, institution_id: str | None, text: str, limit: int) -> "VaultQuery":
        """Return what a caller looks for. Who acts as somebody else does not see what is confidential."""
        bounded = text if len(text) <= 2 * _QUERY_ENDS else f"{text[:_QUERY_ENDS]} {text[-_QUERY_ENDS:]}"
        return cls(caller.user_id, institution_id, bounded, limit, confidential=caller.actor_id is None)


class Collection(msgspec.Struct, frozen=True):
    """A folder of a vault; `parent_id` None: at the top."""

    id: str
    institution_id: str | None
    user_id: str | None
    owner_id: str | None
    name: str
    color: str
    parent_id: str | None
    account_shared: bool
    created: int

    @property
    def vault(self) -> Vault:
        """Whose it is."""
        if self.institution_id is None:
            return Vault.PERSONAL
        return Vault.ACCOUNT if self.account_shared else Vault.INSTANCE

    @property
    def scope(self) -> Scope:
        """The scope that its row is written in."""
        return Scope(user_id=self.user_id or self.owner_id or "", institution_id=self.institution_id)
