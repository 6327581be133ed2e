"""Which vendor a model's name finds, and what a vendor that nobody configured says."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from twinspeak.domain.errors import ModelUnavailable, OperatorError
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.access import Access
from twinspeak.providers.directory import Directory
from twinspeak.providers.vendors import Keys, configured

ALL = Keys(openai=Access("k"), gemini=Access("k"), xai=Access("k"), mistral=Access("k"))
OLLAMA = Keys(openai=Access(base_url="http://127.0.0.1:11434/v1"))


@pytest.fixture
async def client() -> AsyncIterator[TrustedClient]:
    made = TrustedClient.open()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("model_id", "provider", "wire_name"),
    [
        ("gemini-3.5-flash", "gemini", "gemini-3.5-flash"),
        ("models/gemini-3.5-flash", "gemini", "models/gemini-3.5-flash"),
        ("gemini-of-tomorrow", "gemini", "gemini-of-tomorrow"),
        ("gemini/gemma-4-27b-it", "gemini", "gemma-4-27b-it"),
        ("grok-4.5", "xai", "grok-4.5"),
        ("xai/anything", "xai", "anything"),
        ("magistral-medium-latest", "mistral", "magistral-medium-latest"),
        ("mistral/mistral-large-2512", "mistral", "mistral-large-2512"),
        ("gpt-6-astra", "openai", "gpt-6-astra"),
        ("gpt-of-tomorrow", "openai", "gpt-of-tomorrow"),
    ],
)
async def test_a_name_finds_its_vendor(client: TrustedClient, model_id: str, provider: str, wire_name: str):
    directory = Directory(configured(client, ALL))
    spec = directory.spec(model_id)
    assert (spec.id, spec.provider, spec.wire_name) == (model_id, provider, wire_name)
    assert directory.provider(provider)


@pytest.mark.parametrize("model_id", ["grok-4.5", "gemini-3.5-flash", "mistral-medium-latest", "xai/x", "mistral/x"])
async def test_a_vendors_model_is_unavailable_without_its_key(client: TrustedClient, model_id: str):
    with pytest.raises(ModelUnavailable):
        Directory(configured(client, Keys(openai=Access("k")))).spec(model_id)


async def test_a_server_at_home_may_hold_any_of_them(client: TrustedClient):
    directory = Directory(configured(client, OLLAMA), default_model="gemma3:4b")
    assert {directory.spec(name).provider for name in ("mistral-nemo", "grok-1", "gemma3:4b")} == {"openai"}


@pytest.mark.parametrize(
    ("keys", "default"),
    [
        (Keys(gemini=Access("k")), "gemini-3.5-flash-lite"),
        (Keys(xai=Access("k")), "grok-4.3"),
        (Keys(mistral=Access("k")), "mistral-small-latest"),
    ],
)
async def test_one_key_is_enough_to_answer(client: TrustedClient, keys: Keys, default: str):
    directory = Directory(configured(client, keys))
    assert directory.default_id == default
    listed = [spec.id for spec in directory.available()]
    assert listed[0] == default
    assert len(listed) > 5
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", ["gemini", "xai", "mistral"])
async def test_an_address_that_cannot_be_asked_stops_the_start(client: TrustedClient, name: str):
    with pytest.raises(OperatorError, match=f"{name.upper()}_BASE_URL"):
        configured(client, msgspec.structs.replace(Keys(), **{name: Access("k", "ftp://x")}))
