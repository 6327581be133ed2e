"""Providers of enterprise sign-in, as administrators manage them (reference: admin 10.1): one for each twin."""

import contextlib
import re
from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import EntitlementMissing, InvalidId, NotFound, ValidationFailed
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.sso import Provider, ProviderSettings
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import sso
from twinspeak.persistence.secrets import SecretUnreadable
from twinspeak.services import audit, policy
from twinspeak.services.administered import MASK
from twinspeak.services.audit import Target
from twinspeak.services.passwords import field
from twinspeak.services.ports import SignInProvider, Vault

RESERVED = frozenset({"callback"})
_SLUG = re.compile(r"[a-z0-9-]{1,100}")


class ProviderChanges(msgspec.Struct, frozen=True):
    """What to change; None leaves it. `settings` are fields of `ProviderSettings`."""

    settings: dict[str, Any]
    slug: str | None = None
    client_secret: str | None = None
    enabled: bool | None = None


class SsoProviders:
    """Managing providers. One for the whole server."""

    def __init__(self, db: Database, client: SignInProvider, vault: Vault) -> None:
        """Keep the parts."""
        self._db = db
        self._client = client
        self._vault = vault

    async def search(self, caller: Caller, institution: str) -> list[Provider]:
        """Return the providers of the twins where the caller may list them."""

        def read(tx: Tx) -> list[Provider]:
            found = policy.narrowed(tx, policy.reach(tx, caller, Verb.SSO_LIST), institution=institution)
            return sso.listing(tx, None if found.everything else found.institutions)

        return await self._db.read(read)

    async def get(self, caller: Caller, provider_id: str) -> Provider:
        """Return a provider. Raises InvalidId, NotFound, EntitlementMissing."""
        return await self._db.read(lambda tx: _within(tx, caller, Verb.SSO_LIST, provider_id))

    async def add(self, by: Actor, institution_id: str, changes: ProviderChanges) -> Provider:
        """Add a provider to a twin. Raises as `policy.require` does, ValidationFailed, Conflict."""
        settings = _settings(changes.settings)
        slug = _slug(changes.slug or "")
        new = Provider(
            id=new_id(),
            institution_id="",
            slug=slug,
            settings=settings,
            enabled=changes.enabled is not False,
            created=now_ms(),
            updated=now_ms(),
        )
        secret = self._vault.encrypt(changes.client_secret or "", context=f"sso_provider:{new.id}")

        def store(tx: Tx) -> Provider:
            twin = policy.require(tx, by.caller, Verb.SSO_ADD, institution_id, param="institution")
            made = msgspec.structs.replace(new, institution_id=twin)
            _may_grant(tx, by.caller, twin, settings)
            sso.add(tx, made, secret)
            audit.note(tx, by, "sso_provider.added", _target(made), after=_told(made))
            return made

        return await self._db.write(store)

    async def change(self, by: Actor, provider_id: str, changes: ProviderChanges) -> Provider:
        """Change a provider. Raises as `get` does, ValidationFailed, Conflict."""

        def store(tx: Tx) -> Provider:
            old = _within(tx, by.caller, Verb.SSO_EDIT, provider_id)
            settings = _settings({**msgspec.structs.asdict(old.settings), **changes.settings})
            if settings.role_mapping != old.settings.role_mapping:
                _may_grant(tx, by.caller, old.institution_id, settings)
            new = msgspec.structs.replace(
                old,
                settings=settings,
                slug=old.slug if changes.slug is None else _slug(changes.slug),
                enabled=old.enabled if changes.enabled is None else changes.enabled,
            )
            given = changes.client_secret
            kept = given is None or given == MASK
            sealed = None if kept else self._vault.encrypt(given or "", context=f"sso_provider:{old.id}")
            sso.change(tx, new, sealed)
            after = {**_told(new), **({} if kept else {"client_secret": "changed"})}
            audit.note(tx, by, "sso_provider.changed", _target(new), before=_told(old), after=after)
            return new

        return await self._db.write(store)

    async def delete(self, by: Actor, provider_id: str) -> None:
        """Delete a provider; who came through it stays, without that way in. Raises as `get` does."""

        def store(tx: Tx) -> None:
            old = _within(tx, by.caller, Verb.SSO_DELETE, provider_id)
            sso.remove(tx, old.id)
            audit.note(tx, by, "sso_provider.deleted", _target(old), before=_told(old))

        await self._db.write(store)

    async def test(self, caller: Caller, provider_id: str) -> str:
        """Try a provider's token endpoint; return what is wrong, "" for nothing. Raises as `get` does, CodedError."""

        def read(tx: Tx) -> tuple[Provider, str]:
            provider = _within(tx, caller, Verb.SSO_EDIT, provider_id)
            return provider, sso.client_secret(tx, provider.id)

        provider, sealed = await self._db.read(read)
        secret = self._vault.decrypt(sealed, context=f"sso_provider:{provider.id}")
        return await self._client.test(provider.settings, secret)


def rotate_secrets(tx: Tx, vault: Vault) -> int:
    """Encrypt every stored secret anew under the first key; return how many were under an older one."""
    done = 0
    for provider_id, sealed in sso.secrets_of_all(tx):
        with contextlib.suppress(SecretUnreadable):  # its key may be given again; who signs in meanwhile is told
            token = vault.rotate(sealed, context=f"sso_provider:{provider_id}")
            if token != sealed:
                done += sso.replace_secret(tx, provider_id, token, replacing=sealed)
    return done


def _within(tx: Tx, caller: Caller, verb: Verb, provider_id: str) -> Provider:
    wanted = parse_id(provider_id)
    if wanted is None:
        raise InvalidId(param="id")
    provider = sso.get(tx, wanted)
    if provider is None:
        raise NotFound(param="id")
    try:
        policy.require(tx, caller, verb, provider.institution_id)
    except NotFound:
        raise NotFound(param="id") from None
    return provider


def _settings(given: dict[str, Any]) -> ProviderSettings:
    settings = msgspec.convert(given, ProviderSettings)
    if not settings.issuer and not (settings.token_host and settings.userinfo_url):
        raise _wrong("issuer", "or tokenHost and userinfoUrl must be given")
    return settings


def _slug(given: str) -> str:
    if not _SLUG.fullmatch(given) or given in RESERVED:
        raise _wrong("slug", "must be of small letters, digits and hyphens")
    return given


def _may_grant(tx: Tx, caller: Caller, institution_id: str, settings: ProviderSettings) -> None:
    """Nobody has a provider give what he does not hold there himself. Raises ValidationFailed, EntitlementMissing."""
    given = {verb for verbs in settings.role_mapping.values() for verb in verbs}
    if unknown := policy.unknown_verbs(given):
        raise _wrong("roleMapping", f"no verb: {', '.join(unknown)[:200]}")
    if missing := sorted(given - set(policy.verbs(tx, caller, institution_id))):
        raise EntitlementMissing("You cannot give what you do not hold yourself.", details={"verb": missing[0]})


def _target(provider: Provider) -> Target:
    return Target("sso_provider", provider.id, provider.institution_id)


def _told(provider: Provider) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(provider.settings)
    return {**told, "slug": provider.slug, "enabled": provider.enabled}


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(param=name, details=field(name, message))
