"""The vault: whose documents are, who reads them, how far they are taken in; folders, versions of shelves, jobs."""

from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_STATUSES = "status IN ('active', 'selected', 'deleted')"
_PHASES = "phase IN ('queued', 'extract', 'chunk', 'sanitize', 'embed', 'finalize', 'done', 'error')"
_STATES = "state IN ('queued', 'running', 'done', 'failed', 'cancelled')"
_ONE_VAULT = "(institution_id IS NULL) <> (user_id IS NULL)"
_SHARED = "institution_id IS NOT NULL OR NOT account_shared"
_WAITING = "state IN ('queued', 'running')"


def upgrade() -> None:
    """Make the new tables, then put a new one in the place of the old documents'."""
    _create_collections()
    _create_shelves_and_jobs()
    _change_documents()
    with op.batch_alter_table("chunks") as batch:
        batch.add_column(_number("parent", 0))
        batch.add_column(_words("locator", ""))
        batch.add_column(sa.Column("vector", sa.LargeBinary(), nullable=True))
    op.add_column("institutions", _flag("disable_file_upload_for_user"))
    op.add_column("institutions", _number("max_files", 300))


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("institution_id", sa.String(24), nullable=True),
        sa.Column("user_id", sa.String(24), nullable=True),
        sa.Column("owner_id", sa.String(24), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        _word("color", ""),
        sa.Column("parent_id", sa.String(24), nullable=True),
        _flag("account_shared"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_ONE_VAULT, name=op.f("ck_collections_one_vault")),
        sa.CheckConstraint(_SHARED, name=op.f("ck_collections_shared_in_a_twin")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_collections_institution_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_collections_user_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_collections_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
    )
    for column in ("institution_id", "user_id", "parent_id"):
        op.create_index(op.f(f"ix_collections_{column}"), "collections", [column], unique=False)


def _create_shelves_and_jobs() -> None:
    op.create_table(
        "shelves",
        sa.Column("key", sa.String(120), nullable=False),
        _number("version", 0),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_shelves")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("subject_id", sa.String(24), nullable=False),
        _word("state", "queued"),
        _number("attempts", 0),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        _word("owner", ""),
        _flag("cancelled"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(_STATES, name=op.f("ck_jobs_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    waiting = sa.text(_WAITING)
    for name, columns in (("ix_jobs_subject", ["kind", "subject_id"]), ("ix_jobs_waiting", ["not_before"])):
        unique = name == "ix_jobs_subject"
        op.create_index(name, "jobs", columns, unique=unique, sqlite_where=waiting, postgresql_where=waiting)


def _change_documents() -> None:
    for owner in ("institution_id", "user_id"):
        op.drop_index(op.f(f"ix_documents_{owner}_content_hash"), table_name="documents")
    with op.batch_alter_table("documents") as batch:
        batch.drop_constraint(op.f("ck_documents_status"), type_="check")
        batch.alter_column("status", existing_type=sa.String(100), existing_nullable=False, server_default="selected")
        for column in _columns():
            batch.add_column(column)
    op.execute("UPDATE documents SET indexed = (status = 'ready'), phase = 'done', progress = 100")
    op.execute("UPDATE documents SET phase = 'error' WHERE status IN ('pending', 'failed')")
    op.execute("UPDATE documents SET status = 'selected' WHERE status <> 'deleted'")
    op.execute("UPDATE documents SET owner_id = user_id")
    op.execute("UPDATE documents SET chunks = (SELECT count(*) FROM chunks c WHERE c.document_id = documents.id)")
    _identify()
    with op.batch_alter_table("documents") as batch:
        batch.create_check_constraint(op.f("ck_documents_status"), sa.text(_STATUSES))
        batch.create_check_constraint(op.f("ck_documents_phase"), sa.text(_PHASES))
        batch.create_check_constraint(op.f("ck_documents_shared_in_a_twin"), sa.text(_SHARED))
        batch.create_check_constraint(op.f("ck_documents_one_access_level"), sa.text("NOT (is_public AND is_private)"))
        batch.create_foreign_key(op.f("fk_documents_owner_id"), "users", ["owner_id"], ["id"])
        batch.create_foreign_key(op.f("fk_documents_collection_id"), "collections", ["collection_id"], ["id"])
    op.create_index(op.f("ix_documents_identity"), "documents", ["identity"], unique=True)
    for name in ("institution_id created", "user_id created", "owner_id", "collection_id", "member_of"):
        columns = name.split()
        op.create_index(op.f(f"ix_documents_{'_'.join(columns)}"), "documents", columns, unique=False)


def _identify() -> None:
    """Give what is there its identity, as `domain.vault.identity` did when this was written."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, institution_id, user_id, content_hash FROM documents WHERE status <> 'deleted'")
    ).all()
    seen: set[str] = set()
    for row in rows:
        key = f"personal::{row.user_id}" if row.institution_id is None else f"twin:{row.institution_id}:"
        known = blake2b(f"{key}\n{row.content_hash}".encode(), digest_size=32).hexdigest()
        if known not in seen:
            seen.add(known)
            connection.execute(
                sa.text("UPDATE documents SET identity = :known WHERE id = :id"), {"known": known, "id": row.id}
            )


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("owner_id", sa.String(24), nullable=True),
        sa.Column("identity", sa.String(64), nullable=True),
        _flag("account_shared"),
        _flag("is_public"),
        _flag("is_private"),
        sa.Column("collection_id", sa.String(24), nullable=True),
        sa.Column("member_of", sa.String(24), nullable=True),
        *(_words(name, "") for name in ("title", "summary", "authors", "source_url")),
        *(_flag(name) for name in ("on_disk", "indexed", "skip_indexing")),
        _word("phase", "done"),
        _number("progress", 100),
        _number("attempts", 0),
        sa.Column("enqueued", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        _number("hits", 0),
        sa.Column("last_hit", sa.BigInteger(), nullable=True),
        _word("embeddings_model", ""),
        _number("chunks", 0),
        _number("revision", 0),
    ]


def _flag(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean(), server_default="0", nullable=False)


def _words(name: str, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _word(name: str, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.String(100), server_default=default, nullable=False)


def _number(name: str, default: int) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), server_default=str(default), nullable=False)
