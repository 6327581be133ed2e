"""Which models this server has, and who serves them: `engine.ports.ModelDirectory` and more."""

import msgspec
from yarl import URL

from twinspeak.domain.errors import ModelUnavailable, OperatorError
from twinspeak.domain.models import ModelSpec
from twinspeak.egress.client import TrustedClient
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers import catalogue
from twinspeak.providers.http import Endpoint
from twinspeak.providers.local import LocalModel
from twinspeak.providers.openai_chat import OpenAIChat
from twinspeak.providers.openai_request import Quirks

VENDOR_URL = "https://api.openai.com/v1"


class OpenAIAccess(msgspec.Struct, frozen=True):
    """What the operator set: `OPENAI_API_KEY`, `OPENAI_BASE_URL`. Either is enough: local servers want no key."""

    api_key: str = ""
    base_url: str = ""

    @property
    def configured(self) -> bool:
        """True when OpenAI, or a server like it, can be asked."""
        return bool(self.api_key or self.base_url)

    @property
    def vendor(self) -> bool:
        """True at OpenAI itself."""
        return self._base.host == URL(VENDOR_URL).host

    @property
    def _base(self) -> URL:
        try:
            return URL(self.base_url or VENDOR_URL)
        except ValueError:
            return URL()

    def url(self, path: str) -> str:
        """Return the address of `path` below the base; a query in the base (`?api-version=…`) stays.

        Raises OperatorError when the base is not an address that can be asked.
        """
        base = self._base
        if base.scheme not in {"http", "https"} or not base.host:
            raise OperatorError("OPENAI_BASE_URL must be an http or https address, such as http://127.0.0.1:11434/v1.")
        if base.user or base.password:
            raise OperatorError("OPENAI_BASE_URL must hold no user name or password: set OPENAI_API_KEY.")
        return str(base.with_path(f"{base.path.rstrip('/')}/{path}", keep_query=True))

    def headers(self) -> dict[str, str]:
        """Return what every request carries. An answer that streams is not to be compressed: that holds it back."""
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {
            **key,
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "twinspeak",
        }


class Directory:
    """The configured providers and their models. Raises OperatorError when a setting cannot work."""

    def __init__(
        self, client: TrustedClient, *, openai: OpenAIAccess, default_model: str = "", local_pace_ms: int = 8
    ) -> None:
        self._openai = openai
        self._providers: dict[str, ModelProvider] = {catalogue.LOCAL: LocalModel(pace_s=local_pace_ms / 1000)}
        if openai.configured:
            endpoint = Endpoint(catalogue.OPENAI, openai.url("chat/completions"), openai.headers())
            self._providers[catalogue.OPENAI] = OpenAIChat(client, endpoint, self._quirks)
        vendor_default = catalogue.OPENAI_DEFAULT if openai.configured else catalogue.LOCAL
        self.default_id = default_model or vendor_default
        try:
            self.spec(self.default_id)
        except ModelUnavailable as error:
            raise OperatorError(
                f"TWINSPEAK_DEFAULT_MODEL is {self.default_id}, which no configured provider serves: "
                "set OPENAI_API_KEY or OPENAI_BASE_URL, or choose another model."
            ) from error

    def provider(self, name: str) -> ModelProvider:
        """Return the adapter that serves `ModelSpec.provider`. Raises ModelUnavailable."""
        try:
            return self._providers[name]
        except KeyError:
            raise ModelUnavailable(details={"provider": name}) from None

    def spec(self, model_id: str) -> ModelSpec:
        """Describe the model `model_id`: a catalogue id, `provider/model`, or any name a compatible server may know.

        Raises ModelUnavailable.
        """
        prefix, _, rest = model_id.partition("/")
        if model_id in {catalogue.LOCAL, f"{catalogue.LOCAL}/{catalogue.LOCAL}"}:
            return catalogue.LOCAL_MODEL
        forced = prefix == catalogue.OPENAI and bool(rest)
        wire_name = rest if forced else model_id
        elsewhere = self._openai.vendor and not forced and catalogue.foreign(wire_name)
        if not wire_name or catalogue.OPENAI not in self._providers or prefix == catalogue.LOCAL or elsewhere:
            raise ModelUnavailable(details={"model": model_id[:200]})
        return catalogue.openai_spec(model_id, wire_name)

    def available(self) -> list[ModelSpec]:
        """List what can be chosen, the default first.

        At OpenAI that is the catalogue; what another server holds is its own affair, so there it is what was set.
        """
        found = [self.spec(self.default_id)]
        if self._openai.configured and self._openai.vendor:
            found += catalogue.OPENAI_MODELS
        found.append(catalogue.LOCAL_MODEL)
        return list({spec.id: spec for spec in found}.values())

    def _quirks(self, model: ModelSpec) -> Quirks:
        return catalogue.openai_quirks(model.wire_name, vendor=self._openai.vendor)
