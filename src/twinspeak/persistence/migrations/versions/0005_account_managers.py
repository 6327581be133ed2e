"""Who manages an account, by e-mail address, and which addresses are known to be their owner's."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the list of managers of the one address there was; who is there already keeps what the address gives."""
    op.create_table(
        "account_managers",
        sa.Column("account_id", sa.String(length=24), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_account_managers_email_lower")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_managers_account_id")),
        sa.PrimaryKeyConstraint("account_id", "email", name=op.f("pk_account_managers")),
    )
    op.create_index(op.f("ix_account_managers_email"), "account_managers", ["email"], unique=False)
    op.execute(
        "INSERT INTO account_managers (account_id, email)"
        " SELECT id, lower(trim(manager_email)) FROM accounts WHERE trim(manager_email) <> ''"
    )
    op.drop_column("accounts", "manager_email")
    op.add_column("users", sa.Column("email_verified", sa.BigInteger(), nullable=True))
    op.execute("UPDATE users SET email_verified = created")
