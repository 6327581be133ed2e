"""A second step at sign-in: by mail or app, recovery codes, devices that are trusted for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Create the tables."""
    _create_factors()
    _create_devices()


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=24), nullable=False)


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _time(name: str, *, null: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _of_a_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id"))


def _create_factors() -> None:
    op.create_table(
        "second_factors",
        _id("user_id"),
        sa.Column("method", sa.String(length=100), server_default="email", nullable=False),
        _time("confirmed", null=True),
        _text("totp_secret"),
        _text("totp_pending"),
        sa.Column("totp_step", sa.BigInteger(), server_default="0", nullable=False),
        _time("created"),
        sa.CheckConstraint("method IN ('none', 'email', 'totp')", name=op.f("ck_second_factors_method")),
        _of_a_user("second_factors"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        _id("user_id"),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        _of_a_user("recovery_codes"),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )


def _create_devices() -> None:
    op.create_table(
        "trusted_devices",
        _id("id"),
        _id("user_id"),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("ip", sa.String(length=100), server_default="", nullable=False),
        _text("user_agent"),
        _time("created"),
        _time("expires"),
        _of_a_user("trusted_devices"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_devices")),
    )
    op.create_index(op.f("ix_trusted_devices_user_id"), "trusted_devices", ["user_id"], unique=False)
    op.create_index(op.f("ix_trusted_devices_token_hash"), "trusted_devices", ["token_hash"], unique=True)
    op.create_table(
        "burned_codes",
        _id("id"),
        _id("user_id"),
        _time("at"),
        _of_a_user("burned_codes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_burned_codes")),
    )
    op.create_index(op.f("ix_burned_codes_user_id_at"), "burned_codes", ["user_id", "at"], unique=False)
