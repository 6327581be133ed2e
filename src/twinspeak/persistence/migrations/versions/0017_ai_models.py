"""Models that a twin brings itself, with its own keys."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Create the table: `api_key` and `headers` are encrypted."""
    kept = sa.text("status <> 'deleted'")
    op.create_table(
        "ai_models",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        _text("wire_name"),
        _word("model_use", "conversationModel"),
        _text("description"),
        _word("library", "openai_cli"),
        _text("api_url"),
        sa.Column("api_key", sa.Text(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        _text("header_names", "[]"),
        _text("features", "{}"),
        _text("input_media", "{}"),
        _text("output_media", "{}"),
        _int("max_input_tokens", 0),
        _int("max_output_tokens", 0),
        _word("reasoning_effort", ""),
        sa.Column("extended_context", sa.Boolean(), server_default="0", nullable=False),
        _text("price"),
        _text("picture_url"),
        _word("status", "active"),
        _int("revision", 1),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'inactive', 'deleted')", name=op.f("ck_ai_models_status")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_ai_models_institution_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_models")),
    )
    op.create_index(
        op.f("ix_ai_models_institution_id_name_model_use"),
        "ai_models",
        ["institution_id", "name", "model_use"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _word(name: str, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=100), server_default=default, nullable=False)


def _int(name: str, default: int) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=str(default), nullable=False)
