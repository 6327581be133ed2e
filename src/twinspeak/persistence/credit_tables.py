"""Tables of what credits do beside the ledger itself, which is in `tables`."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index

from twinspeak.persistence.columns import id_, int_, one_of, ref, table, text_, time_
from twinspeak.persistence.text import Words

account_transfers = table(
    "account_transfers",
    id_(),
    ref("institution_id", "institutions", null=True),
    ref("account_id", "accounts", null=True),
    ref("user_id", "users", null=True),
    int_("credits"),
    int_("transfer_mode"),
    text_("note"),
    Column("once_key", Words(64), nullable=True),
    time_("created"),
    CheckConstraint("institution_id IS NOT NULL OR account_id IS NOT NULL", name="parties"),
    Index(None, "account_id", "id"),
    Index(None, "institution_id", "id"),
    Index(None, "once_key", unique=True),
)
"""What was booked between accounts, twins and the system: `id` is the ledger's `transfer_id`, `user_id` who did it."""

MEASURES = ("turns", "credits", "pooled", "usage", "cached", "completion", "cost")
"""Of turns: how many, credits, those of them that a twin paid, tokens in and out, and micro-dollars."""


def _key(name: str, length: int) -> Column[str]:
    return Column(name, Words(length), primary_key=True)


usage_totals = table(
    "usage_totals",
    _key("place", 24),
    _key("grain", 10),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    _key("model", 200),
    _key("assistant", 24),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users", null=True),
    *(int_(name) for name in MEASURES),
    one_of("grain", "hour", "day"),
    tenant="vault",
)
"""What was used in a twin (or by somebody outside of any: `place` is the id of either), by hour and by day of UTC.

`bucket` is when the hour or day began in which the turns began; `assistant` is "" for none.
"""

usage_people = table(
    "usage_people",
    _key("place", 24),
    _key("grain", 10),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", Words(24), ForeignKey("users.id"), primary_key=True),
    ref("institution_id", "institutions", null=True),
    *(int_(name) for name in MEASURES),
    one_of("grain", "day", "week", "month"),
    Index(None, "user_id", "grain", "bucket"),
    tenant="own",
)
"""What somebody used in a twin (`place` is its id) or outside of any (""), by day, week and month."""

usage_tools = table(
    "usage_tools",
    _key("place", 24),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    _key("tool", 200),
    ref("institution_id", "institutions", null=True),
    ref("user_id", "users", null=True),
    *(int_(name) for name in ("calls", "failures", "duration_ms")),
    tenant="vault",
)
"""Which tools ran, by day; `place` as in `usage_totals`."""
