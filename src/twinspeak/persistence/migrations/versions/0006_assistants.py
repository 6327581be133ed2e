"""All that assistants are documented to have; who likes them; which of them a twin has switched off."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_SCOPE = (
    "(scope = 'system' AND institution_id IS NULL AND owner_user_id IS NULL)"
    " OR (scope IN ('institution', 'account') AND institution_id IS NOT NULL)"
    " OR (scope = 'personal' AND owner_user_id IS NOT NULL)"
)
_STATUS = "status IN ('active', 'unpublished', 'inactive', 'deleted')"
_TOOL_MODE = "tool_mode IN ('all', 'selected')"


def upgrade() -> None:
    """Add the columns, and put new checks in the place of the old ones."""
    # SQLite changes no check of a table that is there: "batch" puts a new table in its place.
    with op.batch_alter_table("assistants") as batch:
        for name in ("scope", "status"):
            batch.drop_constraint(op.f(f"ck_assistants_{name}"), type_="check")
        for column in _columns():
            batch.add_column(column)
        for name, sql in {"scope": _SCOPE, "status": _STATUS, "tool_mode": _TOOL_MODE}.items():
            batch.create_check_constraint(op.f(f"ck_assistants_{name}"), sa.text(sql))
    op.create_index(op.f("ix_turns_assistant_id"), "turns", ["assistant_id"], unique=False)
    op.add_column("institutions", _text("assistants_disabled", "[]"))
    op.create_table(
        "assistant_likes",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("assistant_id", sa.String(length=24), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["assistant_id"], ["assistants.id"], name=op.f("fk_assistant_likes_assistant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_assistant_likes_user_id")),
        sa.PrimaryKeyConstraint("user_id", "assistant_id", name=op.f("pk_assistant_likes")),
    )
    op.create_index(op.f("ix_assistant_likes_assistant_id"), "assistant_likes", ["assistant_id"], unique=False)


def _columns() -> list[sa.Column[object]]:
    return [
        _text("description", ""),
        _flag("admin_only"),
        _flag("editable_others"),
        sa.Column("remember_history", sa.BigInteger(), nullable=True),
        _flag("bypass_system_context"),
        _text("sts_conversation_model", ""),
        _text("rag_collections", "[]"),
        sa.Column("tool_mode", sa.String(length=100), server_default="all", nullable=False),
        _text("tools", "[]"),
        _text("arguments", "[]"),
        sa.Column("liked_count", sa.BigInteger(), server_default="0", nullable=False),
    ]


def _text(name: str, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _flag(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean(), server_default="0", nullable=False)
