"""Tables of what credits do beside the ledger itself, which is in `tables`."""

from sqlalchemy import CheckConstraint, Column, Index

from twinspeak.persistence.columns import id_, int_, ref, table, text_, time_
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
