"""Transfers between accounts and twins, and which accounts fill their twins up by themselves: none yet."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("accounts", sa.Column("transfer_mode", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "account_transfers",
        sa.Column("id", sa.String(length=24), nullable=False),
        *(sa.Column(name, sa.String(length=24), nullable=True) for name in _REFERS),
        *(
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
            for name in ("credits", "transfer_mode")
        ),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("once_key", sa.String(length=64), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "institution_id IS NOT NULL OR account_id IS NOT NULL", name=op.f("ck_account_transfers_parties")
        ),
        *(
            sa.ForeignKeyConstraint([name], [f"{target}.id"], name=op.f(f"fk_account_transfers_{name}"))
            for name, target in _REFERS.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_transfers")),
    )
    for name in ("account_id", "institution_id"):
        op.create_index(op.f(f"ix_account_transfers_{name}_id"), "account_transfers", [name, "id"], unique=False)
    op.create_index(op.f("ix_account_transfers_once_key"), "account_transfers", ["once_key"], unique=True)


_REFERS = {"institution_id": "institutions", "account_id": "accounts", "user_id": "users"}
