"""Links that show a conversation to others."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "shares",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("turn_id", sa.String(length=24), nullable=True),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(turn_id IS NULL) <> (course_id IS NULL)", name=op.f("ck_shares_one_thing")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_shares_institution_id")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_shares_turn_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_shares_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
    )
    op.create_index(op.f("ix_shares_token_hash"), "shares", ["token_hash"], unique=True)
    op.create_index(op.f("ix_shares_user_id_created"), "shares", ["user_id", "created"], unique=False)
