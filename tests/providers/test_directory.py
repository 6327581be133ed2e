from collections.abc import AsyncIterator

import pytest

from twinspeak.domain.errors import ModelUnavailable, OperatorError
from twinspeak.egress.client import TrustedClient
from twinspeak.providers import catalogue
from twinspeak.providers.directory import Directory, OpenAIAccess
from twinspeak.providers.local import LocalModel
from twinspeak.providers.openai_chat import OpenAIChat

KEY = OpenAIAccess(api_key="sk-x")
SERVER = OpenAIAccess(base_url="http://127.0.0.1:11434/v1/")
BOTH = OpenAIAccess(api_key="sk-x", base_url="https://models.example.org/v1")
NONE = OpenAIAccess()


@pytest.fixture
async def client() -> AsyncIterator[TrustedClient]:
    made = TrustedClient.open()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("access", "asked", "expected"),
    [
        (NONE, "", "local"),
        (KEY, "", catalogue.OPENAI_DEFAULT),
        (SERVER, "", catalogue.OPENAI_DEFAULT),
        (SERVER, "qwen3:8b", "qwen3:8b"),
        (KEY, "local", "local"),
    ],
)
async def test_the_default(client: TrustedClient, access: OpenAIAccess, asked: str, expected: str):
    directory = Directory(client, openai=access, default_model=asked)
    assert directory.default_id == expected
    assert directory.available()[0].id == expected


@pytest.mark.parametrize(
    ("model_id", "provider", "wire_name"),
    [
        ("local", "local", "local"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("meta-llama/llama-3", "openai", "meta-llama/llama-3"),
        ("openai/openai/gpt-oss-120b", "openai", "openai/gpt-oss-120b"),
        ("claude-sonnet-5", "openai", "claude-sonnet-5"),
    ],
)
async def test_names_find_their_provider(client: TrustedClient, model_id: str, provider: str, wire_name: str):
    directory = Directory(client, openai=BOTH)
    spec = directory.spec(model_id)
    assert (spec.id, spec.provider, spec.wire_name) == (model_id, provider, wire_name)
    assert isinstance(directory.provider(provider), LocalModel if provider == "local" else OpenAIChat)
    assert spec.max_output <= spec.context_window


@pytest.mark.parametrize(
    ("access", "model_id"),
    [
        (NONE, "gpt-4o"),
        (NONE, "openai/gpt-4o"),
        (NONE, ""),
        (KEY, ""),
        (KEY, "local/other"),
        (KEY, "claude-sonnet-5"),
        (KEY, "us.anthropic.claude-sonnet-5-v1:0"),
        (KEY, "gemini-3-pro"),
        (KEY, "magistral-medium-latest"),
    ],
)
async def test_what_nobody_serves_is_unavailable(client: TrustedClient, access: OpenAIAccess, model_id: str):
    directory = Directory(client, openai=access)
    with pytest.raises(ModelUnavailable):
        directory.spec(model_id)


async def test_a_provider_that_is_not_configured_is_unavailable(client: TrustedClient):
    with pytest.raises(ModelUnavailable):
        Directory(client, openai=NONE).provider("openai")


async def test_a_default_that_cannot_work_stops_the_start(client: TrustedClient):
    with pytest.raises(OperatorError, match="TWINSPEAK_DEFAULT_MODEL"):
        Directory(client, openai=NONE, default_model="gpt-4o")


async def test_what_can_be_chosen(client: TrustedClient):
    ids = [spec.id for spec in Directory(client, openai=KEY).available()]
    assert {"gpt-6-luna", "gpt-4o", "local"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert [spec.id for spec in Directory(client, openai=SERVER, default_model="qwen3").available()] == [
        "qwen3",
        "local",
    ]
    assert [spec.id for spec in Directory(client, openai=NONE).available()] == ["local"]


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("", "https://api.openai.com/v1/chat/completions"),
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1/chat/completions"),
        ("http://[::1]:8000", "http://[::1]:8000/chat/completions"),
        ("https://x.example/openai/?api-version=1", "https://x.example/openai/chat/completions?api-version=1"),
    ],
)
def test_addresses(base_url: str, expected: str):
    assert OpenAIAccess(api_key="k", base_url=base_url).url("chat/completions") == expected


@pytest.mark.parametrize(
    "base_url", ["localhost:11434", "ftp://x/v1", "/v1", "https://me:secret@x.example/v1", "http://[::"]
)
def test_an_address_that_cannot_be_asked_stops_the_start(base_url: str):
    with pytest.raises(OperatorError, match="OPENAI_BASE_URL"):
        OpenAIAccess(api_key="k", base_url=base_url).url("models")


def test_a_server_without_a_key_is_sent_none():
    assert "Authorization" not in SERVER.headers()
    assert KEY.headers()["Authorization"] == "Bearer sk-x"


def test_the_catalogue_holds_together():
    ids = [spec.id for spec in catalogue.OPENAI_MODELS]
    assert len(ids) == len(set(ids))
    assert catalogue.OPENAI_DEFAULT in ids
    for spec in (*catalogue.OPENAI_MODELS, catalogue.LOCAL_MODEL):
        assert 0 < spec.max_output < spec.context_window
    for name in ids:
        quirks = catalogue.openai_quirks(name, vendor=True)
        assert not (quirks.tools_at_none or quirks.sampling_at_none) or "none" in quirks.efforts


def test_a_snapshot_has_its_familys_limits():
    assert catalogue.openai_spec("gpt-4o-2024-08-06", "gpt-4o-2024-08-06").max_output == 16_384
