"""Requests for the tests of providers."""

from typing import Any

from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest, Passage, Sampling, ToolSpec, UserMessage
from twinspeak.providers.catalogue.openai import openai_spec

SEARCH = ToolSpec(
    name="search_uploads",
    description="Search the vault.",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}},
    icon="search",
    label="Search",
)


def request(model: ModelSpec | str = "gpt-4o-mini", **fields: Any) -> ModelRequest:
    """One question to `model`, with whatever else `fields` say."""
    spec = openai_spec(model, model) if isinstance(model, str) else model
    question = fields.pop("question", "When does the library open?")
    defaults: dict[str, Any] = {
        "turn_id": "0" * 24,
        "model": spec,
        "system": "You are Ada.",
        "messages": (UserMessage(text=question),),
        "tools": (),
        "output_limit": 500,
        "effort": "",
        "sampling": Sampling(),
        "question": question,
    }
    return ModelRequest(**{**defaults, **fields})


def passage(number: int, text: str, *, document: str = "Handbook", section: str = "") -> Passage:
    """A passage of a document of its own."""
    return Passage(
        number=number,
        chunk_id=f"c{number}",
        document_id=f"d{number}",
        document_name=document,
        text=text,
        section=section,
    )
