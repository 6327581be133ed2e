"""Which models this server has, and who serves them: `engine.ports.ModelDirectory` and more."""

from collections.abc import Sequence

from twinspeak.domain.errors import ModelUnavailable, OperatorError
from twinspeak.domain.models import ModelSpec
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers.catalogue import LOCAL, LOCAL_MODEL
from twinspeak.providers.local import LocalModel
from twinspeak.providers.routing import Policy, Routing
from twinspeak.providers.vendors import Vendor


class Directory:
    """The configured providers and their models, in the vendors' order: the first one provides the default model.

    Each gets its queue and its circuits by `routing`; the built-in model needs none.
    Raises OperatorError when the default model cannot be asked.
    """

    def __init__(
        self,
        vendors: Sequence[Vendor],
        *,
        routing: Routing | None = None,
        default_model: str = "",
        local_pace_ms: int = 8,
    ) -> None:
        self._vendors = {vendor.name: vendor for vendor in vendors}
        routing = routing or Routing(Policy())
        self._providers = {vendor.name: routing.guard(vendor.name, vendor.provider) for vendor in vendors}
        self._local = LocalModel(pace_s=local_pace_ms / 1000)
        self.default_id = default_model or next((vendor.default_model for vendor in vendors), LOCAL)
        try:
            self.spec(self.default_id)
        except ModelUnavailable as error:
            raise OperatorError(
                f"TWINSPEAK_DEFAULT_MODEL is {self.default_id}, which no configured provider serves: set its vendor's "
                "key (OPENAI_API_KEY, ANTHROPIC_API_KEY and so on; docs/providers.md), or choose another model."
            ) from error

    def serving(self, model: ModelSpec) -> ModelProvider:
        """Return the adapter that serves a model. Raises ModelUnavailable."""
        return self.provider(model.provider)

    def provider(self, name: str) -> ModelProvider:
        """Return the adapter that serves `ModelSpec.provider`. Raises ModelUnavailable."""
        if name == LOCAL:
            return self._local
        try:
            return self._providers[name]
        except KeyError:
            raise ModelUnavailable(details={"provider": name}) from None

    def spec(self, model_id: str) -> ModelSpec:
        """Describe the model `model_id`: `provider/model`, a name that a vendor claims, or one that a server may know.

        Raises ModelUnavailable.
        """
        prefix, _, rest = model_id.partition("/")
        if model_id in {LOCAL, f"{LOCAL}/{LOCAL}"}:
            return LOCAL_MODEL
        if rest and prefix in self._vendors:
            return self._vendors[prefix].spec(model_id, rest)
        vendor = self._serving(model_id) if model_id and prefix != LOCAL else None
        if vendor is None:
            raise ModelUnavailable(details={"model": model_id[:200]})
        return vendor.spec(model_id, model_id)

    def available(self) -> list[ModelSpec]:
        """List what can be chosen, the default first.

        At the vendors themselves that is the catalogue; what another server holds is its own affair, so there it is
        what was set.
        """
        found = [self.spec(self.default_id)]
        for vendor in self._vendors.values():
            found += vendor.models
        found.append(LOCAL_MODEL)
        return list({spec.id: spec for spec in found}.values())

    def _serving(self, name: str) -> Vendor | None:
        vendors = self._vendors.values()
        claiming = (vendor for vendor in vendors if vendor.claims(name))
        return next(claiming, None) or next((vendor for vendor in vendors if vendor.takes(name)), None)
