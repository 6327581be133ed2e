"""What administrators say of tools, and twins' MCP servers, both ways."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Create the tables: an MCP server's `credential` is encrypted, a twin's `mcp_secret` hashed."""
    op.create_table(
        "tools",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        _text("description"),
        _text("instructions"),
        _text("arguments", "[]"),
        _text("categories", "[]"),
        _flag("rt_enabled"),
        _flag("rt_only"),
        _word("status", "active"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'inactive', 'deleted')", name=op.f("ck_tools_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tools")),
    )
    op.create_index(op.f("ix_tools_name"), "tools", ["name"], unique=True)
    kept = sa.text("status <> 'deleted'")
    op.create_table(
        "mcp_servers",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        _text("url"),
        _text("description"),
        sa.Column("credential", sa.Text(), nullable=True),
        _flag("enabled", "1"),
        _text("allowed_tools", "[]"),
        _flag("shares_documents"),
        _word("status", "active"),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'inactive', 'deleted')", name=op.f("ck_mcp_servers_status")),
        sa.ForeignKeyConstraint(["institution_id"], ["institutions.id"], name=op.f("fk_mcp_servers_institution_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mcp_servers_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_servers")),
    )
    op.create_index(
        op.f("ix_mcp_servers_institution_id_name"),
        "mcp_servers",
        ["institution_id", "name"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )
    op.add_column("institutions", _text("tools_disabled", "[]"))
    op.add_column("institutions", _flag("mcp_enabled"))
    op.add_column("institutions", _word("mcp_secret", ""))


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _word(name: str, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=100), server_default=default, nullable=False)


def _flag(name: str, default: str = "0") -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=default, nullable=False)
