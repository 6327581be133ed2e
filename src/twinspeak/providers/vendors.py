"""The vendors, one function each: who is let in with what, which models are theirs, who serves them.

A further vendor is a function here, its part of the catalogue, and its wire.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec

from twinspeak.domain.errors import OperatorError
from twinspeak.domain.models import ModelSpec
from twinspeak.egress.client import TrustedClient
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers.access import Access, Site, headers
from twinspeak.providers.anthropic import AnthropicMessages
from twinspeak.providers.bedrock import BedrockConverse
from twinspeak.providers.bedrock_auth import AwsAccess, BearerSigner, ChainSigner
from twinspeak.providers.catalogue import anthropic, bedrock, gemini, mistral, openai, xai
from twinspeak.providers.gemini import Gemini
from twinspeak.providers.http import Endpoint
from twinspeak.providers.openai import EitherWire
from twinspeak.providers.openai_chat import OpenAIChat
from twinspeak.providers.openai_request import Quirks
from twinspeak.providers.openai_responses import OpenAIResponses

OPENAI_SITE = Site("https://api.openai.com/v1", "OPENAI")
ANTHROPIC_SITE = Site("https://api.anthropic.com", "ANTHROPIC")
GEMINI_SITE = Site("https://generativelanguage.googleapis.com", "GEMINI")
XAI_SITE = Site("https://api.x.ai/v1", "XAI")
MISTRAL_SITE = Site("https://api.mistral.ai/v1", "MISTRAL")
_ANTHROPIC_VERSION = "2023-06-01"

OpenAIWire = Literal["auto", "chat", "responses"]
"""Auto: Responses at OpenAI itself, chat completions at any other server."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A configured provider.

    `spec(model_id, wire_name)` describes any of its models, known or not. `claims(name)`: the name is plainly this
    vendor's; `takes(name)`: it may be asked for a name that nobody claims. `models` are those that can be listed.
    """

    name: str
    provider: ModelProvider
    default_model: str
    models: tuple[ModelSpec, ...]
    spec: Callable[[str, str], ModelSpec]
    claims: Callable[[str], bool]
    takes: Callable[[str], bool] = lambda _: False


class Keys(msgspec.Struct, frozen=True):
    """What the operator set, for all vendors."""

    openai: Access = Access()
    openai_wire: OpenAIWire = "auto"
    anthropic: Access = Access()
    gemini: Access = Access()
    xai: Access = Access()
    mistral: Access = Access()
    bedrock: AwsAccess = AwsAccess()


def configured(client: TrustedClient, keys: Keys) -> list[Vendor]:
    """Return the vendors that can be asked, in the order in which they provide the default model (docs/providers.md).

    Raises OperatorError when a setting cannot work.
    """
    found = (
        _openai(client, keys.openai, keys.openai_wire),
        _anthropic(client, keys.anthropic),
        _gemini(client, keys.gemini),
        _xai(client, keys.xai),
        _mistral(client, keys.mistral),
        _bedrock(client, keys.bedrock),
    )
    return [vendor for vendor in found if vendor]


def _openai(client: TrustedClient, access: Access, wire: OpenAIWire) -> Vendor | None:
    """OpenAI, or a server that speaks as it does: what that one holds is its own affair, so it takes any name.

    OpenAI itself is asked over Responses where a model reasons, because chat completions refuse it tools then.
    """
    if not access.configured:
        return None
    own = access.at_vendor(OPENAI_SITE)
    responses = wire == "responses" or (wire == "auto" and own)

    def quirks(spec: ModelSpec) -> Quirks:
        return openai.openai_quirks(spec.wire_name, vendor=own or responses)

    def endpoint(path: str) -> Endpoint:
        key = {"Authorization": f"Bearer {access.api_key}"} if access.api_key else {}
        return Endpoint(openai.OPENAI, access.url(OPENAI_SITE, path), headers() | key)

    provider: ModelProvider = OpenAIChat(client, endpoint("chat/completions"), quirks)
    if responses:
        thinking = OpenAIResponses(client, endpoint("responses"), quirks)
        provider = EitherWire(thinking, provider, lambda spec: wire == "responses" or bool(quirks(spec).efforts))
    spec = partial(openai.openai_spec, vendor=responses)
    return Vendor(
        name=openai.OPENAI,
        provider=provider,
        default_model=openai.OPENAI_DEFAULT,
        models=tuple(spec(model.id, model.id) for model in openai.OPENAI_MODELS) if own else (),
        spec=spec,
        claims=openai.known,
        takes=lambda name: not (own and openai.foreign(name)),
    )


def moderation_endpoint(access: Access) -> Endpoint:
    """Return where OpenAI, or the server in its place, judges texts."""
    key = {"Authorization": f"Bearer {access.api_key}"}
    return Endpoint(openai.OPENAI, access.url(OPENAI_SITE, "moderations"), headers() | key)


def _anthropic(client: TrustedClient, access: Access) -> Vendor | None:
    """Anthropic, or a server that speaks Messages. Both `…` and `…/v1` are taken for its base."""
    if not access.configured:
        return None
    own = access.at_vendor(ANTHROPIC_SITE)
    bare = Access(access.api_key, access.base_url.rstrip("/").removesuffix("/v1"))
    key = {"x-api-key": access.api_key} if access.api_key else {}
    version = {"anthropic-version": _ANTHROPIC_VERSION}
    endpoint = Endpoint(anthropic.ANTHROPIC, bare.url(ANTHROPIC_SITE, "v1/messages"), headers() | key | version)
    return Vendor(
        name=anthropic.ANTHROPIC,
        provider=AnthropicMessages(client, endpoint, lambda spec: anthropic.quirks(spec.wire_name)),
        default_model=anthropic.DEFAULT,
        models=anthropic.MODELS if own else (),
        spec=anthropic.spec,
        claims=anthropic.claims,
    )


def _bedrock(client: TrustedClient, access: AwsAccess) -> Vendor | None:
    """Bedrock in one region, let in by an API key or by signatures."""
    if not access.configured:
        return None
    if not (access.bearer or access.signs):
        raise OperatorError("Bedrock requests are signed by botocore: install twinspeak[bedrock].")
    sign = BearerSigner(access.bearer) if access.bearer else ChainSigner(access.known_region)
    return Vendor(
        name=bedrock.BEDROCK,
        provider=BedrockConverse(client, access.base, sign, lambda spec: bedrock.quirks(spec.wire_name)),
        default_model=bedrock.DEFAULT,
        models=bedrock.MODELS,
        spec=bedrock.spec,
        claims=bedrock.claims,
    )


def _gemini(client: TrustedClient, access: Access) -> Vendor | None:
    """Google, or a server that speaks as its Gemini API does. Both `…` and `…/v1beta` are taken for its base."""
    if not access.configured:
        return None
    bare = Access(access.api_key, access.base_url.rstrip("/").removesuffix("/v1beta"))
    key = {"x-goog-api-key": access.api_key} if access.api_key else {}
    endpoint = Endpoint(gemini.GEMINI, bare.url(GEMINI_SITE, "v1beta"), headers() | key)
    return Vendor(
        name=gemini.GEMINI,
        provider=Gemini(client, endpoint, lambda spec: gemini.quirks(spec.wire_name)),
        default_model=gemini.DEFAULT,
        models=gemini.MODELS if access.at_vendor(GEMINI_SITE) else (),
        spec=gemini.spec,
        claims=gemini.claims,
    )


def _xai(client: TrustedClient, access: Access) -> Vendor | None:
    """Serve xAI, whose chat completions are OpenAI's with `reasoning_content`."""
    if not access.configured:
        return None
    return Vendor(
        name=xai.XAI,
        provider=_chat(client, access, XAI_SITE, xai.XAI, xai.quirks),
        default_model=xai.DEFAULT,
        models=xai.MODELS if access.at_vendor(XAI_SITE) else (),
        spec=xai.spec,
        claims=xai.claims,
    )


def _mistral(client: TrustedClient, access: Access) -> Vendor | None:
    """Serve Mistral, whose chat completions have thinking and text as parts of their content."""
    if not access.configured:
        return None
    return Vendor(
        name=mistral.MISTRAL,
        provider=_chat(client, access, MISTRAL_SITE, mistral.MISTRAL, mistral.quirks),
        default_model=mistral.DEFAULT,
        models=mistral.MODELS if access.at_vendor(MISTRAL_SITE) else (),
        spec=mistral.spec,
        claims=mistral.claims,
    )


def _chat(
    client: TrustedClient, access: Access, site: Site, name: str, quirks: Callable[[str], Quirks]
) -> ModelProvider:
    key = {"Authorization": f"Bearer {access.api_key}"} if access.api_key else {}
    endpoint = Endpoint(name, access.url(site, "chat/completions"), headers() | key)
    return OpenAIChat(client, endpoint, lambda spec: quirks(spec.wire_name))
