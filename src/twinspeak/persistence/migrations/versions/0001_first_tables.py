"""The first tables: accounts to chunks, as `tables.py` names them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them all, each before what refers to it."""
    _create_accounts()
    _create_meta()
    _create_wallets()
    _create_institutions()
    _create_users()
    _create_assistants()
    _create_documents()
    _create_memberships()
    _create_sessions()
    _create_chunks()
    _create_turns()
    _index_turns()
    _create_holds()
    _create_ledger_entries()
    _create_turn_details()


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("manager_email", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="active", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_accounts_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )


def _create_meta() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )


def _create_wallets() -> None:
    op.create_table(
        "wallets",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("owner_id", sa.String(length=24), nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("balance >= 0 OR kind = 'system'", name=op.f("ck_wallets_balance")),
        sa.CheckConstraint("held <= balance OR kind = 'system'", name=op.f("ck_wallets_covered")),
        sa.CheckConstraint("kind IN ('user', 'institution', 'account', 'system')", name=op.f("ck_wallets_kind")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_wallets_held")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallets")),
        sa.UniqueConstraint("kind", "owner_id", name=op.f("uq_wallets_kind_owner_id")),
    )


def _create_institutions() -> None:
    op.create_table(
        "institutions",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("ai_name", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="active", nullable=False),
        sa.Column("prompt", sa.Text(), server_default="", nullable=False),
        sa.Column("about", sa.Text(), server_default="", nullable=False),
        sa.Column("picture", sa.Text(), server_default="", nullable=False),
        sa.Column("contact_email", sa.Text(), server_default="", nullable=False),
        sa.Column("conversation_model", sa.Text(), server_default="", nullable=False),
        sa.Column("max_completion_tokens", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("reasoning_effort", sa.String(length=100), server_default="", nullable=False),
        sa.Column("display_thinking_details", sa.Boolean(), server_default="1", nullable=False),
        sa.Column("pool_credits", sa.Boolean(), server_default="1", nullable=False),
        sa.Column("rag_ignore", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("rag_only", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("rag_limit_chunks", sa.BigInteger(), server_default="6", nullable=False),
        sa.Column("tool_results_max_chars", sa.BigInteger(), server_default="4000", nullable=False),
        sa.Column("chat_completion_enabled", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("chat_completion_openai_compat", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("chat_completion_model", sa.Text(), server_default="", nullable=False),
        sa.Column("chat_completion_max_completion_tokens", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("chat_completion_reasoning_effort", sa.String(length=100), server_default="", nullable=False),
        sa.Column("public_authorized_urls", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'inactive', 'suspended', 'deleted')", name=op.f("ck_institutions_status")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_institutions_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_institutions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_institutions_public_id")),
    )
    op.create_index(op.f("ix_institutions_account_id"), "institutions", ["account_id"], unique=False)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("fname", sa.Text(), server_default="", nullable=False),
        sa.Column("lname", sa.Text(), server_default="", nullable=False),
        sa.Column("picture", sa.Text(), server_default="", nullable=False),
        sa.Column("account_type", sa.String(length=100), server_default="user", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="active", nullable=False),
        sa.Column("plan", sa.String(length=100), server_default="free", nullable=False),
        sa.Column("active_institution_id", sa.String(length=24), nullable=True),
        sa.Column("remember_history_count", sa.BigInteger(), server_default="3", nullable=False),
        sa.Column("rag_ignore", sa.Boolean(), nullable=True),
        sa.Column("rag_only", sa.Boolean(), nullable=True),
        sa.Column("referral_id", sa.String(length=36), nullable=False),
        sa.Column("reset_code_id", sa.String(length=36), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("credits_used", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("preferences", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("last_login", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("account_type IN ('super', 'admin', 'user')", name=op.f("ck_users_account_type")),
        sa.CheckConstraint("status IN ('active', 'pending', 'suspended', 'deleted')", name=op.f("ck_users_status")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_lower")),
        sa.CheckConstraint("remember_history_count BETWEEN 0 AND 15", name=op.f("ck_users_remember_history_count")),
        sa.ForeignKeyConstraint(
            ["active_institution_id"], ["institutions.id"], name=op.f("fk_users_active_institution_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )


def _create_assistants() -> None:
    op.create_table(
        "assistants",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("owner_user_id", sa.String(length=24), nullable=True),
        sa.Column("scope", sa.String(length=100), server_default="personal", nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("instructions", sa.Text(), server_default="", nullable=False),
        sa.Column("picture_url", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="active", nullable=False),
        sa.Column("conversation_model", sa.Text(), server_default="", nullable=False),
        sa.Column("max_completion_tokens", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("reasoning_effort", sa.String(length=100), server_default="", nullable=False),
        sa.Column("rag_ignore", sa.Boolean(), nullable=True),
        sa.Column("rag_only", sa.Boolean(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(scope = 'system' AND institution_id IS NULL AND owner_user_id IS NULL)"
            " OR (scope = 'institution' AND institution_id IS NOT NULL)"
            " OR (scope = 'personal' AND owner_user_id IS NOT NULL)",
            name=op.f("ck_assistants_scope"),
        ),
        sa.CheckConstraint("status IN ('active', 'inactive', 'deleted')", name=op.f("ck_assistants_status")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_assistants_institution_id")),
        sa.ForeignKeyConstraint(["owner_user_id"], ["users.id"], name=op.f("fk_assistants_owner_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants")),
        info={"tenant": "shared"},
    )
    op.create_index(op.f("ix_assistants_institution_id"), "assistants", ["institution_id"], unique=False)
    op.create_index(op.f("ix_assistants_owner_user_id"), "assistants", ["owner_user_id"], unique=False)


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("media_type", sa.String(length=100), server_default="text/markdown", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="ready", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'ready', 'failed', 'deleted')", name=op.f("ck_documents_status")),
        sa.CheckConstraint("(institution_id IS NULL) <> (user_id IS NULL)", name=op.f("ck_documents_one_vault")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_documents_institution_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_documents_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("id", "institution_id", name=op.f("uq_documents_id_institution_id")),
        info={"tenant": "vault"},
    )
    op.create_index(
        op.f("ix_documents_institution_id_content_hash"), "documents", ["institution_id", "content_hash"], unique=False
    )
    op.create_index(op.f("ix_documents_user_id_content_hash"), "documents", ["user_id", "content_hash"], unique=False)


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=False),
        sa.Column("account_type", sa.String(length=100), server_default="user", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="active", nullable=False),
        sa.Column("entitlements", sa.Text(), server_default="[]", nullable=False),
        sa.Column("favorite", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("last_login", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("account_type IN ('super', 'admin', 'user')", name=op.f("ck_memberships_account_type")),
        sa.CheckConstraint(
            "status IN ('active', 'pending', 'suspended', 'deleted')", name=op.f("ck_memberships_status")
        ),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_memberships_institution_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("user_id", "institution_id", name=op.f("uq_memberships_user_id_institution_id")),
    )
    op.create_index(op.f("ix_memberships_institution_id"), "memberships", ["institution_id"], unique=False)


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.Column("ip", sa.String(length=100), server_default="", nullable=False),
        sa.Column("user_agent", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires"), "sessions", ["expires"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)


def _create_chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("document_id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("section", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(institution_id IS NULL) <> (user_id IS NULL)", name=op.f("ck_chunks_one_vault")),
        sa.ForeignKeyConstraint(
            ["document_id", "institution_id"],
            ["documents.id", "documents.institution_id"],
            name=op.f("fk_chunks_document_id_institution_id"),
        ),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_chunks_document_id")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_chunks_institution_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_chunks_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sa.UniqueConstraint("document_id", "position", name=op.f("uq_chunks_document_id_position")),
        info={"tenant": "vault"},
    )
    op.create_index(op.f("ix_chunks_institution_id"), "chunks", ["institution_id"], unique=False)
    op.create_index(op.f("ix_chunks_user_id"), "chunks", ["user_id"], unique=False)


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("course_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("course_name", sa.Text(), server_default="", nullable=False),
        sa.Column("assistant_id", sa.String(length=24), nullable=True),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("face", sa.String(length=100), nullable=False),
        sa.Column("question", sa.Text(), server_default="", nullable=False),
        sa.Column("output", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("provider", sa.String(length=100), nullable=False),
        sa.Column("price", sa.Text(), server_default="", nullable=False),
        sa.Column("usage_input", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("usage_cached", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("usage_completion", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("usage_estimated", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("credits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("success", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("moderated", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("passages_only", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("stop_reason", sa.String(length=100), server_default="", nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("settlement", sa.Text(), nullable=True),
        sa.Column("has_thinking", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("thinking_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_token_ms", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("favorite", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("favorite_name", sa.Text(), server_default="", nullable=False),
        sa.Column("forgotten", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("thumb", sa.String(length=100), server_default="", nullable=False),
        sa.Column("payer_wallet_id", sa.String(length=24), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'cancelled', 'failed', 'refused', 'interrupted')", name=op.f("ck_turns_state")
        ),
        sa.ForeignKeyConstraint(["assistant_id"], ["assistants.id"], name=op.f("fk_turns_assistant_id")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_turns_institution_id")),
        sa.ForeignKeyConstraint(["payer_wallet_id"], ["wallets.id"], name=op.f("fk_turns_payer_wallet_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_turns_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
        sa.UniqueConstraint("id", "institution_id", name=op.f("uq_turns_id_institution_id")),
        info={"tenant": "own"},
    )


def _index_turns() -> None:
    op.create_index(
        op.f("ix_turns_institution_id_user_id_course_id_created"),
        "turns",
        ["institution_id", "user_id", "course_id", "created"],
        unique=False,
    )
    op.create_index(
        op.f("ix_turns_institution_id_user_id_created"), "turns", ["institution_id", "user_id", "created"], unique=False
    )
    op.create_index(
        "ix_turns_running",
        "turns",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("turn_id", sa.String(length=24), nullable=False),
        sa.Column("wallet_id", sa.String(length=24), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=100), server_default="open", nullable=False),
        sa.CheckConstraint("state IN ('open', 'settled', 'released')", name=op.f("ck_holds_state")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_holds_amount")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_holds_turn_id")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name=op.f("fk_holds_wallet_id")),
        sa.PrimaryKeyConstraint("turn_id", name=op.f("pk_holds")),
    )


def _create_ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("transfer_id", sa.String(length=24), nullable=False),
        sa.Column("wallet_id", sa.String(length=24), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("turn_id", sa.String(length=24), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('award', 'turn', 'adjust')", name=op.f("ck_ledger_entries_kind")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_ledger_entries_turn_id")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name=op.f("fk_ledger_entries_wallet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("transfer_id", "wallet_id", name=op.f("uq_ledger_entries_transfer_id_wallet_id")),
        sa.UniqueConstraint("turn_id", "wallet_id", "kind", name=op.f("uq_ledger_entries_turn_id_wallet_id_kind")),
    )
    op.create_index(op.f("ix_ledger_entries_wallet_id_id"), "ledger_entries", ["wallet_id", "id"], unique=False)


def _create_turn_details() -> None:
    op.create_table(
        "turn_details",
        sa.Column("turn_id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("thinking", sa.Text(), server_default="[]", nullable=False),
        sa.Column("tools", sa.Text(), server_default="[]", nullable=False),
        sa.Column("passages", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_turn_details_institution_id")),
        sa.ForeignKeyConstraint(
            ["turn_id", "institution_id"],
            ["turns.id", "turns.institution_id"],
            name=op.f("fk_turn_details_turn_id_institution_id"),
        ),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_turn_details_turn_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_turn_details_user_id")),
        sa.PrimaryKeyConstraint("turn_id", name=op.f("pk_turn_details")),
        info={"tenant": "own"},
    )
