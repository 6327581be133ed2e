"""What a model is told beside the question: summaries of conversations, and what of it administrators may see."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add a table and columns; nothing that is there changes."""
    op.create_table(
        "summaries",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.String(length=24), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_summaries")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_summaries_institution_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_summaries_user_id")),
    )
    op.create_index(
        op.f("ix_summaries_institution_id_user_id_course_id"),
        "summaries",
        ["institution_id", "user_id", "course_id"],
        unique=False,
    )
    op.add_column("turn_details", sa.Column("prompt", sa.Text(), server_default="", nullable=False))
    op.add_column("institutions", sa.Column("summary_model", sa.Text(), server_default="", nullable=False))
    for name in ("compact_history", "location_enabled"):
        op.add_column("institutions", sa.Column(name, sa.Boolean(), server_default="1", nullable=False))
