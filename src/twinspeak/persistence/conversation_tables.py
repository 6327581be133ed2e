"""Tables of what surrounds conversations; the turns themselves are in `tables`."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index

from twinspeak.persistence.columns import flag, id_, int_, one_of, ref, table, text_, time_, word
from twinspeak.persistence.text import Words

feedbacks = table(
    "feedbacks",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users"),
    ref("turn_id", "turns", null=True),
    text_("comment"),
    word("thumb", ""),
    text_("context", "{}"),
    word("status", "active"),
    time_("created"),
    one_of("thumb", "", "up", "down"),
    one_of("status", "active", "deleted"),
    ForeignKeyConstraint(["turn_id", "institution_id"], ["turns.id", "turns.institution_id"]),
    Index(None, "institution_id", "created"),
    Index(None, "user_id", "created"),
    tenant="own",
)

summaries = table(
    "summaries",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users"),
    Column("course_id", BigInteger, nullable=False),
    Column("until", Words(24), nullable=False),
    text_("text"),
    text_("model"),
    time_("created"),
    Index(None, "institution_id", "user_id", "course_id"),
    tenant="own",
)
"""What a model made of conversations: a cache, gone with anything that it tells of. One row a conversation."""

moderations = table(
    "moderations",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users"),
    ref("turn_id", "turns"),
    word("side"),
    word("action"),
    text_("findings", "[]"),
    time_("created"),
    one_of("side", "input", "output"),
    one_of("action", "block", "record"),
    Index(None, "institution_id", "created"),
    Index(None, "turn_id"),
    tenant="own",
)
"""What moderation found. The text itself is the turn's."""

shares = table(
    "shares",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users"),
    Column("token_hash", Words(64), nullable=False),
    Column("turn_id", Words(24), ForeignKey("turns.id"), nullable=True),
    Column("course_id", BigInteger, nullable=True),
    time_("created"),
    time_("expires"),
    time_("revoked", null=True),
    CheckConstraint("(turn_id IS NULL) <> (course_id IS NULL)", name="one_thing"),
    Index(None, "token_hash", unique=True),
    Index(None, "user_id", "created"),
    tenant="own",
)
"""Links that show a record or a conversation to whoever has them. Of the secret in a link only a hash is kept."""

memories = table(
    "memories",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users"),
    Column("key", Words(64), nullable=False),
    flag("shared"),
    Column("name", Words(100), nullable=False),
    text_("value"),
    text_("description"),
    Column("namespace", Words(100), nullable=False),
    word("source"),
    ref("turn_id", "turns", null=True),
    int_("version", 1),
    time_("created"),
    time_("updated"),
    one_of("source", "user", "model"),
    CheckConstraint("institution_id IS NOT NULL OR NOT shared", name="shared_in_a_twin"),
    Index(None, "key", unique=True),
    Index(None, "institution_id", "user_id"),
    Index(None, "user_id"),
    Index(None, "turn_id"),
    tenant="own",
)
"""What is remembered of people. `key` is what only one can have: see `repos.memories`."""
