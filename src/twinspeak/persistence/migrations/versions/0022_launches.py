"""Signed launches from other sites: secrets, launches, who came by them, and which twin a place belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Create the tables."""
    _create_launches()
    _create_identities()


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=24), nullable=False)


def _word(name: str, length: int = 100) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=length), nullable=False)


def _text(name: str, default: str = "") -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _time(name: str, *, null: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _refer(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _create_launches() -> None:
    op.create_table(
        "launch_secrets",
        _id("institution_id"),
        _text("secret"),
        _time("created"),
        _refer("launch_secrets", "institution_id", "institutions"),
        sa.PrimaryKeyConstraint("institution_id", name=op.f("pk_launch_secrets")),
    )
    op.create_table(
        "launches",
        _word("nonce", 64),
        _id("institution_id"),
        _word("proof"),
        _text("params", "{}"),
        sa.Column("ip", sa.String(length=100), server_default="", nullable=False),
        _time("verified", null=True),
        _time("used", null=True),
        _time("expires"),
        sa.CheckConstraint("proof IN ('browser', 'server')", name=op.f("ck_launches_proof")),
        _refer("launches", "institution_id", "institutions"),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_launches")),
    )
    op.create_index(op.f("ix_launches_institution_id_ip"), "launches", ["institution_id", "ip"], unique=False)
    op.create_index(op.f("ix_launches_expires"), "launches", ["expires"], unique=False)


def _create_identities() -> None:
    op.create_table(
        "launch_identities",
        _id("institution_id"),
        _word("subject_hash", 64),
        _word("proof"),
        _id("user_id"),
        _time("created"),
        sa.CheckConstraint("proof IN ('browser', 'server')", name=op.f("ck_launch_identities_proof")),
        _refer("launch_identities", "institution_id", "institutions"),
        _refer("launch_identities", "user_id", "users"),
        sa.PrimaryKeyConstraint("institution_id", "subject_hash", name=op.f("pk_launch_identities")),
    )
    op.create_index(op.f("ix_launch_identities_user_id"), "launch_identities", ["user_id"], unique=False)
    op.create_table(
        "twin_contexts",
        _word("context", 500),
        _id("institution_id"),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        _refer("twin_contexts", "institution_id", "institutions"),
        sa.PrimaryKeyConstraint("context", name=op.f("pk_twin_contexts")),
    )
    op.create_index(op.f("ix_twin_contexts_institution_id"), "twin_contexts", ["institution_id"], unique=False)
