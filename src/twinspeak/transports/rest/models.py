"""GET /api/ai/models: what the caller may use. The list is one that OpenAI's clients read with `models.list()`."""

from typing import Literal

from fastapi import Request
from pydantic import BaseModel, Field

from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.transports.http.routes import SignedIn, router, services_of

ROUTER = router("Models", failures=(401, 403))

TOKENS = 10_000
"""What rates are shown for."""


class CreditRates(BaseModel):
    """Credits for 10,000 tokens."""

    input: float
    cached: float = Field(description="For input that the provider had in its cache.")
    completion: float


class Model(BaseModel):
    """A model that this server can call."""

    id: str = Field(examples=["local"], description="What a twin's or an assistant's settings name it by.")
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="Always 0; OpenAI's clients expect the field.")
    owned_by: str = Field(examples=["local"], description="The provider.")
    own: bool = Field(description="Whether the twin brought it, with a key of its own.")
    label: str = Field(examples=["Local (built in)"])
    default: bool = Field(description="Whether it is the server's own choice: the end of every cascade.")
    context_window: int = Field(serialization_alias="contextWindow", description="Tokens.")
    max_output: int = Field(serialization_alias="maxOutput", description="Tokens.")
    tools: bool
    thinking: bool
    reads: list[str] = Field(examples=[["image/png", "application/pdf"]], description="Media types of `attachments`.")
    credits_per_10k_tokens: CreditRates = Field(serialization_alias="creditsPer10kTokens")


class ModelList(BaseModel):
    """The twin's own models, and every model of every configured provider."""

    success: Literal[True] = True
    object: Literal["list"] = "list"
    data: list[Model]


@ROUTER.get("/api/ai/models", summary="List the models you may use")
async def list_models(request: Request, caller: SignedIn) -> ModelList:
    """Return what your active twin can be set to: models of its own first, the server's default marked."""
    models = services_of(request).models
    return ModelList(data=[_shown(spec, models.default_id) for spec in await models.usable(caller)])


def _shown(spec: ModelSpec, default_id: str) -> Model:
    return Model(
        id=spec.id,
        owned_by=spec.provider,
        own=bool(spec.record),
        label=spec.label,
        default=spec.id == default_id,
        context_window=spec.context_window,
        max_output=spec.max_output,
        tools=spec.takes_tools,
        thinking=spec.thinks,
        reads=list(spec.reads),
        credits_per_10k_tokens=rates(spec.price),
    )


def rates(price: Price) -> CreditRates:
    """Return rates as they are shown; they are kept in micro-credits a token."""
    scale = TOKENS / 1_000_000
    return CreditRates(input=price.input * scale, cached=price.cached * scale, completion=price.completion * scale)
