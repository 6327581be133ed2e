"""Models that twins bring themselves: described like any other, asked with their own keys at their own addresses.

A twin's key goes to the address of its record alone, through a client that judges every address; the server's own
keys never go to an address that a twin named (contract section 6). Adapters are made when a record is first asked, and
kept with the state of the record that they were made of; connections to one address are shared.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import msgspec
import structlog

from twinspeak.domain import ai_models
from twinspeak.domain.ai_models import AiModel, OwnSecrets
from twinspeak.domain.errors import AddressNotAllowed, ModelUnavailable, OperatorError, ProviderFailed, ProviderTimeout
from twinspeak.domain.events import ModelEvent
from twinspeak.domain.ids import new_id
from twinspeak.domain.models import OWN, ModelSpec
from twinspeak.domain.turn import ModelRequest, Sampling, UserMessage
from twinspeak.egress.client import GuardedClient
from twinspeak.engine.ports import ModelProvider
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import ai_models as rows
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable
from twinspeak.providers import vendors
from twinspeak.providers.access import Access
from twinspeak.providers.bedrock_auth import AwsAccess
from twinspeak.providers.catalogue import anthropic, bedrock, gemini, mistral, openai, xai
from twinspeak.providers.directory import Directory
from twinspeak.providers.refusals import Refused, failure_of
from twinspeak.providers.routing import Routing, RoutingObserver
from twinspeak.providers.vendors import Keys, Vendor

KEPT = 256
"""How many records' adapters are kept; the one that was asked longest ago goes first."""

_PROBE = "Say hello."
_PROBE_TOKENS = 256
_PROBE_S = 20.0
_UNREADABLE = "The key of this model can no longer be read. Whoever manages the digital twin must enter it again."
_FORBIDDEN = "The address of this model may not be asked from this server, or does not exist."

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def _openai(name: str, wire_name: str, api_url: str) -> ModelSpec:
    return openai.openai_spec(name, wire_name, vendor=Access(base_url=api_url).at_vendor(vendors.OPENAI_SITE))


def _by(spec: Callable[[str, str], ModelSpec]) -> Callable[[str, str, str], ModelSpec]:
    return lambda name, wire_name, _api_url: spec(name, wire_name)


_SPECS: dict[str, Callable[[str, str, str], ModelSpec]] = {
    ai_models.OPENAI: _openai,
    ai_models.ANTHROPIC: _by(anthropic.spec),
    ai_models.GEMINI: _by(gemini.spec),
    ai_models.MISTRAL: _by(mistral.spec),
    ai_models.XAI: _by(xai.spec),
    ai_models.BEDROCK: _by(bedrock.spec),
}


def describe(record: AiModel) -> ModelSpec:
    """Return a record as turns see it: its own limits and price, what is known of the model for the rest."""
    known = _SPECS[record.library](record.name, record.asked_as, record.api_url)
    return msgspec.structs.replace(
        known,
        label=record.name,
        context_window=record.max_input_tokens or known.context_window,
        max_output=record.max_output_tokens or known.max_output,
        price=record.price_over(known.price),
        takes_tools=record.features.get(ai_models.TOOLS, known.takes_tools),
        reads=record.reads_over(known.reads),
        record=record.id,
        revision=record.revision,
        effort=record.reasoning_effort,
    )


class Aside:
    """`providers.routing.RoutingObserver`: keeps records apart from what the operator is responsible for.

    A circuit of a record goes when the record changes, so nobody counts how many are open.
    """

    def __init__(self, observer: RoutingObserver) -> None:
        self._observer = observer

    def provider_load(self, provider: str, *, asked: int, waiting: int) -> None:  # noqa: ARG002 -- all are one
        """So many requests more (or fewer) run, or wait for their turn."""
        self._observer.provider_load(OWN, asked=asked, waiting=waiting)

    def provider_asked_again(self, provider: str) -> None:  # noqa: ARG002 -- all are one
        """A request is made again."""
        self._observer.provider_asked_again(OWN)

    def provider_circuit(self, provider: str, *, opened: bool) -> None:
        """A model of a twin's is left alone: its log says so."""


class OwnModels:
    """Serves the models of records. `borrowed` serves Bedrock models of records that bring no key."""

    def __init__(
        self,
        db: Database,
        box: SecretBox,
        client: GuardedClient,
        routing: Routing,
        *,
        region: AwsAccess,
        borrowed: Callable[[], ModelProvider],
    ) -> None:
        self._db = db
        self._box = box
        self._client = client
        self._routing = routing
        self._region = region
        self._borrowed = borrowed
        self._kept: OrderedDict[str, tuple[int, ModelProvider]] = OrderedDict()
        self._forgotten = 0

    def serving(self, model: ModelSpec) -> ModelProvider:
        """Return what serves a model of a record; it looks for the key when it is asked."""
        return _Own(self, model)

    def forget(self, record_id: str) -> None:
        """Let go of a record's key: it was changed or deleted."""
        self._forgotten += 1
        self._kept.pop(record_id, None)

    async def provider(self, model: ModelSpec) -> ModelProvider:
        """Return the adapter of a record as it is now. Raises ModelUnavailable, also for a record that is gone."""
        kept = self._kept.get(model.record)
        if kept is None or kept[0] < model.revision:
            before = self._forgotten
            kept = await self._made(model)
            if before != self._forgotten:
                return kept[1]  # what was read may be gone by now: this one question asked in time, no other
            self._kept[model.record] = kept
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(model.record)
        return kept[1]

    async def _made(self, model: ModelSpec) -> tuple[int, ModelProvider]:
        try:
            found = await self._db.read(lambda tx: rows.opened(tx, self._box, model.record))
            if found is None or not found[0].active:
                raise ModelUnavailable(details={"model": model.id[:200]})
            record, secrets = found
            return record.revision, self._adapter(record, secrets)
        except SecretUnreadable as error:
            _log.error("ai_model_key_unreadable", record=model.record)
            raise ModelUnavailable(_UNREADABLE, details={"model": model.id[:200]}) from error
        except OperatorError as error:
            raise ModelUnavailable(details={"model": model.id[:200]}) from error

    def _adapter(self, record: AiModel, secrets: OwnSecrets) -> ModelProvider:
        if record.borrows:
            return self._borrowed()
        access = Access(api_key=secrets.api_key, base_url=record.api_url)
        client = self._client.carrying(secrets.headers)
        vendor = _vendor(client, record.library, access, self._region)
        return self._routing.guard(vendor.name, vendor.provider)


class _Own:
    """`engine.ports.ModelProvider` of one record."""

    def __init__(self, own: OwnModels, model: ModelSpec) -> None:
        self._own = own
        self._model = model

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent]]:
        """Ask with the record's own key; as `engine.ports.ModelProvider`. Raises ModelUnavailable too."""
        try:
            provider = await self._own.provider(self._model)
            async with aclosing(provider.stream(request)) as batches:
                async for batch in batches:
                    yield batch
        except AddressNotAllowed as error:
            raise ProviderFailed(_FORBIDDEN, details={"provider": self._model.provider}) from error
        except ProviderFailed as failure:
            if isinstance(failure.__cause__, Refused):
                failure = failure_of(self._model.provider, failure.__cause__.refusal, own=True)
            raise failure from failure.__cause__


def _vendor(client: GuardedClient, library: str, access: Access, region: AwsAccess) -> Vendor:
    """Make the vendor that a record stands for. Raises OperatorError."""
    if library == ai_models.BEDROCK and access.api_key:  # without one, the server's credentials would sign the request
        aws = AwsAccess(region=region.region, endpoint=access.base_url, bearer=access.api_key)
        found = vendors.configured(client, Keys(bedrock=aws))
    elif library == ai_models.BEDROCK:
        found = []
    else:
        found = vendors.configured(client, msgspec.structs.replace(Keys(), **{_FIELDS[library]: access}))
    if not found:
        raise OperatorError("This record has neither a key nor an address.")
    return found[0]


class Served:
    """All models: the server's own by their directory, and those of records. `engine.ports.ModelDirectory` and more."""

    def __init__(self, directory: Directory, own: OwnModels) -> None:
        self._directory = directory
        self._own = own

    @property
    def default_id(self) -> str:
        """The server's own choice."""
        return self._directory.default_id

    def spec(self, model_id: str) -> ModelSpec:
        """Return one of the server's models. Raises ModelUnavailable."""
        return self._directory.spec(model_id)

    def available(self) -> list[ModelSpec]:
        """Return the server's models."""
        return self._directory.available()

    def describe(self, record: AiModel) -> ModelSpec:
        """Return a record as turns see it."""
        return describe(record)

    def serving(self, model: ModelSpec) -> ModelProvider:
        """Return the adapter that serves a model. Raises ModelUnavailable."""
        return self._own.serving(model) if model.record else self._directory.serving(model)

    def forget(self, record_id: str) -> None:
        """Let go of a record's key."""
        self._own.forget(record_id)

    async def probe(self, model: ModelSpec) -> None:
        """Ask a model for a word, and stop at its first. Raises ProviderFailed, ProviderTimeout, ModelUnavailable."""
        request = ModelRequest(
            turn_id=new_id(),
            model=model,
            system="",
            messages=(UserMessage(text=_PROBE),),
            tools=(),
            output_limit=min(_PROBE_TOKENS, model.max_output),
            effort="",
            sampling=Sampling(),
            question=_PROBE,
        )
        timer = asyncio.timeout(_PROBE_S)
        try:
            async with timer, aclosing(self.serving(model).stream(request)) as batches:
                async for _ in batches:
                    return
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise ProviderTimeout(details={"provider": model.provider, "limit": "first_token"}) from error


_FIELDS = {
    ai_models.OPENAI: "openai",
    ai_models.ANTHROPIC: "anthropic",
    ai_models.GEMINI: "gemini",
    ai_models.MISTRAL: "mistral",
    ai_models.XAI: "xai",
}
