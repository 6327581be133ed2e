"""Providers of enterprise sign-in, who came through them, and who is on the way."""

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict
from twinspeak.domain.sso import Provider, ProviderSettings
from twinspeak.persistence.db import Tx
from twinspeak.persistence.identity_tables import sso_identities, sso_logins, sso_providers

_COLUMNS = [sso_providers.c[name] for name in Provider.__struct_fields__]


class KeptLogin(msgspec.Struct, frozen=True):
    """Somebody on the way; hashes of what only the browser and the provider know."""

    state_hash: str
    browser_hash: str
    provider_id: str
    nonce: str
    verifier: str
    expires: int


def add(tx: Tx, provider: Provider, client_secret: str) -> None:
    """Add a provider. Raises Conflict (the slug is taken, or the twin has one)."""
    row = msgspec.structs.asdict(provider)
    row["settings"] = msgspec.json.encode(provider.settings).decode()
    try:
        tx.run(insert(sso_providers).values(**row, client_secret=client_secret))
    except IntegrityError as error:
        raise Conflict("The slug is taken, or the digital twin has a provider already.") from error


def change(tx: Tx, provider: Provider, client_secret: str | None) -> None:
    """Store a provider as it is now; None keeps the secret. Raises Conflict."""
    values: dict[str, Any] = {
        "slug": provider.slug,
        "settings": msgspec.json.encode(provider.settings).decode(),
        "enabled": provider.enabled,
        "updated": now_ms(),
    }
    if client_secret is not None:
        values["client_secret"] = client_secret
    try:
        tx.run(update(sso_providers).where(sso_providers.c.id == provider.id).values(values))
    except IntegrityError as error:
        raise Conflict("The slug is taken.", param="slug") from error


def remove(tx: Tx, provider_id: str) -> None:
    """Delete a provider; people who came through it stay."""
    tx.run(delete(sso_logins).where(sso_logins.c.provider_id == provider_id))
    tx.run(delete(sso_identities).where(sso_identities.c.provider_id == provider_id))
    tx.run(delete(sso_providers).where(sso_providers.c.id == provider_id))


def get(tx: Tx, provider_id: str) -> Provider | None:
    """Return a provider."""
    return _one(tx, sso_providers.c.id == provider_id)


def by_slug(tx: Tx, slug: str) -> Provider | None:
    """Return the provider behind an address."""
    return _one(tx, sso_providers.c.slug == slug)


def listing(tx: Tx, institutions: frozenset[str] | None) -> list[Provider]:
    """Return the providers of some twins, None: of all."""
    found = select(*_COLUMNS).order_by(sso_providers.c.slug)
    if institutions is not None:
        found = found.where(sso_providers.c.institution_id.in_(sorted(institutions)))
    return [_provider(row) for row in tx.all(found)]


def client_secret(tx: Tx, provider_id: str) -> str:
    """Return the secret, encrypted as it is stored."""
    return tx.value(select(sso_providers.c.client_secret).where(sso_providers.c.id == provider_id)) or ""


def secrets_of_all(tx: Tx) -> list[tuple[str, str]]:
    """Return (provider, encrypted secret) of all, to encrypt them anew."""
    return [(row.id, row.client_secret) for row in tx.all(select(sso_providers.c.id, sso_providers.c.client_secret))]


def replace_secret(tx: Tx, provider_id: str, token: str, *, replacing: str) -> bool:
    """Store a secret encrypted anew, unless it was changed meanwhile."""
    same = (sso_providers.c.id == provider_id, sso_providers.c.client_secret == replacing)
    return bool(tx.change(update(sso_providers).where(*same).values(client_secret=token)))


def remember(tx: Tx, login: KeptLogin) -> None:
    """Keep that somebody is on the way; forget those who never came back."""
    tx.run(delete(sso_logins).where(sso_logins.c.expires < now_ms()))
    tx.run(insert(sso_logins).values(msgspec.structs.asdict(login)))


def recall(tx: Tx, state_hash: str) -> KeptLogin | None:
    """Return who is on the way, once: of two with one state, the later one gets None."""
    columns = [sso_logins.c[name] for name in KeptLogin.__struct_fields__]
    row = tx.first(select(*columns).where(sso_logins.c.state_hash == state_hash, sso_logins.c.expires > now_ms()))
    if row is None or not tx.change(delete(sso_logins).where(sso_logins.c.state_hash == state_hash)):
        return None
    return KeptLogin(*row)


def known(tx: Tx, provider_id: str, subject: str) -> str | None:
    """Return the user whom a provider knows as `subject`."""
    same = (sso_identities.c.provider_id == provider_id, sso_identities.c.subject == subject)
    return tx.value(select(sso_identities.c.user_id).where(*same))


def link(tx: Tx, provider_id: str, subject: str, user_id: str) -> None:
    """Note whom a provider knows as `subject`."""
    values = {"provider_id": provider_id, "subject": subject, "user_id": user_id, "created": now_ms()}
    tx.run(insert(sso_identities).values(values))


def forget_user(tx: Tx, user_id: str) -> None:
    """Forget that a user came through any provider."""
    tx.run(delete(sso_identities).where(sso_identities.c.user_id == user_id))


def _one(tx: Tx, *conditions: Any) -> Provider | None:  # noqa: ANN401 -- conditions of SQLAlchemy
    row = tx.first(select(*_COLUMNS).where(*conditions))
    return None if row is None else _provider(row)


def _provider(row: Any) -> Provider:  # noqa: ANN401 -- a row
    fields = dict(zip(Provider.__struct_fields__, row, strict=True))
    fields["settings"] = msgspec.json.decode(fields["settings"], type=ProviderSettings)
    return Provider(**fields)
