"""Enterprise sign-in: what a provider's record says, and what comes back from it (reference: admin 10.1)."""

from typing import Any

import msgspec


class SignInRefused(Exception):
    """A provider of sign-in, or what came from it, is not to be believed; the text is for who administers it."""


class ProviderSettings(msgspec.Struct, frozen=True):
    """A provider, its secret aside. With `issuer` everything else is discovered, and an id token is demanded.

    `field_mapping` names the claims of email, firstName and lastName. `role_mapping` is by group: who is in one of them
    is an administrator of the twin with its verbs; empty: roles are no business of the provider's.
    """

    client_id: str
    issuer: str = ""
    token_host: str = ""
    token_path: str = "/oauth2/token"  # noqa: S105 -- a path
    authorize_path: str = "/oauth2/authorize"
    userinfo_url: str = ""
    scope: str = "openid"
    field_mapping: dict[str, str] = {}
    label: str = ""
    group_claim: str = "groups"
    role_mapping: dict[str, tuple[str, ...]] = {}


class Provider(msgspec.Struct, frozen=True):
    """A provider's record, its secret aside. Times are epoch milliseconds."""

    id: str
    institution_id: str
    slug: str
    settings: ProviderSettings
    enabled: bool
    created: int
    updated: int


class Login(msgspec.Struct, frozen=True):
    """Somebody who has been sent to a provider; all that is random about it."""

    nonce: str
    verifier: str


class Assertion(msgspec.Struct, frozen=True):
    """Who a provider says has signed in. `claims` are all that it said."""

    subject: str
    claims: dict[str, Any]
