"""Images and PDFs as each vendor documents them, before the words of the question; and which models read what."""

import json
from typing import Any

import pytest

from tests.providers.requests import request
from tests.schemas import anthropic as anthropic_schema
from tests.schemas import bedrock as bedrock_schema
from twinspeak.domain.attachments import PDF, PNG, Attachment, media_type_of
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import UserMessage
from twinspeak.engine.prompt import message_tokens
from twinspeak.providers import anthropic_request, bedrock_request, gemini_request, openai_request, responses_request
from twinspeak.providers.bedrock_request import BedrockQuirks
from twinspeak.providers.catalogue import LOCAL_MODEL, anthropic, bedrock, gemini, mistral, openai, xai
from twinspeak.providers.claude import ClaudeQuirks
from twinspeak.providers.gemini_request import GeminiQuirks
from twinspeak.providers.openai_request import Quirks

IMAGE = Attachment(PNG, b"\x89PNG\r\n\x1a\nxyz")
PAPER = Attachment(PDF, b"%PDF-1.7 xyz", "plan.pdf")
ASKED = (UserMessage(text="What is it?", attachments=(IMAGE, PAPER)),)
IMAGE_64, PAPER_64 = "iVBORw0KGgp4eXo=", "JVBERi0xLjcgeHl6"
IMAGE_URL, PAPER_URL = f"data:image/png;base64,{IMAGE_64}", f"data:application/pdf;base64,{PAPER_64}"


def test_over_chat_completions():
    content = json.loads(openai_request.encode(request(messages=ASKED), Quirks()))["messages"][-1]["content"]
    assert content == [
        {"type": "image_url", "image_url": {"url": IMAGE_URL}},
        {"type": "file", "file": {"filename": "plan.pdf", "file_data": PAPER_URL}},
        {"type": "text", "text": "What is it?"},
    ]


def test_over_responses():
    content = json.loads(responses_request.encode(request(messages=ASKED), Quirks()))["input"][-1]["content"]
    assert content == [
        {"type": "input_image", "image_url": IMAGE_URL},
        {"type": "input_file", "filename": "plan.pdf", "file_data": PAPER_URL},
        {"type": "input_text", "text": "What is it?"},
    ]


def test_at_anthropic():
    spec = anthropic.spec("claude-haiku-5-5", "claude-haiku-5-5")
    body = anthropic_request.encode(request(spec, messages=ASKED), ClaudeQuirks())
    anthropic_schema.check(body)
    image = {"type": "base64", "media_type": "image/png", "data": IMAGE_64}
    paper = {"type": "base64", "media_type": "application/pdf", "data": PAPER_64}
    assert json.loads(body)["messages"][-1]["content"] == [
        {"type": "image", "source": image},
        {"type": "document", "source": paper, "title": "plan.pdf"},
        {"type": "text", "text": "What is it?"},
    ]


def test_at_gemini():
    body = json.loads(gemini_request.encode(request(messages=ASKED), GeminiQuirks()))
    assert body["contents"][-1]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": IMAGE_64}},
        {"inlineData": {"mimeType": "application/pdf", "data": PAPER_64}},
        {"text": "What is it?"},
    ]


def test_at_bedrock():
    body = bedrock_request.encode(request(messages=ASKED), BedrockQuirks())
    bedrock_schema.check(body)
    assert json.loads(body)["messages"][-1]["content"] == [
        {"image": {"format": "png", "source": {"bytes": IMAGE_64}}},
        {"document": {"format": "pdf", "name": "Document 2", "source": {"bytes": PAPER_64}}},
        {"text": "What is it?"},
    ]


@pytest.mark.parametrize(
    ("spec", "image", "paper"),
    [
        (anthropic.spec("claude-opus-5", "claude-opus-5"), True, True),
        (anthropic.spec("other", "other"), False, False),
        (openai.openai_spec("gpt-4o", "gpt-4o"), True, True),
        (openai.openai_spec("llama", "llama"), True, False),
        (openai.openai_spec("gpt-9", "gpt-9", vendor=True), True, True),
        (gemini.spec("gemini-3.6-flash", "gemini-3.6-flash"), True, True),
        (gemini.spec("gemma-3", "gemma-3"), False, False),
        (xai.spec("grok-4.3", "grok-4.3"), True, False),
        (xai.spec("grok-build-0.1", "grok-build-0.1"), False, False),
        (mistral.spec("mistral-small-latest", "mistral-small-latest"), True, False),
        (mistral.spec("codestral-latest", "codestral-latest"), False, False),
        (bedrock.spec("us.anthropic.claude-opus-5", "us.anthropic.claude-opus-5"), True, True),
        (bedrock.spec("us.amazon.nova-micro-v1:0", "us.amazon.nova-micro-v1:0"), False, False),
        (LOCAL_MODEL, False, False),
    ],
    ids=lambda value: value.id if isinstance(value, ModelSpec) else "",
)
def test_which_model_reads_what(spec: ModelSpec, image: Any, paper: Any):
    assert (spec.takes((IMAGE,)), spec.takes((PAPER,))) == (image, paper)


def test_files_count_into_what_is_held():
    assert message_tokens(ASKED[0]) > message_tokens(UserMessage(text="What is it?")) + 4_000
    large = Attachment(PDF, b"%PDF-" + b"x" * 400_000)
    assert large.tokens > 10 * PAPER.tokens


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF1234WEBP", "image/webp"),
        (b"\n%PDF-1.4", "application/pdf"),
        (b"RIFF1234WAVE", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_a_file_is_what_it_begins_with(data: bytes, kind: str | None):
    assert media_type_of(data) == kind
