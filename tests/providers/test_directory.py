from collections.abc import AsyncIterator

import pytest

from twinspeak.domain.errors import ModelUnavailable, OperatorError
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.access import Access
from twinspeak.providers.catalogue import LOCAL_MODEL, anthropic, openai
from twinspeak.providers.directory import Directory
from twinspeak.providers.local import LocalModel
from twinspeak.providers.openai_chat import OpenAIChat
from twinspeak.providers.routing import Routed
from twinspeak.providers.vendors import ANTHROPIC_SITE, OPENAI_SITE, Keys, configured

KEY = Access(api_key="sk-x")
SERVER = Access(base_url="http://127.0.0.1:11434/v1/")
BOTH = Access(api_key="sk-x", base_url="https://models.example.org/v1")
NONE = Access()


def directory_of(client: TrustedClient, keys: Keys, default_model: str = "") -> Directory:
    return Directory(configured(client, keys), default_model=default_model)


@pytest.fixture
async def client() -> AsyncIterator[TrustedClient]:
    made = TrustedClient.open()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("access", "asked", "expected"),
    [
        (NONE, "", "local"),
        (KEY, "", openai.OPENAI_DEFAULT),
        (SERVER, "", openai.OPENAI_DEFAULT),
        (SERVER, "qwen3:8b", "qwen3:8b"),
        (KEY, "local", "local"),
    ],
)
async def test_the_default(client: TrustedClient, access: Access, asked: str, expected: str):
    directory = directory_of(client, Keys(openai=access), default_model=asked)
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
    directory = directory_of(client, Keys(openai=BOTH))
    spec = directory.spec(model_id)
    assert (spec.id, spec.provider, spec.wire_name) == (model_id, provider, wire_name)
    found = directory.provider(provider)
    assert isinstance(
        found._provider if isinstance(found, Routed) else found, LocalModel if provider == "local" else OpenAIChat
    )
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
async def test_what_nobody_serves_is_unavailable(client: TrustedClient, access: Access, model_id: str):
    directory = directory_of(client, Keys(openai=access))
    with pytest.raises(ModelUnavailable):
        directory.spec(model_id)


async def test_a_provider_that_is_not_configured_is_unavailable(client: TrustedClient):
    with pytest.raises(ModelUnavailable):
        directory_of(client, Keys(openai=NONE)).provider("openai")


async def test_a_default_that_cannot_work_stops_the_start(client: TrustedClient):
    with pytest.raises(OperatorError, match="TWINSPEAK_DEFAULT_MODEL"):
        directory_of(client, Keys(openai=NONE), default_model="gpt-4o")


async def test_what_can_be_chosen(client: TrustedClient):
    ids = [spec.id for spec in directory_of(client, Keys(openai=KEY)).available()]
    assert {"gpt-6-luna", "gpt-4o", "local"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert [spec.id for spec in directory_of(client, Keys(openai=SERVER), default_model="qwen3").available()] == [
        "qwen3",
        "local",
    ]
    assert [spec.id for spec in directory_of(client, Keys(openai=NONE)).available()] == ["local"]


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
    assert Access(api_key="k", base_url=base_url).url(OPENAI_SITE, "chat/completions") == expected


@pytest.mark.parametrize(
    "base_url", ["localhost:11434", "ftp://x/v1", "/v1", "https://me:secret@x.example/v1", "http://[::"]
)
def test_an_address_that_cannot_be_asked_stops_the_start(base_url: str):
    with pytest.raises(OperatorError, match="OPENAI_BASE_URL"):
        Access(api_key="k", base_url=base_url).url(OPENAI_SITE, "models")


CLAUDE = Access(api_key="sk-a")


@pytest.mark.parametrize(
    ("keys", "model_id", "provider", "wire_name"),
    [
        (Keys(openai=KEY, anthropic=CLAUDE), "claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        (Keys(openai=KEY, anthropic=CLAUDE), "anthropic/claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        (Keys(openai=KEY, anthropic=CLAUDE), "anthropic/new-name", "anthropic", "new-name"),
        (Keys(openai=KEY, anthropic=CLAUDE), "gpt-4o", "openai", "gpt-4o"),
        (Keys(openai=BOTH, anthropic=CLAUDE), "claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        (
            Keys(openai=BOTH, anthropic=CLAUDE),
            "openai/anthropic/claude-opus-5-5",
            "openai",
            "anthropic/claude-opus-5-5",
        ),
        (Keys(openai=BOTH), "anthropic/claude-opus-5-5", "openai", "anthropic/claude-opus-5-5"),
    ],
)
async def test_several_vendors(client: TrustedClient, keys: Keys, model_id: str, provider: str, wire_name: str):
    spec = directory_of(client, keys).spec(model_id)
    assert (spec.id, spec.provider, spec.wire_name) == (model_id, provider, wire_name)


@pytest.mark.parametrize("model_id", ["anthropic/claude-opus-5-5", "gemini/x", "bedrock/y"])
async def test_openai_itself_is_not_asked_for_what_names_another_vendor(client: TrustedClient, model_id: str):
    with pytest.raises(ModelUnavailable):
        directory_of(client, Keys(openai=KEY)).spec(model_id)


async def test_the_first_vendor_in_the_order_provides_the_default(client: TrustedClient):
    assert directory_of(client, Keys(anthropic=CLAUDE)).default_id == anthropic.DEFAULT
    assert directory_of(client, Keys(openai=KEY, anthropic=CLAUDE)).default_id == openai.OPENAI_DEFAULT
    ids = [spec.id for spec in directory_of(client, Keys(openai=KEY, anthropic=CLAUDE)).available()]
    assert {anthropic.DEFAULT, openai.OPENAI_DEFAULT, "local"} <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("", "https://api.anthropic.com/v1/messages"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/v1/messages"),
        ("http://127.0.0.1:9/anthropic/v1", "http://127.0.0.1:9/anthropic/v1/messages"),
    ],
)
async def test_addresses_of_messages_servers(client: TrustedClient, base_url: str, expected: str):
    (vendor,) = configured(client, Keys(anthropic=Access(api_key="sk-a", base_url=base_url)))
    assert vendor.provider._endpoint.url == expected  # pyright: ignore[reportAttributeAccessIssue]
    assert vendor.models == (anthropic.MODELS if not base_url else ())


def test_a_messages_address_that_cannot_be_asked_is_named():
    with pytest.raises(OperatorError, match="ANTHROPIC_BASE_URL"):
        Access(base_url="ftp://x").url(ANTHROPIC_SITE, "v1/messages")


def test_the_catalogue_of_claude_holds_together():
    ids = [spec.id for spec in anthropic.MODELS]
    assert len(ids) == len(set(ids))
    assert anthropic.DEFAULT in ids
    for spec in anthropic.MODELS:
        assert 0 < spec.max_output < spec.context_window
        assert anthropic.family(f"global.anthropic.{spec.id}-20260101-v1:0") == spec.id
        assert anthropic.spec("x", f"{spec.id}-20260101").max_output == spec.max_output


def test_the_catalogue_holds_together():
    ids = [spec.id for spec in openai.OPENAI_MODELS]
    assert len(ids) == len(set(ids))
    assert openai.OPENAI_DEFAULT in ids
    for spec in (*openai.OPENAI_MODELS, LOCAL_MODEL):
        assert 0 < spec.max_output < spec.context_window
    for name in ids:
        quirks = openai.openai_quirks(name, vendor=True)
        assert not (quirks.tools_at_none or quirks.sampling_at_none) or "none" in quirks.efforts


def test_a_snapshot_has_its_familys_limits():
    assert openai.openai_spec("gpt-4o-2024-08-06", "gpt-4o-2024-08-06").max_output == 16_384
