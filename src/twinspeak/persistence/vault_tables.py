"""Tables of the IP vault: folders, documents, their passages; versions of shelves; jobs."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)

from twinspeak.persistence.columns import flag, id_, int_, one_of, ref, table, text_, time_, word
from twinspeak.persistence.text import Words

_WAITING = text("state IN ('queued', 'running')")

collections = table(
    "collections",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users", null=True),
    ref("owner_id", "users", null=True),
    Column("name", Words(200), nullable=False),
    word("color", ""),
    Column("parent_id", Words(24), nullable=True),
    flag("account_shared"),
    time_("created"),
    CheckConstraint("(institution_id IS NULL) <> (user_id IS NULL)", name="one_vault"),
    CheckConstraint("institution_id IS NOT NULL OR NOT account_shared", name="shared_in_a_twin"),
    Index(None, "institution_id"),
    Index(None, "user_id"),
    Index(None, "parent_id"),
    tenant="vault",
)

documents = table(
    "documents",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users", null=True),
    Column("name", Words(500), nullable=False),
    word("media_type", "text/markdown"),
    word("status", "selected"),
    int_("bytes"),
    Column("content_hash", Words(64), nullable=False),
    time_("created"),
    ref("owner_id", "users", null=True),
    # What only one living document can have: the same content is once on a shelf, even if it comes twice at once.
    Column("identity", Words(64), nullable=True),
    flag("account_shared"),
    flag("is_public"),
    flag("is_private"),
    ref("collection_id", "collections", null=True),
    Column("member_of", Words(24), nullable=True),
    text_("title"),
    text_("summary"),
    text_("authors"),
    text_("source_url"),
    flag("on_disk"),
    flag("indexed"),
    flag("skip_indexing"),
    word("phase", "done"),
    int_("progress", 100),
    int_("attempts"),
    time_("enqueued", null=True),
    Column("trouble", Words(), nullable=True),
    int_("hits"),
    time_("last_hit", null=True),
    word("embeddings_model", ""),
    int_("chunks"),
    int_("revision"),
    one_of("status", "active", "selected", "deleted"),
    one_of("phase", "queued", "extract", "chunk", "sanitize", "embed", "finalize", "done", "error"),
    CheckConstraint("(institution_id IS NULL) <> (user_id IS NULL)", name="one_vault"),
    CheckConstraint("institution_id IS NOT NULL OR NOT account_shared", name="shared_in_a_twin"),
    CheckConstraint("NOT (is_public AND is_private)", name="one_access_level"),
    UniqueConstraint("id", "institution_id"),
    Index(None, "identity", unique=True),
    Index(None, "institution_id", "created"),
    Index(None, "user_id", "created"),
    Index(None, "owner_id"),
    Index(None, "collection_id"),
    Index(None, "member_of"),
    tenant="vault",
)

chunks = table(
    "chunks",
    id_(),
    ref("document_id", "documents"),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users", null=True),
    int_("position"),
    text_("section"),
    text_("text"),
    int_("parent"),
    text_("locator"),
    Column("vector", LargeBinary, nullable=True),
    CheckConstraint("(institution_id IS NULL) <> (user_id IS NULL)", name="one_vault"),
    UniqueConstraint("document_id", "position"),
    ForeignKeyConstraint(["document_id", "institution_id"], ["documents.id", "documents.institution_id"]),
    # No index by owner: SQLite takes ten rows to be behind each key of one, and would read whole vaults by it.
    tenant="vault",
)

shelves = table("shelves", Column("key", Words(120), primary_key=True), int_("version"))
"""A number for each part of a vault that grows with each change of what is found there: see `repos.shelves`."""

jobs = table(
    "jobs",
    id_(),
    word("kind"),
    Column("subject_id", Words(24), nullable=False),
    word("state", "queued"),
    int_("attempts"),
    time_("not_before"),
    time_("lease_until"),
    word("owner", ""),
    flag("cancelled"),
    time_("created"),
    Column("ended", BigInteger, nullable=True),
    one_of("state", "queued", "running", "done", "failed", "cancelled"),
    # One job at a time has a document in hand, whoever asks for another.
    Index("ix_jobs_subject", "kind", "subject_id", unique=True, sqlite_where=_WAITING, postgresql_where=_WAITING),
    Index("ix_jobs_waiting", "not_before", sqlite_where=_WAITING, postgresql_where=_WAITING),
)
"""Work for other processes, taken under leases: see `persistence/jobs.py`."""
