"""A text is in a vault once, even if two people bring it at the same moment."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the indices of contents unique among documents that are ready."""
    for owner in ("institution_id", "user_id"):
        name = op.f(f"ix_documents_{owner}_content_hash")
        op.drop_index(name, table_name="documents")
        op.create_index(
            name,
            "documents",
            [owner, "content_hash"],
            unique=True,
            sqlite_where=sa.text("status = 'ready'"),
            postgresql_where=sa.text("status = 'ready'"),
        )
