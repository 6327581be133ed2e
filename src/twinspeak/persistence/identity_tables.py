"""Tables of what people prove and of what administrators did; the rest are in `tables`."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index

from twinspeak.persistence.columns import BIG_ID, flag, id_, int_, one_of, ref, table, text_, time_, word
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

api_keys = table(
    "api_keys",
    id_(),
    ref("user_id", "users"),
    ref("session_id", "sessions"),
    Column("name", Words(200), nullable=False),
    Column("key_hash", Words(64), nullable=False),
    Column("ending", Words(8), nullable=False),
    text_("scopes", "[]"),
    time_("created"),
    time_("expires", null=True),
    time_("last_used", null=True),
    Index(None, "user_id"),
    Index(None, "session_id"),
    Index(None, "key_hash", unique=True),
)
"""Each has a session of its own: what ends that (suspension, a new password) ends the key."""

api_key_devices = table(
    "api_key_devices",
    Column("key_id", Words(24), ForeignKey("api_keys.id"), primary_key=True),
    Column("fingerprint", Words(64), primary_key=True),
    Column("id", Words(24), nullable=False),
    text_("device", "{}"),
    time_("first_seen"),
    time_("last_seen"),
    int_("usage_count"),
    Index(None, "last_seen"),
)

sso_providers = table(
    "sso_providers",
    id_(),
    ref("institution_id", "institutions"),
    word("slug"),
    text_("settings", "{}"),
    text_("client_secret"),
    flag("enabled", default=True),
    time_("created"),
    time_("updated"),
    Index(None, "institution_id", unique=True),
    Index(None, "slug", unique=True),
)
"""`client_secret` is encrypted (`persistence.secrets`), context `sso_provider:<id>`."""

sso_identities = table(
    "sso_identities",
    Column("provider_id", Words(24), ForeignKey("sso_providers.id"), primary_key=True),
    Column("subject", Words(255), primary_key=True),
    ref("user_id", "users"),
    time_("created"),
    Index(None, "user_id"),
)

sso_logins = table(
    "sso_logins",
    Column("state_hash", Words(64), primary_key=True),
    Column("browser_hash", Words(64), nullable=False),
    ref("provider_id", "sso_providers"),
    Column("nonce", Words(64), nullable=False),
    word("verifier"),
    time_("expires"),
    Index(None, "expires"),
    Index(None, "provider_id"),
)
"""Who has been sent to a provider and has not come back; a row is deleted when it has served.
"""

second_factors = table(
    "second_factors",
    Column("user_id", Words(24), ForeignKey("users.id"), primary_key=True),
    word("method", "email"),
    time_("confirmed", null=True),
    text_("totp_secret"),
    text_("totp_pending"),
    int_("totp_step"),
    time_("created"),
    one_of("method", "none", "email", "totp"),
)
"""Who wants a second step; `none` has only begun to.

The secrets are encrypted, context `totp:<user>`; a step of an app's up to `totp_step` has served.
"""

recovery_codes = table(
    "recovery_codes",
    Column("user_id", Words(24), ForeignKey("users.id"), primary_key=True),
    Column("code_hash", Words(64), primary_key=True),
)

trusted_devices = table(
    "trusted_devices",
    id_(),
    ref("user_id", "users"),
    Column("token_hash", Words(64), nullable=False),
    Column("network", Words(64), nullable=False),
    word("ip", ""),
    text_("user_agent"),
    time_("created"),
    time_("expires"),
    Index(None, "user_id"),
    Index(None, "token_hash", unique=True),
)
"""Browsers that showed a code a while ago; `network` is where they did."""

burned_codes = table(
    "burned_codes",
    id_(),
    ref("user_id", "users"),
    time_("at"),
    Index(None, "user_id", "at"),
)
"""Codes of a second step at which somebody guessed: too many of them lock it for a while."""

launch_secrets = table(
    "launch_secrets",
    Column("institution_id", Words(24), ForeignKey("institutions.id"), primary_key=True),
    text_("secret"),
    time_("created"),
)
"""What a site's own server signs launches of a twin with; encrypted, context `launch:<twin>`."""

launches = table(
    "launches",
    Column("nonce", Words(64), primary_key=True),
    ref("institution_id", "institutions"),
    word("proof"),
    text_("params", "{}"),
    word("ip", ""),
    time_("verified", null=True),
    time_("used", null=True),
    time_("expires"),
    one_of("proof", "browser", "server"),
    Index(None, "institution_id", "ip"),
    Index(None, "expires"),
)
"""Launches of the last minutes; a used one stays until it runs out, so that it cannot be used again."""

launch_identities = table(
    "launch_identities",
    Column("institution_id", Words(24), ForeignKey("institutions.id"), primary_key=True),
    Column("subject_hash", Words(64), primary_key=True),
    word("proof"),
    ref("user_id", "users"),
    time_("created"),
    one_of("proof", "browser", "server"),
    Index(None, "user_id"),
)
"""Who came by launches. What a site calls somebody is kept as a hash; for browsers, with a secret of the browser's."""

twin_contexts = table(
    "twin_contexts",
    Column("context", Words(500), primary_key=True),
    ref("institution_id", "institutions"),
    int_("position"),
    Index(None, "institution_id"),
)
"""`ltiContextIds`: which twin a place on another site belongs to; a place to one alone."""

data_exports = table(
    "data_exports",
    id_(),
    ref("user_id", "users"),
    word("state", "waiting"),
    int_("done"),
    int_("total"),
    int_("bytes"),
    Column("link_hash", Words(64), nullable=True),
    time_("created"),
    time_("finished", null=True),
    time_("expires"),
    one_of("state", "waiting", "running", "ready", "failed"),
    Index(None, "user_id", "created"),
    Index(None, "link_hash", unique=True),
    Index(None, "expires"),
)
"""What people asked to have of their data. The file is in the data directory, by the row's id; both go at `expires`."""
