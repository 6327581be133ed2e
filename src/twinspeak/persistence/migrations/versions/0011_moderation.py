"""What moderation found, and what twins want done about it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a table and columns."""
    op.create_table(
        "moderations",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("turn_id", sa.String(length=24), nullable=False),
        sa.Column("side", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("findings", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("side IN ('input', 'output')", name=op.f("ck_moderations_side")),
        sa.CheckConstraint("action IN ('block', 'record')", name=op.f("ck_moderations_action")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_moderations_institution_id")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_moderations_turn_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_moderations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moderations")),
    )
    for name in ("institution_id_created", "turn_id"):
        columns = ["institution_id", "created"] if name.endswith("created") else ["turn_id"]
        op.create_index(op.f(f"ix_moderations_{name}"), "moderations", columns, unique=False)
    op.add_column("institutions", sa.Column("enable_moderation", sa.Boolean(), server_default="1", nullable=False))
    op.add_column(
        "institutions", sa.Column("moderation_action", sa.String(length=100), server_default="block", nullable=False)
    )
    op.add_column("institutions", sa.Column("moderation_phrases", sa.Text(), server_default="[]", nullable=False))
