"""What is remembered of people, and shared in twins."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "memories",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("turn_id", sa.String(length=24), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("source IN ('user', 'model')", name=op.f("ck_memories_source")),
        sa.CheckConstraint("institution_id IS NOT NULL OR NOT shared", name=op.f("ck_memories_shared_in_a_twin")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_memories_institution_id")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_memories_turn_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memories_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
    )
    op.create_index(op.f("ix_memories_key"), "memories", ["key"], unique=True)
    for columns in (["institution_id", "user_id"], ["user_id"], ["turn_id"]):
        op.create_index(op.f(f"ix_memories_{'_'.join(columns)}"), "memories", columns, unique=False)
