"""Branches of conversations: what there is has none."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns."""
    for name in ("parent_id", "replaces_id"):
        op.add_column("turns", sa.Column(name, sa.String(length=24), nullable=True))
    op.add_column("turns", sa.Column("branched", sa.Boolean(), server_default="0", nullable=False))
