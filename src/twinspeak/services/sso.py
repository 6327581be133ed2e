"""Signing in through a twin's own provider (reference: runtime 1.6; decision 041).

A twin's administrator chooses the provider, so it is believed about that twin's people alone: it signs in who came
through it before, makes new people, and takes over an account that is there only when that is an ordinary one of this
twin and no other. Whoever administers elsewhere signs in with a password.
"""

import hashlib
import secrets
from typing import Any, cast

import msgspec
import structlog

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CallerError, CodedError, NotFound, ValidationFailed
from twinspeak.domain.ids import new_id
from twinspeak.domain.people import STARTING_CREDITS, Membership, User
from twinspeak.domain.sso import Assertion, Login, Provider, SignInRefused
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, people, sso, users
from twinspeak.persistence.repos.sso import KeptLogin
from twinspeak.persistence.secrets import SecretUnreadable
from twinspeak.services import audit
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth, Device, SignedIn
from twinspeak.services.members import enrol
from twinspeak.services.passwords import check_email
from twinspeak.services.ports import SignInProvider, Vault
from twinspeak.services.vouching import harmless, may_take_over

LOGIN_MS = 10 * 60_000
_MAPPING = {"email": "email", "firstName": "given_name", "lastName": "family_name"}

_log = structlog.get_logger(__name__)


class SsoRefused(CallerError):
    """The sign-in did not work out; why is in the server's log, for the twin's administrator to ask for."""

    code = "sso_refused"
    status = 401
    type = "authentication_error"
    default = "Signing in through your organisation did not work. Please try again."


class SsoAccountExists(CallerError):
    """There is an account with this address that the provider is not believed about."""

    code = "sso_account_exists"
    status = 403
    type = "permission_error"
    default = "There is an account with your e-mail address already. Sign in with your password."


class Begun(msgspec.Struct, frozen=True):
    """Where to send the browser, and the secret that it keeps."""

    url: str
    browser: str


class Sso:
    """Enterprise sign-in. One for the whole server."""

    def __init__(self, db: Database, auth: Auth, client: SignInProvider, vault: Vault, *, public_url: str) -> None:
        """`public_url` is where providers send browsers back to."""
        self._db = db
        self._auth = auth
        self._client = client
        self._vault = vault
        self._redirect_uri = f"{public_url.rstrip('/')}/sso/callback"

    async def begin(self, slug: str) -> Begun:
        """Send somebody to a provider. Raises NotFound (no such one, or it is off), SsoRefused."""
        provider = await self._db.read(lambda tx: _usable(tx, sso.by_slug(tx, slug)))
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        try:
            url, login = await self._client.begin(provider.settings, self._redirect_uri, state)
        except (SignInRefused, CodedError) as error:
            raise _refusal(provider, error) from error
        kept = KeptLogin(
            state_hash=_hash(state),
            browser_hash=_hash(browser),
            provider_id=provider.id,
            nonce=login.nonce,
            verifier=login.verifier,
            expires=now_ms() + LOGIN_MS,
        )
        await self._db.write(lambda tx: sso.remember(tx, kept))
        return Begun(url=url, browser=browser)

    async def finish(self, code: str, state: str, browser: str, device: Device) -> SignedIn:
        """Sign in who comes back. Raises SsoRefused, SsoAccountExists, AccountSuspended."""
        kept = await self._db.write(lambda tx: sso.recall(tx, _hash(state)))
        if kept is None or not secrets.compare_digest(kept.browser_hash, _hash(browser)):
            raise SsoRefused
        provider, sealed = await self._db.read(lambda tx: _with_secret(tx, kept.provider_id))
        login = Login(nonce=kept.nonce, verifier=kept.verifier)
        try:
            secret = self._vault.decrypt(sealed, context=f"sso_provider:{provider.id}") if sealed else ""
            assertion = await self._client.finish(
                provider.settings, secret, login, code=code, redirect_uri=self._redirect_uri
            )
        except (SignInRefused, CodedError, SecretUnreadable) as error:
            raise _refusal(provider, error) from error
        signed, less = await self._db.write(lambda tx: self._admit(tx, provider, assertion, device))
        if less:
            self._auth.revocations.left([signed.profile.user.id], provider.institution_id)
        return signed

    def _admit(self, tx: Tx, provider: Provider, assertion: Assertion, device: Device) -> tuple[SignedIn, bool]:
        """Sign in, having made the person and the membership if need be; return whether rights have become less."""
        user = _person(tx, provider, assertion, device)
        by = Actor(Caller(user_id=user.id, email=user.email, kind="user", session_id=""), device.ip, device.user_agent)
        member = memberships.get(tx, user.id, provider.institution_id)
        if member is None:
            new = Membership(
                id=new_id(),
                user_id=user.id,
                institution_id=provider.institution_id,
                created=now_ms(),
                joined=now_ms(),
            )
            member = enrol(tx, by, new)
        less = _map_roles(tx, by, provider, assertion, member)
        users.edit(tx, user.id, {"active_institution_id": provider.institution_id, "last_login": now_ms()})
        audit.note(tx, by, "sso.signed_in", Target("sso_provider", provider.id, provider.institution_id))
        return self._auth.open(tx, user.id, device), less


def _usable(tx: Tx, provider: Provider | None) -> Provider:
    if provider is None or not provider.enabled or institutions.by_id(tx, provider.institution_id) is None:
        raise NotFound("There is no such sign-in.")
    return provider


def _with_secret(tx: Tx, provider_id: str) -> tuple[Provider, str]:
    return _usable(tx, sso.get(tx, provider_id)), sso.client_secret(tx, provider_id)


def _person(tx: Tx, provider: Provider, assertion: Assertion, device: Device) -> User:
    """Return who it is. Raises SsoRefused, SsoAccountExists."""
    found = sso.known(tx, provider.id, assertion.subject)
    user = users.by_id(tx, found) if found else None
    if user is not None:
        if not harmless(tx, user, provider.institution_id):
            raise SsoAccountExists
        return user
    mapping = {**_MAPPING, **provider.settings.field_mapping}
    email = _email(assertion, mapping["email"])
    user = users.by_email(tx, email)
    if user is None:
        names = {key: str(assertion.claims.get(mapping[key]) or "")[:100] for key in ("firstName", "lastName")}
        new = users.NewUser(email=email, fname=names["firstName"], lname=names["lastName"])
        user = users.create(tx, new, credits=STARTING_CREDITS)
        by = Actor(Caller(user_id=user.id, email=email, kind="user", session_id=""), device.ip, device.user_agent)
        audit.note(tx, by, "user.signed_up", Target("user", user.id, provider.institution_id))
    elif not may_take_over(tx, user, provider.institution_id):
        raise SsoAccountExists
    sso.link(tx, provider.id, assertion.subject, user.id)
    return user


def _email(assertion: Assertion, claim: str) -> str:
    """Return the address. Raises SsoRefused for none, and for one that the provider itself calls unverified."""
    given = assertion.claims.get(claim)
    if not isinstance(given, str) or assertion.claims.get("email_verified") is False:
        raise SsoRefused("Your organisation does not tell a verified e-mail address of yours.")
    try:
        return check_email(given)
    except ValidationFailed:
        raise SsoRefused("Your organisation does not tell an e-mail address of yours.") from None


def _map_roles(tx: Tx, by: Actor, provider: Provider, assertion: Assertion, member: Membership) -> bool:
    """Give the role that the groups stand for, where the record maps any; return whether it is less than before."""
    mapping = provider.settings.role_mapping
    if not mapping:
        return False
    told = assertion.claims.get(provider.settings.group_claim)
    groups = {str(one) for one in cast("list[Any]", told)} if isinstance(told, list) else {str(told)}
    granted = [group for group in mapping if group in groups]
    verbs = tuple(sorted({verb for group in granted for verb in mapping[group]}))
    values = {"account_type": "admin" if granted else "user", "entitlements": verbs}
    before = {"account_type": member.account_type, "entitlements": tuple(sorted(member.entitlements))}
    if values == before:
        return False
    people.change(tx, member.id, values)
    target = Target("membership", member.id, member.institution_id)
    audit.note(tx, by, "membership.mapped", target, before=before, after=values)
    user = users.by_id(tx, member.user_id)
    if granted and user is not None and user.account_type == "user":
        users.edit(tx, member.user_id, {"account_type": "admin"})
    return not set(before["entitlements"]) <= set(verbs) or not granted


def _refusal(provider: Provider, error: Exception) -> SsoRefused:
    _log.warning("sign-in refused", slug=provider.slug, reason=str(error)[:200], kind=type(error).__name__)
    return SsoRefused()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
