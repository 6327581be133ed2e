"""Roll-ups of what turns used, counted up from what there is; caps, which nobody has yet; costs, which nobody knows."""

import sqlalchemy as sa
from alembic import op

from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import usage

revision = "0018"
down_revision = "0017"

_MEASURES = ("turns", "credits", "pooled", "usage", "cached", "completion", "cost")
_CHARGED = sa.text("credits > 0")
_THUMBED = sa.text("thumb <> ''")


def upgrade() -> None:
    """Add columns, indexes and tables, then count."""
    for table, names in (
        ("accounts", ("cap_h24", "cap_institution", "cap_account")),
        ("institutions", ("cap_h24", "cap_institution")),
    ):
        for name in names:
            op.add_column(table, sa.Column(name, sa.BigInteger(), server_default="-1", nullable=False))
    op.add_column("turns", _number("cost"))
    _create_indexes()
    _create_totals()
    _create_people()
    _create_tools()
    usage.rebuild(Tx(op.get_bind()))


def _create_indexes() -> None:
    for names in (["institution_id", "number"], ["institution_id", "course_name", "number"]):
        op.create_index(op.f(f"ix_turns_{'_'.join(names)}"), "turns", names, unique=False)
    for name, columns, where in (
        ("ix_turns_charged", ["payer_wallet_id", "user_id", "ended"], _CHARGED),
        ("ix_turns_thumbed", ["institution_id", "number"], _THUMBED),
    ):
        op.create_index(name, "turns", columns, unique=False, sqlite_where=where, postgresql_where=where)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _key(name: str, length: int) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=length), nullable=False)


def _bucket() -> "sa.Column[int]":
    return sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False)


def _owner(name: str, *, null: bool = True) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=24), nullable=null)


def _refer(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _create_totals() -> None:
    op.create_table(
        "usage_totals",
        _key("place", 24),
        _key("grain", 10),
        _bucket(),
        _key("model", 200),
        _key("assistant", 24),
        _owner("institution_id"),
        _owner("user_id"),
        *(_number(name) for name in _MEASURES),
        sa.CheckConstraint("grain IN ('hour', 'day')", name=op.f("ck_usage_totals_grain")),
        _refer("usage_totals", "institution_id", "institutions"),
        _refer("usage_totals", "user_id", "users"),
        sa.PrimaryKeyConstraint("place", "grain", "bucket", "model", "assistant", name=op.f("pk_usage_totals")),
    )


def _create_people() -> None:
    op.create_table(
        "usage_people",
        _key("place", 24),
        _key("grain", 10),
        _bucket(),
        _owner("user_id", null=False),
        _owner("institution_id"),
        *(_number(name) for name in _MEASURES),
        sa.CheckConstraint("grain IN ('day', 'week', 'month')", name=op.f("ck_usage_people_grain")),
        _refer("usage_people", "institution_id", "institutions"),
        _refer("usage_people", "user_id", "users"),
        sa.PrimaryKeyConstraint("place", "grain", "bucket", "user_id", name=op.f("pk_usage_people")),
    )
    op.create_index(
        op.f("ix_usage_people_user_id_grain_bucket"), "usage_people", ["user_id", "grain", "bucket"], unique=False
    )


def _create_tools() -> None:
    op.create_table(
        "usage_tools",
        _key("place", 24),
        _bucket(),
        _key("tool", 200),
        _owner("institution_id"),
        _owner("user_id"),
        *(_number(name) for name in ("calls", "failures", "duration_ms")),
        _refer("usage_tools", "institution_id", "institutions"),
        _refer("usage_tools", "user_id", "users"),
        sa.PrimaryKeyConstraint("place", "bucket", "tool", name=op.f("pk_usage_tools")),
    )
