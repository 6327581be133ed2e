"""The table of models that twins bring themselves; the rest are in `tables`."""

from sqlalchemy import Column, Index, text

from twinspeak.persistence.columns import flag, id_, int_, one_of, ref, table, text_, time_, word
from twinspeak.persistence.text import Words

_KEPT = text("status <> 'deleted'")

ai_models = table(
    "ai_models",
    id_(),
    ref("institution_id", "institutions"),
    Column("name", Words(200), nullable=False),
    text_("wire_name"),
    word("model_use", "conversationModel"),
    text_("description"),
    word("library", "openai_cli"),
    text_("api_url"),
    Column("api_key", Words(), nullable=True),
    Column("headers", Words(), nullable=True),
    text_("header_names", "[]"),
    text_("features", "{}"),
    text_("input_media", "{}"),
    text_("output_media", "{}"),
    int_("max_input_tokens"),
    int_("max_output_tokens"),
    word("reasoning_effort", ""),
    flag("extended_context"),
    text_("price"),
    text_("picture_url"),
    word("status", "active"),
    int_("revision", 1),
    time_("created"),
    time_("updated"),
    one_of("status", "active", "inactive", "deleted"),
    # A name means one model for each use, even if two people add it at the same moment.
    Index(None, "institution_id", "name", "model_use", unique=True, sqlite_where=_KEPT, postgresql_where=_KEPT),
    tenant="twin",
)
"""`api_key` and `headers` are encrypted (`persistence.secrets`)."""
