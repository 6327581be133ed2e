"""The tables of what administrators say of tools, and of twins' MCP servers; the rest are in `tables`."""

from sqlalchemy import Column, Index, text

from twinspeak.persistence.columns import flag, id_, int_, one_of, ref, table, text_, time_, word
from twinspeak.persistence.text import Words

_KEPT = text("status <> 'deleted'")

tools = table(
    "tools",
    id_(),
    Column("name", Words(64), nullable=False),
    text_("description"),
    text_("instructions"),
    text_("arguments", "[]"),
    text_("categories", "[]"),
    flag("rt_enabled"),
    flag("rt_only"),
    word("status", "active"),
    time_("created"),
    time_("updated"),
    one_of("status", "active", "inactive", "deleted"),
    Index(None, "name", unique=True),
)
"""One for each tool of this server, made at its start; texts that are empty leave what the tool says itself."""

mcp_servers = table(
    "mcp_servers",
    id_(),
    ref("institution_id", "institutions"),
    ref("user_id", "users", null=True),
    Column("name", Words(200), nullable=False),
    text_("url"),
    text_("description"),
    Column("credential", Words(), nullable=True),
    flag("enabled", default=True),
    text_("allowed_tools", "[]"),
    flag("shares_documents"),
    word("status", "active"),
    int_("revision", 1),
    time_("created"),
    time_("updated"),
    one_of("status", "active", "inactive", "deleted"),
    # A name means one server, even if two people add it at the same moment.
    Index(None, "institution_id", "name", unique=True, sqlite_where=_KEPT, postgresql_where=_KEPT),
    tenant="twin",
)
"""`credential` is encrypted (`persistence.secrets`), context `mcp_server:<id>`."""
