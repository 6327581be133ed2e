"""Tables of what surrounds conversations; the turns themselves are in `tables`."""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index

from twinspeak.persistence.columns import id_, one_of, ref, table, text_, time_, word
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
