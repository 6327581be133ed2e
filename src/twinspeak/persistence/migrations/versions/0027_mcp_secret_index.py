"""Twins are looked up by their MCP secret at every message of a client."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Index the secrets' hashes; a hash that two twins had could not be told apart, so there is none."""
    there = sa.text("mcp_secret <> ''")
    name = op.f("ix_institutions_mcp_secret")
    op.create_index(name, "institutions", ["mcp_secret"], unique=True, sqlite_where=there, postgresql_where=there)
