"""Wiring of the models: the operator's keys, the ways out, and what serves the server's models and twins' own."""

from contextlib import AsyncExitStack

from pydantic import SecretStr

from twinspeak.app.offline import Ground
from twinspeak.egress.client import GuardedClient, TrustedClient
from twinspeak.egress.guard import AllowList, Guard
from twinspeak.providers.access import Access
from twinspeak.providers.bedrock_auth import AwsAccess
from twinspeak.providers.catalogue.bedrock import BEDROCK
from twinspeak.providers.directory import Directory
from twinspeak.providers.own import Aside, OwnModels, Served
from twinspeak.providers.routing import Policy, Routing
from twinspeak.providers.vendors import Keys, configured
from twinspeak.settings import Settings
from twinspeak.telemetry.metrics import Metrics


def open_models(
    stack: AsyncExitStack, client: TrustedClient, settings: Settings, ground: Ground, metrics: Metrics
) -> Served:
    """Make what serves models, the server's through `client`; `stack` closes what asks those of twins."""
    guarded = GuardedClient.guarded(model_guard(settings))
    stack.push_async_callback(guarded.close)
    keys, policy = keys_of(settings), _policy(settings)
    directory = Directory(
        configured(client, keys),
        routing=Routing(policy, metrics),
        default_model=settings.default_model,
        local_pace_ms=settings.local_pace_ms,
    )
    own = OwnModels(
        ground.db,
        ground.secrets,
        guarded,
        Routing(policy, Aside(metrics)),
        region=keys.bedrock,
        borrowed=lambda: directory.provider(BEDROCK),
    )
    return Served(directory, own)


def model_guard(settings: Settings) -> Guard:
    """Return the rules for addresses of twins' own models: https, since keys travel there. Raises OperatorError."""
    return Guard(AllowList(settings.egress_allow), schemes=("https",), ports=None)


def keys_of(settings: Settings) -> Keys:
    """Return what the operator set to be let in at the vendors."""
    return Keys(
        openai=_access(settings.openai_api_key, settings.openai_base_url),
        openai_wire=settings.openai_wire,
        anthropic=_access(settings.anthropic_api_key, settings.anthropic_base_url),
        gemini=_access(settings.gemini_api_key, settings.gemini_base_url),
        xai=_access(settings.xai_api_key, settings.xai_base_url),
        mistral=_access(settings.mistral_api_key, settings.mistral_base_url),
        bedrock=_aws(settings),
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        attempts=settings.provider_attempts,
        budget_s=settings.provider_retry_budget_s,
        at_once=settings.provider_at_once,
        waiting=settings.provider_waiting,
        patience_s=settings.provider_patience_s,
        failures=settings.circuit_failures,
        open_s=settings.circuit_open_s,
        stall_s=settings.turn_first_token_s,
    )


def _aws(settings: Settings) -> AwsAccess:
    chain = (settings.aws_access_key_id, settings.aws_profile, settings.aws_web_identity_token_file)
    return AwsAccess(
        region=settings.aws_region,
        endpoint=settings.bedrock_endpoint_url,
        bearer=settings.bedrock_api_key.get_secret_value() if settings.bedrock_api_key else "",
        chain=any((*chain, settings.aws_container_credentials_uri)),
    )


def _access(key: SecretStr | None, base_url: str) -> Access:
    return Access(api_key=key.get_secret_value() if key else "", base_url=base_url)
