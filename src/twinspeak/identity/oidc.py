"""OpenID Connect as a relying party (OpenID Connect Core 1.0, Discovery 1.0; RFC 6749, 7636, 9700).

Every address comes from a twin's record or from what it led to, so all of them are asked through the guarded fetcher.
The protocol's steps are functions of bytes; `OidcClient` is the rim.
"""

import base64
import hashlib
import secrets
from typing import Any, cast
from urllib.parse import quote, urlencode, urljoin

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from twinspeak.domain import clock
from twinspeak.domain.sso import Assertion, Login, ProviderSettings, SignInRefused
from twinspeak.egress.fetch import Bounds, Fetcher, Request

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a key that only the provider has: neither none nor a shared secret."""
_BOUNDS = Bounds(max_bytes=1_000_000, total_s=15, redirects=2)
_FRESH_S = 600
_AGAIN_S = 30
"""How soon keys are asked for again because one is missing: the provider has changed them."""
_LEEWAY_S = 60
_MAX_KEPT = 1_000


class Endpoints(msgspec.Struct, frozen=True):
    """Where a provider is asked what."""

    authorize: str
    token: str
    userinfo: str = ""
    issuer: str = ""
    jwks: str = ""


class _Kept(msgspec.Struct):
    value: Any
    at: float


class OidcClient:
    """Asks providers. One for the whole server; inside its event loop."""

    def __init__(self, fetcher: Fetcher) -> None:
        """Keep the way out."""
        self._fetcher = fetcher
        self._kept: dict[str, _Kept] = {}

    async def begin(self, settings: ProviderSettings, redirect_uri: str, state: str) -> tuple[str, Login]:
        """Return where to send somebody, and what to remember. Raises SignInRefused, AddressNotAllowed, FetchFailed."""
        endpoints = await self._endpoints(settings)
        login = Login(nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48))
        return authorize_url(endpoints, settings, login, redirect_uri, state), login

    async def finish(
        self, settings: ProviderSettings, secret: str, login: Login, *, code: str, redirect_uri: str
    ) -> Assertion:
        """Return who has signed in. Raises SignInRefused, AddressNotAllowed, FetchFailed."""
        endpoints = await self._endpoints(settings)
        answer = await self._post(endpoints.token, token_request(settings, secret, login, code, redirect_uri))
        claims: dict[str, Any] = {}
        if endpoints.issuer:
            claims = await self._id_token(endpoints, settings.client_id, answer.get("id_token"), login.nonce)
        if endpoints.userinfo:
            claims = merged(claims, await self._userinfo(endpoints.userinfo, answer))
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise SignInRefused("the provider did not say who it is (sub)")
        return Assertion(subject=subject, claims=claims)

    async def test(self, settings: ProviderSettings, secret: str) -> str:
        """Try the token endpoint with a code that cannot be good; return what is wrong, "" when it answers as one."""
        login = Login(nonce="", verifier="x" * 43)
        try:
            endpoints = await self._endpoints(settings)
            body = token_request(settings, secret, login, "twinspeak-test", "https://localhost/")
            async with self._fetcher.ask(_form(endpoints.token, body), _BOUNDS) as answer:
                found = _object(await answer.read())
                if found.get("error") == "invalid_grant":
                    return ""
                if answer.status < 500 and "error" in found:
                    return f"The provider answered {str(found['error'])[:100]}."
                return f"The token endpoint answered with status {answer.status}."
        except SignInRefused as error:
            return str(error)

    async def _endpoints(self, settings: ProviderSettings) -> Endpoints:
        if not settings.issuer:
            return documented(settings)
        url = settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        return discovered(settings.issuer, await self._get(url))

    async def _id_token(self, endpoints: Endpoints, client_id: str, token: object, nonce: str) -> dict[str, Any]:
        if not isinstance(token, str):
            raise SignInRefused("the provider gave no id token")
        try:
            return verified(token, await self._keys(endpoints.jwks), endpoints.issuer, client_id, nonce)
        except _UnknownKey:
            return verified(token, await self._keys(endpoints.jwks, again=True), endpoints.issuer, client_id, nonce)

    async def _keys(self, url: str, *, again: bool = False) -> KeySet:
        try:
            return KeySet.import_key_set(cast("Any", await self._get(url, fresh_s=_AGAIN_S if again else _FRESH_S)))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise SignInRefused("the provider's keys cannot be read") from error

    async def _userinfo(self, url: str, answer: dict[str, Any]) -> dict[str, Any]:
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SignInRefused("the provider gave no access token")
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        return await self._read(Request(url, headers=headers))

    async def _get(self, url: str, *, fresh_s: float = _FRESH_S) -> dict[str, Any]:
        kept = self._kept.get(url)
        if kept is not None and clock.monotonic() - kept.at < fresh_s:
            return kept.value
        value = await self._read(Request(url, headers={"accept": "application/json"}))
        while len(self._kept) >= _MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[url] = _Kept(value, clock.monotonic())
        return value

    async def _post(self, url: str, body: dict[str, str]) -> dict[str, Any]:
        return await self._read(_form(url, body))

    async def _read(self, request: Request) -> dict[str, Any]:
        async with self._fetcher.ask(request, _BOUNDS) as answer:
            found = _object(await answer.read())
            if answer.status != 200:
                raise SignInRefused(f"the provider answered with status {answer.status}")
            return found


class _UnknownKey(SignInRefused):
    """The token is signed by a key that is not among those known: it may be a new one."""


def authorize_url(endpoints: Endpoints, settings: ProviderSettings, login: Login, redirect_uri: str, state: str) -> str:
    """Return where the person signs in."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(login.verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "scope": settings.scope,
        "state": state,
        "nonce": login.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{endpoints.authorize}{'&' if '?' in endpoints.authorize else '?'}{urlencode(query, quote_via=quote)}"


def token_request(
    settings: ProviderSettings, secret: str, login: Login, code: str, redirect_uri: str
) -> dict[str, str]:
    """Return the form that turns a code into tokens."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": settings.client_id,
        "code_verifier": login.verifier,
    }
    return {**form, "client_secret": secret} if secret else form


def documented(settings: ProviderSettings) -> Endpoints:
    """Return the endpoints of a record that names them."""
    if not settings.token_host or not settings.userinfo_url:
        raise SignInRefused("the record names neither an issuer nor a token host with a user info address")
    host = settings.token_host.rstrip("/") + "/"
    return Endpoints(
        authorize=urljoin(host, settings.authorize_path.lstrip("/")),
        token=urljoin(host, settings.token_path.lstrip("/")),
        userinfo=settings.userinfo_url,
    )


def discovered(issuer: str, document: dict[str, Any]) -> Endpoints:
    """Return the endpoints of a discovery document (Discovery 1.0, 4.3: it must be the issuer's own)."""
    if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise SignInRefused("the discovery document is of another issuer")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if not all(isinstance(document.get(name), str) for name in names):
        raise SignInRefused("the discovery document lacks an endpoint")
    return Endpoints(
        authorize=document["authorization_endpoint"],
        token=document["token_endpoint"],
        userinfo=str(document.get("userinfo_endpoint") or ""),
        issuer=str(document["issuer"]),
        jwks=document["jwks_uri"],
    )


def verified(token: str, keys: KeySet, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """Return the claims of an id token that is good (Core 1.0, 3.1.3.7). Raises SignInRefused."""
    try:
        decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
    except JoseError as error:
        raise _UnknownKey(f"the id token is not signed by the provider ({type(error).__name__})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _UnknownKey("the id token cannot be read") from error
    claims: dict[str, Any] = dict(decoded.claims)
    now = clock.now_ms() // 1000
    audience = claims.get("aud")
    audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    checks = {
        "issuer": claims.get("iss") == issuer,
        "audience": client_id in audiences and (len(audiences) == 1 or claims.get("azp") == client_id),
        "end": isinstance(claims.get("exp"), int) and claims["exp"] > now - _LEEWAY_S,
        "beginning": isinstance(claims.get("iat"), int) and claims["iat"] < now + _LEEWAY_S,
        "nonce": isinstance(claims.get("nonce"), str) and secrets.compare_digest(claims["nonce"], nonce),
    }
    if wrong := [name for name, right in checks.items() if not right]:
        raise SignInRefused(f"the id token has a wrong {' and '.join(wrong)}")
    return claims


def merged(claims: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Add what the user info says, which must be about the same person (Core 1.0, 5.3.2)."""
    if claims and more.get("sub") != claims.get("sub"):
        raise SignInRefused("the user info is about somebody else")
    return {**more, **claims}


def _form(url: str, body: dict[str, str]) -> Request:
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    return Request(url, method="POST", headers=headers, body=urlencode(body).encode())


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise SignInRefused("the provider's answer is no JSON object") from error
