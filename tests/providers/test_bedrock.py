"""What Bedrock is asked, and what lets a request in; whole turns are in test_vendor_turns.py."""

import json
from typing import Any

import pytest

from tests.providers.requests import SEARCH, request
from tests.schemas.bedrock import check
from twinspeak.domain.errors import OperatorError, ProviderFailed
from twinspeak.domain.turn import (
    AssistantMessage,
    ModelRequest,
    Opaque,
    Sampling,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from twinspeak.egress.client import TrustedClient
from twinspeak.providers import bedrock_auth
from twinspeak.providers.access import Access
from twinspeak.providers.bedrock_auth import AwsAccess, BearerSigner, ChainSigner
from twinspeak.providers.bedrock_request import encode
from twinspeak.providers.catalogue import bedrock
from twinspeak.providers.directory import Directory
from twinspeak.providers.vendors import Keys, configured

CLAUDE, NOVA, LLAMA = bedrock.DEFAULT, "us.amazon.nova-lite-v1:0", "us.meta.llama4-scout-17b-instruct-v1:0"


def body_of(asked: ModelRequest) -> dict[str, Any]:
    body = encode(asked, bedrock.quirks(asked.model.wire_name))
    check(body)
    return json.loads(body)


def asked(model: str = CLAUDE, **fields: Any) -> ModelRequest:
    return request(bedrock.spec(model, model), **fields)


def test_a_question():
    assert body_of(asked()) == {
        "messages": [{"role": "user", "content": [{"text": "When does the library open?"}]}],
        "inferenceConfig": {"maxTokens": 500},
        "system": [{"text": "You are Ada."}],
    }


def test_a_tool_round_goes_back_in_its_own_order():
    call = ToolCall(call_id="t1", name="search_uploads", arguments={"query": "ä"})
    broken = ToolCall(call_id="t2", name="search_uploads", arguments=None, raw="{")
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    values = [thought, {"text": "Look."}, {"toolUse": 1}, {"toolUse": 0}]
    foreign = Opaque("anthropic", {"type": "text", "text": "no"})
    said = AssistantMessage(
        text="Look.", tool_calls=(call, broken), state=(foreign, *(Opaque("bedrock", value) for value in values))
    )
    results = (
        ToolMessage(call_id="t1", name="search_uploads", text="ten"),
        ToolMessage(call_id="t2", name="search_uploads", text=" "),
    )
    sent = body_of(asked(messages=(UserMessage(text="?"), said, *results), tools=(SEARCH,)))["messages"]
    use = {"name": "search_uploads"}
    assert sent[1]["content"] == [
        thought,
        {"text": "Look."},
        {"toolUse": {**use, "toolUseId": "t2", "input": {}}},
        {"toolUse": {**use, "toolUseId": "t1", "input": {"query": "ä"}}},
    ]
    assert [block.get("toolResult", {}).get("content") for block in sent[2]["content"]] == [
        [{"text": "ten"}],
        [{"text": "(nothing)"}],
        None,
    ]
    assert sent[2]["content"][-1] == {"cachePoint": {"type": "default"}}


def test_roles_alternate_and_begin_with_the_user():
    said = AssistantMessage(text="a")
    sent = body_of(asked(messages=(said, said, UserMessage(text="1"), UserMessage(text="2"))))["messages"]
    assert [(message["role"], len(message["content"])) for message in sent] == [
        ("user", 1),
        ("assistant", 2),
        ("user", 2),
    ]


@pytest.mark.parametrize(("model", "caches"), [(CLAUDE, True), (NOVA, True), (LLAMA, False)])
def test_cache_points_where_they_are_known(model: str, caches: bool):  # noqa: FBT001 - a parameter of the test
    assert ("cachePoint" in json.dumps(body_of(asked(model, tools=(SEARCH,))))) is caches
    assert "cachePoint" not in json.dumps(body_of(asked(model)))


@pytest.mark.parametrize(
    ("model", "effort", "fields"),
    [
        (CLAUDE, "", None),
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 2_048}}),
        ("eu.anthropic.claude-opus-5", "none", {"thinking": {"type": "disabled"}}),
        (
            "anthropic.claude-fable-5-1",
            "max",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
        ),
        (NOVA, "high", None),
        ("us.amazon.nova-2-lite-v1:0", "max", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        ("us.amazon.nova-2-lite-v1:0", "none", None),
    ],
)
def test_efforts(model: str, effort: str, fields: dict[str, Any] | None):
    assert body_of(asked(model, effort=effort, output_limit=10_000)).get("additionalModelRequestFields") == fields


def test_sampling():
    sampling = Sampling(max_tokens=100, temperature=1.5, stop=("END", "\n", "a", "b", "c", "d"))
    sent = body_of(asked(NOVA, sampling=sampling))["inferenceConfig"]
    assert sent == {"maxTokens": 100, "temperature": 1.0, "stopSequences": ["END", "a", "b", "c"]}
    assert "temperature" not in body_of(asked("anthropic.claude-opus-5", sampling=sampling))["inferenceConfig"]


@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        (CLAUDE, True),
        (NOVA, True),
        ("anthropic.claude-opus-5", True),
        ("openai.gpt-oss-120b-1:0", True),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5", True),
        ("claude-opus-5", False),
        ("gpt-4o", False),
        ("mistral-large-latest", False),
        ("qwen2.5:7b", False),
    ],
)
def test_names(name: str, claimed: bool):  # noqa: FBT001 - a parameter of the test
    assert bedrock.claims(name) is claimed
    assert bedrock.spec(name, name).max_output < bedrock.spec(name, name).context_window


async def test_an_api_key_needs_no_signature():
    signed = await BearerSigner("bedrock-key")("http://x", b"")
    assert signed["Authorization"] == "Bearer bedrock-key"
    assert signed["Accept-Encoding"] == "identity"


async def test_no_credentials_are_told_without_a_word_of_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ProviderFailed, match="no AWS credentials"):
        await ChainSigner("eu-central-1")("http://127.0.0.1/model/x/converse-stream", b"{}")


async def test_switching_it_on(monkeypatch: pytest.MonkeyPatch):
    client = TrustedClient.open()
    try:
        region = AwsAccess(region="eu-central-1", chain=True)
        assert region.base == "https://bedrock-runtime.eu-central-1.amazonaws.com"
        assert AwsAccess(region="cn-north-1").base.endswith(".amazonaws.com.cn")
        assert not AwsAccess(region="eu-central-1").configured
        directory = Directory(configured(client, Keys(bedrock=region)))
        assert directory.default_id == bedrock.DEFAULT
        assert directory.spec("bedrock/any.thing").wire_name == "any.thing"
        both = Keys(anthropic=Access(api_key="k"), bedrock=region)
        assert directory_provider(client, both, "us.anthropic.claude-sonnet-5") == "bedrock"
        assert directory_provider(client, both, "claude-sonnet-5") == "anthropic"
        monkeypatch.setattr(bedrock_auth, "find_spec", lambda _: None)
        assert not region.configured
        assert AwsAccess(bearer="k", region="x").configured
        with pytest.raises(OperatorError, match="AWS_REGION"):
            _ = AwsAccess(bearer="k").base
        with pytest.raises(OperatorError, match=r"twinspeak\[bedrock\]"):
            configured(client, Keys(bedrock=AwsAccess(region="x", endpoint="http://127.0.0.1")))
        with pytest.raises(OperatorError, match="AWS_ENDPOINT_URL_BEDROCK_RUNTIME"):
            _ = AwsAccess(endpoint="ftp://x").base
    finally:
        await client.close()


def directory_provider(client: TrustedClient, keys: Keys, model_id: str) -> str:
    return Directory(configured(client, keys)).spec(model_id).provider
