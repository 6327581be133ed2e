"""Monthly budgets of twins: none has one yet."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the column."""
    op.add_column("institutions", sa.Column("budget", sa.BigInteger(), server_default="-1", nullable=False))
