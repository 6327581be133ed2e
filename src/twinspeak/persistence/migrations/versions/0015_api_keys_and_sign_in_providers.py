"""Personal API keys and the devices that used them; providers of enterprise sign-in and who came through them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the tables."""
    _create_api_keys()
    _create_sso()


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=24), nullable=False)


def _text(name: str, default: str = "") -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _time(name: str, *, null: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _word(name: str, length: int = 100) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=length), nullable=False)


def _refer(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        _id("id"),
        _id("user_id"),
        _id("session_id"),
        sa.Column("name", sa.String(length=200), nullable=False),
        _word("key_hash", 64),
        _word("ending", 8),
        _text("scopes", "[]"),
        _time("created"),
        _time("expires", null=True),
        _time("last_used", null=True),
        _refer("api_keys", "user_id", "users"),
        _refer("api_keys", "session_id", "sessions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_index(op.f("ix_api_keys_session_id"), "api_keys", ["session_id"], unique=False)
    op.create_index(op.f("ix_api_keys_key_hash"), "api_keys", ["key_hash"], unique=True)
    op.create_table(
        "api_key_devices",
        _id("key_id"),
        _word("fingerprint", 64),
        _id("id"),
        _text("device", "{}"),
        _time("first_seen"),
        _time("last_seen"),
        sa.Column("usage_count", sa.BigInteger(), server_default="0", nullable=False),
        _refer("api_key_devices", "key_id", "api_keys"),
        sa.PrimaryKeyConstraint("key_id", "fingerprint", name=op.f("pk_api_key_devices")),
    )
    op.create_index(op.f("ix_api_key_devices_last_seen"), "api_key_devices", ["last_seen"], unique=False)


def _create_sso() -> None:
    op.create_table(
        "sso_providers",
        _id("id"),
        _id("institution_id"),
        _word("slug"),
        _text("settings", "{}"),
        _text("client_secret"),
        sa.Column("enabled", sa.Boolean(), server_default="1", nullable=False),
        _time("created"),
        _time("updated"),
        _refer("sso_providers", "institution_id", "institutions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sso_providers")),
    )
    op.create_index(op.f("ix_sso_providers_institution_id"), "sso_providers", ["institution_id"], unique=True)
    op.create_index(op.f("ix_sso_providers_slug"), "sso_providers", ["slug"], unique=True)
    op.create_table(
        "sso_identities",
        _id("provider_id"),
        sa.Column("subject", sa.String(length=255), nullable=False),
        _id("user_id"),
        _time("created"),
        _refer("sso_identities", "provider_id", "sso_providers"),
        _refer("sso_identities", "user_id", "users"),
        sa.PrimaryKeyConstraint("provider_id", "subject", name=op.f("pk_sso_identities")),
    )
    op.create_index(op.f("ix_sso_identities_user_id"), "sso_identities", ["user_id"], unique=False)
    op.create_table(
        "sso_logins",
        _word("state_hash", 64),
        _word("browser_hash", 64),
        _id("provider_id"),
        _word("nonce", 64),
        _word("verifier"),
        _time("expires"),
        _refer("sso_logins", "provider_id", "sso_providers"),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_sso_logins")),
    )
    op.create_index(op.f("ix_sso_logins_expires"), "sso_logins", ["expires"], unique=False)
    op.create_index(op.f("ix_sso_logins_provider_id"), "sso_logins", ["provider_id"], unique=False)
