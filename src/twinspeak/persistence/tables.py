"""Every table, as SQLAlchemy Core metadata. `migrations/` creates them; a test compares the two.

Ids are 24 hex digits, times epoch milliseconds, JSON is text that `repos` encode with msgspec. A table with
`info={"tenant": kind}` can only be touched through `scope.py`; the kinds are explained there.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Table,
    UniqueConstraint,
    text,
)

from twinspeak.persistence import (
    conversation_tables,
    credit_tables,
    identity_tables,
    model_tables,
    tool_tables,
    vault_tables,
)
from twinspeak.persistence.columns import BIG_ID, WORDS_TYPE, metadata
from twinspeak.persistence.columns import flag as _flag
from twinspeak.persistence.columns import id_ as _id
from twinspeak.persistence.columns import int_ as _int
from twinspeak.persistence.columns import maybe as _maybe
from twinspeak.persistence.columns import one_of as _one_of
from twinspeak.persistence.columns import ref as _ref
from twinspeak.persistence.columns import table as _table
from twinspeak.persistence.columns import text_ as _text
from twinspeak.persistence.columns import time_ as _time
from twinspeak.persistence.columns import word as _word
from twinspeak.persistence.text import Words

_RUNNING = text("state = 'running'")
_CHARGED = text("credits > 0")
_THUMBED = text("thumb <> ''")
_HAS_SECRET = text("mcp_secret <> ''")
_NUMBERED = ("institution_id", "number", "id", "state")
"""All that is asked of a record until it is shown: so many need not be read themselves."""

meta = _table("meta", Column("key", Words(100), primary_key=True), _text("value"))

accounts = _table(
    "accounts",
    _id(),
    Column("name", Words(200), nullable=False, unique=True),
    _word("status", "active"),
    _time("created"),
    _text("domain_urls", "[]"),
    _text("qualification"),
    _int("transfer_mode"),
    *(_int(name, -1) for name in ("cap_h24", "cap_institution", "cap_account")),
    _one_of("status", "active", "suspended", "deleted"),
)

account_managers = _table(
    "account_managers",
    Column("account_id", Words(24), ForeignKey("accounts.id"), primary_key=True),
    Column("email", Words(320), primary_key=True),
    _int("position"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    Index(None, "email"),
)

institutions = _table(
    "institutions",
    _id(),
    Column("public_id", Words(36), nullable=False, unique=True),
    _ref("account_id", "accounts", null=True),
    Column("name", Words(200), nullable=False),
    _text("ai_name"),
    _word("status", "active"),
    _text("prompt"),
    _text("about"),
    _text("picture"),
    _text("contact_email"),
    _text("conversation_model"),
    _int("max_completion_tokens", -1),
    _word("reasoning_effort", ""),
    _flag("display_thinking_details", default=True),
    _flag("pool_credits", default=True),
    _flag("rag_ignore"),
    _flag("rag_only"),
    _int("rag_limit_chunks", 6),
    _int("tool_results_max_chars", 4000),
    _flag("chat_completion_enabled"),
    _flag("chat_completion_openai_compat"),
    _text("chat_completion_model"),
    _int("chat_completion_max_completion_tokens", -1),
    _word("chat_completion_reasoning_effort", ""),
    _text("public_authorized_urls", "[]"),
    _time("created"),
    _text("assistants_disabled", "[]"),
    _text("fallback_models", "[]"),
    _word("allow_joining", "disabled"),
    _flag("joining_admin_only"),
    _flag("entitle_new_admins"),
    _int("credit_award"),
    _int("credits_awarded"),
    _word("question_type", "CORPORATE"),
    _text("appearance", "{}"),
    Column("join_id", Words(100), nullable=True),
    _text("summary_model"),
    _flag("compact_history", default=True),
    _flag("location_enabled", default=True),
    _flag("enable_moderation", default=True),
    _word("moderation_action", "block"),
    _text("moderation_phrases", "[]"),
    *(_int(name, -1) for name in ("cap_h24", "cap_institution")),
    _flag("disable_file_upload_for_user"),
    _int("max_files", 300),
    _int("budget", -1),
    _text("tools_disabled", "[]"),
    _flag("mcp_enabled"),
    _word("mcp_secret", ""),
    _flag("require_second_factor"),
    _one_of("status", "active", "inactive", "suspended", "deleted"),
    Index(None, "account_id"),
    Index(None, "join_id", unique=True),
    Index(None, "mcp_secret", unique=True, sqlite_where=_HAS_SECRET, postgresql_where=_HAS_SECRET),
)

users = _table(
    "users",
    _id(),
    Column("email", Words(320), nullable=False, unique=True),
    Column("password_hash", Words(), nullable=True),
    _text("fname"),
    _text("lname"),
    _text("picture"),
    _word("account_type", "user"),
    _word("status", "active"),
    _word("plan", "free"),
    _ref("active_institution_id", "institutions", null=True),
    _int("remember_history_count", 3),
    _maybe("rag_ignore"),
    _maybe("rag_only"),
    Column("referral_id", Words(36), nullable=False),
    Column("reset_code_id", Words(36), nullable=False),
    _flag("must_change_password"),
    _int("credits_used"),
    _text("preferences", "{}"),
    _time("created"),
    _time("last_login", null=True),
    _time("email_verified", null=True),
    _one_of("account_type", "super", "admin", "user"),
    _one_of("status", "active", "pending", "suspended", "deleted"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    CheckConstraint("remember_history_count BETWEEN 0 AND 15", name="remember_history_count"),
)

memberships = _table(
    "memberships",
    _id(),
    _ref("user_id", "users"),
    _ref("institution_id", "institutions"),
    _word("account_type", "user"),
    _word("status", "active"),
    _text("entitlements", "[]"),
    _flag("favorite"),
    _time("created"),
    _time("last_login", null=True),
    _int("credit_awarded"),
    _time("credit_awarded_date", null=True),
    _time("joined", null=True),
    _time("accepted_privacy", null=True),
    _text("preferences", "{}"),
    _ref("referrer_id", "users", null=True),
    _one_of("account_type", "super", "admin", "user"),
    _one_of("status", "active", "pending", "inactive", "suspended", "deleted"),
    UniqueConstraint("user_id", "institution_id"),
    Index(None, "institution_id"),
)

sessions = _table(
    "sessions",
    _id(),
    _ref("user_id", "users"),
    _time("created"),
    _time("expires"),
    _time("last_seen"),
    _time("revoked", null=True),
    _word("ip", ""),
    _text("user_agent"),
    _text("reason"),
    _ref("actor_id", "users", null=True),
    Index(None, "user_id"),
    Index(None, "expires"),
)

assistants = _table(
    "assistants",
    _id(),
    _ref("institution_id", "institutions", null=True),
    _ref("owner_user_id", "users", null=True),
    _word("scope", "personal"),
    Column("name", Words(200), nullable=False),
    _text("instructions"),
    _text("picture_url"),
    _word("status", "active"),
    _text("conversation_model"),
    _int("max_completion_tokens", -1),
    _word("reasoning_effort", ""),
    _maybe("rag_ignore"),
    _maybe("rag_only"),
    _time("created"),
    _text("description"),
    _flag("admin_only"),
    _flag("editable_others"),
    Column("remember_history", BigInteger, nullable=True),
    _flag("bypass_system_context"),
    _text("sts_conversation_model"),
    _text("rag_collections", "[]"),
    _word("tool_mode", "all"),
    _text("tools", "[]"),
    _text("arguments", "[]"),
    _int("liked_count"),
    _one_of("status", "active", "unpublished", "inactive", "deleted"),
    _one_of("tool_mode", "all", "selected"),
    CheckConstraint(
        "(scope = 'system' AND institution_id IS NULL AND owner_user_id IS NULL)"
        " OR (scope IN ('institution', 'account') AND institution_id IS NOT NULL)"
        " OR (scope = 'personal' AND owner_user_id IS NOT NULL)",
        name="scope",
    ),
    Index(None, "institution_id"),
    Index(None, "owner_user_id"),
    tenant="shared",
)

assistant_likes = _table(
    "assistant_likes",
    Column("user_id", Words(24), ForeignKey("users.id"), primary_key=True),
    Column("assistant_id", Words(24), ForeignKey("assistants.id"), primary_key=True),
    _time("created"),
    Index(None, "assistant_id"),
)

wallets = _table(
    "wallets",
    _id(),
    _word("kind"),
    Column("owner_id", Words(24), nullable=False),
    _int("balance"),
    _int("held"),
    _one_of("kind", "user", "institution", "account", "system"),
    UniqueConstraint("kind", "owner_id"),
    CheckConstraint("balance >= 0 OR kind = 'system'", name="balance"),
    CheckConstraint("held >= 0", name="held"),
    CheckConstraint("held <= balance OR kind = 'system'", name="covered"),
)

turns = _table(
    "turns",
    _id(),
    _ref("institution_id", "institutions", null=True),
    _ref("user_id", "users"),
    _int("course_id"),
    _text("course_name"),
    _ref("assistant_id", "assistants", null=True),
    _word("state"),
    _word("face"),
    _text("question"),
    _text("output"),
    _text("model"),
    _word("provider"),
    _text("price"),
    _int("usage_input"),
    _int("usage_cached"),
    _int("usage_completion"),
    _flag("usage_estimated"),
    _int("credits"),
    _flag("success"),
    _flag("moderated"),
    _flag("passages_only"),
    _word("stop_reason", ""),
    Column("failure", Words(), nullable=True),
    Column("settlement", Words(), nullable=True),
    _flag("has_thinking"),
    _int("thinking_count"),
    _int("duration_ms"),
    Column("first_token_ms", BigInteger, nullable=True),
    _time("lease_until"),
    Column("owner", Words(100), nullable=False),
    _flag("favorite"),
    _text("favorite_name"),
    _flag("forgotten"),
    _word("thumb", ""),
    _ref("payer_wallet_id", "wallets"),
    _time("created"),
    _time("ended", null=True),
    Column("number", BigInteger, nullable=False, default=0, server_default="0"),
    Column("words", WORDS_TYPE, nullable=True),
    Column("parent_id", Words(24), nullable=True),
    Column("replaces_id", Words(24), nullable=True),
    _flag("branched"),
    _int("cost"),
    _one_of("state", "running", "done", "cancelled", "failed", "refused", "interrupted"),
    UniqueConstraint("id", "institution_id"),
    Index(None, "institution_id", "user_id", "created"),
    Index(None, "institution_id", "user_id", "course_id", "created"),
    Index(None, "assistant_id", "number"),
    Index(None, "number"),
    Index(None, "institution_id", "number"),
    Index(None, "institution_id", "course_name", "number"),
    Index(None, "institution_id", "model", "number"),
    Index("ix_turns_thumbed", *_NUMBERED, sqlite_where=_THUMBED, postgresql_where=_THUMBED),
    Index("ix_turns_charged", "payer_wallet_id", "user_id", "ended", sqlite_where=_CHARGED, postgresql_where=_CHARGED),
    Index("ix_turns_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),
    # Few rows run at a time, out of millions: an index of all states would grow with history for nothing.
    Index("ix_turns_running", "lease_until", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    tenant="own",
)

turn_details = _table(
    "turn_details",
    Column("turn_id", Words(24), ForeignKey("turns.id"), primary_key=True),
    _ref("institution_id", "institutions", null=True),
    _ref("user_id", "users"),
    _text("thinking", "[]"),
    _text("tools", "[]"),
    _text("passages", "[]"),
    _text("prompt"),
    ForeignKeyConstraint(["turn_id", "institution_id"], ["turns.id", "turns.institution_id"]),
    tenant="own",
)

holds = _table(
    "holds",
    Column("turn_id", Words(24), ForeignKey("turns.id"), primary_key=True),
    _ref("wallet_id", "wallets"),
    _int("amount"),
    _word("state", "open"),
    _one_of("state", "open", "settled", "released"),
    CheckConstraint("amount >= 0", name="amount"),
)

ledger_entries = _table(
    "ledger_entries",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("transfer_id", Words(24), nullable=False),
    _ref("wallet_id", "wallets"),
    _int("amount"),
    _word("kind"),
    _ref("turn_id", "turns", null=True),
    _text("note"),
    _time("created"),
    _one_of("kind", "award", "turn", "adjust"),
    UniqueConstraint("turn_id", "wallet_id", "kind"),
    UniqueConstraint("transfer_id", "wallet_id"),
    Index(None, "wallet_id", "id"),
)

turn_keys = _table(
    "turn_keys",
    Column("user_id", Words(24), ForeignKey("users.id"), primary_key=True),
    Column("key", Words(255), primary_key=True),
    Column("fingerprint", Words(64), nullable=False),
    _ref("turn_id", "turns"),
    _time("created"),
    Index(None, "created"),
)

TENANT_TABLES: dict[str, Table] = {name: table for name, table in metadata.tables.items() if "tenant" in table.info}
"""What the hook in `scope.py` watches."""

TABLES_ELSEWHERE = (conversation_tables, credit_tables, identity_tables, model_tables, tool_tables, vault_tables)
"""Modules that add to the same metadata: whoever has this one has all tables."""
