"""Tables of what surrounds conversations; the turns themselves are in `tables`."""

from sqlalchemy import ForeignKeyConstraint, Index

from twinspeak.persistence.columns import id_, one_of, ref, table, text_, time_, word

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
