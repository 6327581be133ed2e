"""Twins that require a second step of their members."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add a column; nobody is required to do anything."""
    column = sa.Column("require_second_factor", sa.Boolean(), server_default="0", nullable=False)
    op.add_column("institutions", column)
