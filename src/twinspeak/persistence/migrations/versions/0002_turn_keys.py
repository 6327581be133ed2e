"""The keys by which a client may ask again without asking twice (`Idempotency-Key`)."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table: keys are few and live for a day."""
    op.create_table(
        "turn_keys",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("turn_id", sa.String(length=24), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_turn_keys_turn_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_turn_keys_user_id")),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_turn_keys")),
    )
    op.create_index(op.f("ix_turn_keys_created"), "turn_keys", ["created"], unique=False)
