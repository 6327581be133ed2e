"""What people say of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "feedbacks",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("turn_id", sa.String(length=24), nullable=True),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("thumb", sa.String(length=100), server_default="", nullable=False),
        sa.Column("context", sa.Text(), server_default="{}", nullable=False),
        sa.Column("status", sa.String(length=100), server_default="active", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("thumb IN ('', 'up', 'down')", name=op.f("ck_feedbacks_thumb")),
        sa.CheckConstraint("status IN ('active', 'deleted')", name=op.f("ck_feedbacks_status")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_feedbacks_institution_id")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_feedbacks_turn_id")),
        sa.ForeignKeyConstraint(
            ["turn_id", "institution_id"],
            ["turns.id", "turns.institution_id"],
            name=op.f("fk_feedbacks_turn_id_institution_id"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_feedbacks_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedbacks")),
    )
    for owner in ("institution_id", "user_id"):
        op.create_index(op.f(f"ix_feedbacks_{owner}_created"), "feedbacks", [owner, "created"], unique=False)
