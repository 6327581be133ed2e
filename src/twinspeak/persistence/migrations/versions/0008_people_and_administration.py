"""What joining, administration and mailed codes need; the log of administrative and security actions."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_STATUS = "ck_memberships_status"
_STATUSES = "status IN ('active', 'pending', 'inactive', 'suspended', 'deleted')"
_REFERENCES = (("memberships", "referrer_id"), ("sessions", "actor_id"))


def upgrade() -> None:
    """Add columns; on SQLite a table whose checks or references change is written anew."""
    _add_columns()
    for table, name in _REFERENCES:
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column(name, sa.String(24), nullable=True))
            batch.create_foreign_key(op.f(f"fk_{table}_{name}"), "users", [name], ["id"])
            if table == "memberships":
                batch.drop_constraint(op.f(_STATUS), type_="check")
                batch.create_check_constraint(op.f(_STATUS), sa.text(_STATUSES))
    with op.batch_alter_table("institutions") as batch:
        batch.alter_column("account_id", existing_type=sa.String(24), nullable=True)
    op.create_index(op.f("ix_institutions_join_id"), "institutions", ["join_id"], unique=True)
    _create_codes()
    _create_audit_log()


def _add_columns() -> None:
    text, number = sa.Text(), sa.BigInteger()
    op.add_column("accounts", sa.Column("domain_urls", text, server_default="[]", nullable=False))
    op.add_column("accounts", sa.Column("qualification", text, server_default="", nullable=False))
    for name, kind, default in (
        ("allow_joining", sa.String(100), "disabled"),
        ("joining_admin_only", sa.Boolean(), "0"),
        ("entitle_new_admins", sa.Boolean(), "0"),
        ("credit_award", number, "0"),
        ("credits_awarded", number, "0"),
        ("question_type", sa.String(100), "CORPORATE"),
        ("appearance", text, "{}"),
    ):
        op.add_column("institutions", sa.Column(name, kind, server_default=default, nullable=False))
    op.add_column("institutions", sa.Column("join_id", sa.String(100), nullable=True))
    op.add_column("memberships", sa.Column("credit_awarded", number, server_default="0", nullable=False))
    for name in ("credit_awarded_date", "joined", "accepted_privacy"):
        op.add_column("memberships", sa.Column(name, number, nullable=True))
    op.add_column("memberships", sa.Column("preferences", text, server_default="{}", nullable=False))
    op.add_column("sessions", sa.Column("reason", text, server_default="", nullable=False))


def _create_codes() -> None:
    op.create_table(
        "codes",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("purpose", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), server_default="{}", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('signup', 'reset', 'email', 'invitation', 'approval', 'second_factor')",
            name=op.f("ck_codes_purpose"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_codes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
    )
    op.create_index(op.f("ix_codes_purpose_email"), "codes", ["purpose", "email"], unique=False)
    op.create_index(op.f("ix_codes_user_id"), "codes", ["user_id"], unique=False)
    op.create_index(op.f("ix_codes_expires"), "codes", ["expires"], unique=False)


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.String(length=24), nullable=True),
        sa.Column("actor_email", sa.String(length=320), nullable=False),
        sa.Column("as_id", sa.String(length=24), nullable=True),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("target_kind", sa.String(length=100), server_default="", nullable=False),
        sa.Column("target_id", sa.String(length=100), nullable=False),
        sa.Column("institution_id", sa.String(length=24), nullable=True),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False),
        sa.Column("ip", sa.String(length=100), server_default="", nullable=False),
        sa.Column("user_agent", sa.Text(), server_default="", nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    for columns, unique in ((["at"], False), (["actor_id", "id"], False), (["target_id", "id"], False)):
        op.create_index(op.f(f"ix_audit_log_{'_'.join(columns)}"), "audit_log", columns, unique=unique)
    op.create_index(op.f("ix_audit_log_institution_id_id"), "audit_log", ["institution_id", "id"], unique=False)
    op.create_index(op.f("ix_audit_log_previous"), "audit_log", ["previous"], unique=True)
