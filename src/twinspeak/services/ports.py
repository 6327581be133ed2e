"""What the services need of the rooms that they must not import. `app` wires identity and providers in."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from twinspeak.domain.ai_models import AiModel
from twinspeak.domain.caller import TokenClaims
from twinspeak.domain.mail import Mail
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.sso import Assertion, Login, ProviderSettings


class PasswordHasher(Protocol):
    """`identity.passwords.Passwords`."""

    async def hash(self, password: str) -> str:
        """Return a hash to store. Raises ValidationFailed (too long) and Overloaded."""
        ...

    def hash_now(self, password: str) -> str:
        """Do as `hash` does, on the calling thread."""
        ...

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tell whether they belong together, in the same time for None. Raises Overloaded."""
        ...

    def outdated(self, stored: str) -> bool:
        """Tell whether a hash should be made again."""
        ...


class MailSender(Protocol):
    """`egress.mail.Mailer`."""

    def send(self, mail: Mail) -> None:
        """Take a mail to deliver; returns at once, whether it can be delivered or not."""
        ...


class TokenIssuer(Protocol):
    """`identity.tokens.Tokens`."""

    def issue(self, *, user_id: str, email: str, kind: str, session_id: str) -> tuple[str, TokenClaims]:
        """Return a signed token of full lifetime, and what it says."""
        ...

    def read(self, token: str) -> TokenClaims:
        """Check a token. Raises InvalidToken and TokenExpired."""
        ...

    def page_key(self, session_id: str) -> str:
        """Return what only a page that was served to this session can know."""
        ...


class Behalf(msgspec.Struct, frozen=True):
    """For whom a model writes: `turn_id` names the request, `twin_id` is "" outside of any."""

    turn_id: str
    twin_id: str
    user_id: str


class OneTimePasswords(Protocol):
    """`identity.totp.Totp`."""

    def new_secret(self) -> str:
        """Return a secret to share with somebody's app."""
        ...

    def address(self, secret: str, account: str) -> str:
        """Return the address that apps read off a QR code."""
        ...

    def step(self, secret: str, code: str, at_ms: int) -> int | None:
        """Return the step that a code is of, None when it is of none around `at_ms` (epoch milliseconds)."""
        ...


class Writer(Protocol):
    """Has a model write a short text for the server itself."""

    async def write(self, model: ModelSpec, system: str, text: str, *, behalf: Behalf) -> str:
        """Return what `model` makes of `text`. Raises ServiceError, also after a time limit."""
        ...


class Judge(Protocol):
    """A vendor that judges texts."""

    @property
    def name(self) -> str:
        """What records of findings call it."""
        ...

    async def judge(self, text: str) -> tuple[str, ...]:
        """Return the categories that a text falls into; none when it may pass. Raises ServiceError."""
        ...


class SignInProvider(Protocol):
    """`identity.oidc.OidcClient`."""

    async def begin(self, settings: ProviderSettings, redirect_uri: str, state: str) -> tuple[str, Login]:
        """Return where to send somebody, and what to remember. Raises SignInRefused, CodedError."""
        ...

    async def finish(
        self, settings: ProviderSettings, secret: str, login: Login, *, code: str, redirect_uri: str
    ) -> Assertion:
        """Return who has signed in. Raises SignInRefused, CodedError."""
        ...

    async def test(self, settings: ProviderSettings, secret: str) -> str:
        """Return what is wrong with a provider's token endpoint, "" for nothing. Raises CodedError."""
        ...


class Vault(Protocol):
    """`persistence.secrets.SecretBox`."""

    def encrypt(self, value: str, *, context: str) -> str:
        """Return a token that only `decrypt` with the same `context` opens."""
        ...

    def decrypt(self, token: str, *, context: str) -> str:
        """Return the value. Raises OperatorError."""
        ...

    def rotate(self, token: str, *, context: str) -> str:
        """Return the value's token under the first key; the same token if it is that already."""
        ...


class ModelCatalogue(Protocol):
    """`providers.own.Served`, as far as choosing a model goes."""

    @property
    def default_id(self) -> str:
        """The server's own choice: the end of every cascade."""
        ...

    def spec(self, model_id: str) -> ModelSpec:
        """Return a model that this server can call. Raises ModelUnavailable."""
        ...

    def describe(self, record: AiModel) -> ModelSpec:
        """Return a twin's own model as turns see it."""
        ...

    def available(self) -> Sequence[ModelSpec]:
        """Return every model that a configured provider serves."""
        ...


class OwnModelCatalogue(ModelCatalogue, Protocol):
    """`providers.own.Served`, as far as looking after twins' own models goes."""

    def forget(self, record_id: str) -> None:
        """Let go of a record's key: it was changed or deleted."""
        ...

    async def probe(self, model: ModelSpec) -> None:
        """Ask a model for a word, within bounds. Raises ProviderFailed, ProviderTimeout, ModelUnavailable."""
        ...
