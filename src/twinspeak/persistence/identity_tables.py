"""Tables of what people prove and of what administrators did; the rest are in `tables`."""

from sqlalchemy import BigInteger, Column, Index

from twinspeak.persistence.columns import BIG_ID, id_, int_, one_of, ref, table, text_, time_, word
from twinspeak.persistence.text import Words

codes = table(
    "codes",
    id_(),
    word("purpose"),
    Column("email", Words(320), nullable=False),
    ref("user_id", "users", null=True),
    Column("code_hash", Words(64), nullable=False),
    text_("payload", "{}"),
    int_("attempts"),
    time_("created"),
    time_("expires"),
    one_of("purpose", "signup", "reset", "email", "invitation", "approval", "second_factor"),
    Index(None, "purpose", "email"),
    Index(None, "user_id"),
    Index(None, "expires"),
)
"""What was sent by mail to be shown again; a row is deleted when it has served, or a newer one takes its place."""

audit_log = table(
    "audit_log",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor_id", Words(24), nullable=True),
    Column("actor_email", Words(320), nullable=False),
    Column("as_id", Words(24), nullable=True),
    word("action"),
    word("target_kind", ""),
    Column("target_id", Words(100), nullable=False),
    Column("institution_id", Words(24), nullable=True),
    text_("details", "{}"),
    word("ip", ""),
    text_("user_agent"),
    Column("previous", Words(64), nullable=False),
    Column("hash", Words(64), nullable=False),
    Index(None, "at"),
    Index(None, "actor_id", "id"),
    Index(None, "target_id", "id"),
    Index(None, "institution_id", "id"),
    Index(None, "previous", unique=True),
)
"""Only ever added to. No references: what it tells of may be gone. `previous` is unique, so the chain never forks."""
