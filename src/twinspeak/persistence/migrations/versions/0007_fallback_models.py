"""The models that a twin falls back to."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the list; no twin has one yet."""
    op.add_column("institutions", sa.Column("fallback_models", sa.Text(), server_default="[]", nullable=False))
