"""Administration of models that twins bring themselves: list, create, read, change, delete, try (admin.md section 8).

`/api/admin/aimodel/{id}` by GET and DELETE, and `/test`, are ours: the reference shows no paths for what an
administrator does there. Keys are never shown: a mask stands for each.
"""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.ai_models import (
    FEATURES,
    IMAGE,
    INPUT_MEDIA,
    LIBRARIES,
    OUTPUT_MEDIA,
    PDFS,
    STREAM,
    TOOLS,
    VISION,
)
from twinspeak.domain.attachments import IMAGES, PDF
from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.domain.credits import MICRO, Price
from twinspeak.services.administered import MASK
from twinspeak.services.ai_models import Changes, Listed, Query
from twinspeak.services.model_rules import EFFORTS, MAX_NAME, MAX_SECRET, MAX_TEXT
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.models import TOKENS, CreditRates, rates
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID

ROUTER = router("Administration: AI models", failures=(401, 403))

Line = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Secret = Annotated[str, StringConstraints(max_length=MAX_SECRET)]
Tokens = Annotated[int, Field(ge=0, le=100_000_000)]
Credits = Annotated[float, Field(ge=0, le=1_000)]
Ids = Annotated[str, StringConstraints(max_length=20_000)]
ModelId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
Lister = Annotated[Caller, administers(Verb.AIMODELS_LIST)]
Adder = Annotated[Caller, administers(Verb.AIMODELS_ADD)]
Editor = Annotated[Caller, administers(Verb.AIMODELS_EDIT)]
Deleter = Annotated[Caller, administers(Verb.AIMODELS_DELETE)]

_RENAMED = {"model_id": "wire_name", "client_library": "library", "default_headers": "headers"}
_NULLS: dict[str, Any] = {
    "max_input_tokens": 0,
    "max_output_tokens": 0,
    "reasoning_effort": "",
    "credits_per_10k_tokens": None,
}
"""What null says in these fields; in every other it leaves the field as it is."""


class Rates(BaseModel):
    """Credits for 10,000 tokens."""

    model_config = ConfigDict(strict=True)

    input: Credits
    cached: Credits
    completion: Credits


class _Fields(BaseModel):
    """What a record is; what is left out stays as it is."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    model_id: Line | None = Field(
        default=None, alias="modelId", description="What the model's server calls it, where that is not its name."
    )
    model_use: Line | None = Field(
        default=None, description="`conversationModel` answers questions, `embeddingsModel` makes vectors of the vault."
    )
    description: Line | None = None
    client_library: Line | None = Field(default=None, description=f"One of {', '.join(LIBRARIES)}.")
    api_url: Line | None = Field(
        default=None,
        description="Base address, https; needed for openai_cli, for others the vendor's own unless given.",
    )
    api_key: Secret | None = Field(
        default=None, description=f"Never shown again. `{MASK}` leaves it as it is; a new address needs it anew."
    )
    default_headers: Annotated[dict[str, Secret], Field(max_length=100)] | None = Field(
        default=None, description=f"Sent with every request; kept as secretly as the key. `{MASK}` leaves a value."
    )
    features: dict[str, bool] | None = Field(default=None, description=f"Any of {', '.join(FEATURES)}.")
    input_media: dict[str, bool] | None = Field(default=None, description=f"Any of {', '.join(INPUT_MEDIA)}.")
    output_media: dict[str, bool] | None = Field(default=None, description=f"Any of {', '.join(OUTPUT_MEDIA)}.")
    max_input_tokens: Tokens | None = Field(default=None, description="0 or null: as is known of the model.")
    max_output_tokens: Tokens | None = Field(default=None, description="0 or null: as is known of the model.")
    reasoning_effort: Line | None = Field(
        default=None, description=f"One of {', '.join(filter(None, EFFORTS))}: where no setting says otherwise."
    )
    extended_context: bool | None = None
    picture_url: Line | None = None
    status: Line | None = Field(default=None, description="`active` or `inactive`.")
    credits_per_10k_tokens: Rates | None = Field(
        default=None,
        alias="creditsPer10kTokens",
        description="Super administrators only. Null: 40 % less than the server's own models cost.",
    )

    def changes(self) -> Changes:
        """Return what was sent as the service takes it."""
        given: dict[str, Any] = {}
        for name in self.model_fields_set & set(_Fields.model_fields) | self.model_fields_set & {"name"}:
            value = getattr(self, name)
            if value is None and name not in _NULLS:
                continue
            value = _NULLS[name] if value is None else value
            given["price" if name == "credits_per_10k_tokens" else _RENAMED.get(name, name)] = value
        if isinstance(price := given.get("price"), Rates):
            given["price"] = Price(**{rate: round(value * MICRO / TOKENS) for rate, value in price})
        return Changes(**given)


class NewModel(_Fields):
    """A model that a twin brings. `openai_cli` needs address and key, `bedrock_cli` neither, every other a key."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"name": "gemini-3.6-flash", "client_library": "google_genai_cli", "api_key": "the key"}
        }
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] = Field(
        description="What settings name it by; unique in its twin. It comes before a server's model of the same name."
    )
    institution: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="The twin; left out: your active one."
    )


class ModelEdit(_Fields):
    """Any of these."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "inactive"}})

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None = None


class ModelFilter(BaseModel):
    """What the list is narrowed by: twins, else accounts, else an administrator's active twin."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"page": 1, "pageSize": 100}})

    institution: Ids | None = Field(default=None, description="Ids, parted by blanks.")
    account: Ids | None = Field(default=None, description="Ids, parted by blanks: all twins of these.")
    minimum: bool | None = Field(default=None, description="Short items, without pages.")
    page: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    page_size: Annotated[int, Field(ge=1, le=5_000)] | None = Field(default=None, alias="pageSize")


class TwinName(BaseModel):
    """Whose model it is."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    ainame: str
    picture: str


class ShortModel(BaseModel):
    """As much as a drop-down needs."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    model_use: str
    status: str


class AdminModel(ShortModel):
    """A record. Where it says nothing itself, limits, features and rates are those known of the model."""

    institution: TwinName
    model_id: str = Field(serialization_alias="modelId")
    description: str
    client_library: str
    api_url: str
    api_key: str = Field(examples=[MASK], description="A mask, or empty where there is none.")
    default_headers: dict[str, str] = Field(examples=[{"x-team": MASK}], description="Names, each with a mask.")
    features: dict[str, bool]
    input_media: dict[str, bool]
    output_media: dict[str, bool]
    max_input_tokens: int
    max_output_tokens: int
    reasoning_effort: str | None
    extended_context: bool
    picture_url: str
    created: str
    credits_per_10k_tokens: CreditRates = Field(serialization_alias="creditsPer10kTokens")


class AdminModels(BaseModel):
    """A page of records, newest first; without `total` and what follows it when `minimum` was asked for."""

    success: Literal[True] = True
    data: list[AdminModel] | list[ShortModel]
    total: int | None = None
    has_more: bool | None = Field(default=None, serialization_alias="hasMore")
    page: int | None = None
    page_size: int | None = Field(default=None, serialization_alias="pageSize")
    message: str = Field(examples=["2 AI models."])


class AdminModelFound(BaseModel):
    """One record."""

    success: Literal[True] = True
    data: AdminModel


class ModelDone(BaseModel):
    """It is done."""

    success: Literal[True] = True
    id: str = Field(examples=[ID])
    message: str = Field(examples=["AI model created!"])


class TryResult(BaseModel):
    """What came of asking the model for a word."""

    ok: bool
    latency_ms: int = Field(serialization_alias="latencyMs")
    code: str = Field(examples=[""], description="Why it did not answer: an error code; empty when it did.")
    message: str = Field(examples=[""], description="For a person.")


class ModelTried(BaseModel):
    """The model was asked, whatever came of it."""

    success: Literal[True] = True
    data: TryResult


@ROUTER.post("/api/admin/aimodels", summary="List AI models")
async def list_ai_models(request: Request, caller: Lister, asked: ModelFilter) -> AdminModels:
    """Return the models that twins brought, where you may list them. The server's own are at `/api/ai/models`."""
    service = services_of(request).models
    query = Query(institution=asked.institution or "", account=asked.account or "")
    if asked.minimum:
        found = await service.search(caller, msgspec.structs.replace(query, page_size=5_000))
        return AdminModels(data=[_short(item) for item in found.items], message=_counted(len(found.items)))
    query = msgspec.structs.replace(query, page=asked.page or 1, page_size=asked.page_size or 100)
    found = await service.search(caller, query)
    return AdminModels(
        data=[_whole(item) for item in found.items],
        total=found.total,
        has_more=found.page * found.page_size < found.total,
        page=found.page,
        page_size=found.page_size,
        message=_counted(found.total),
    )


@ROUTER.post("/api/admin/aimodel", summary="Create an AI model", responses=failures(404, 409))
async def create_ai_model(request: Request, caller: Adder, model: NewModel) -> ModelDone:
    """Add a model with its own key to a twin; assistants and the twin's settings may name it at once."""
    made = await services_of(request).models.create(actor_of(request, caller), model.institution, model.changes())
    return ModelDone(id=made, message="AI model created!")


@ROUTER.get("/api/admin/aimodel/{id}", summary="Read an AI model", responses=failures(400, 404))
async def read_ai_model(request: Request, caller: Lister, model_id: ModelId) -> AdminModelFound:
    """Return one record; its key is not in it."""
    return AdminModelFound(data=_whole(await services_of(request).models.get(caller, model_id)))


@ROUTER.put("/api/admin/aimodel/{id}", summary="Change an AI model", responses=failures(404, 409))
async def update_ai_model(request: Request, caller: Editor, model_id: ModelId, edit: ModelEdit) -> ModelDone:
    """Write the keys that are sent; the whole must make sense afterwards. Questions asked from now on use it."""
    await services_of(request).models.update(actor_of(request, caller), model_id, edit.changes())
    return ModelDone(id=model_id.lower(), message="AI model updated!")


@ROUTER.delete("/api/admin/aimodel/{id}", summary="Delete an AI model", responses=failures(400, 404))
async def delete_ai_model(request: Request, caller: Deleter, model_id: ModelId) -> ModelDone:
    """Delete a record and its key for good. What names it gets the server's model of that name, if there is one."""
    await services_of(request).models.delete(actor_of(request, caller), model_id)
    return ModelDone(id=model_id.lower(), message="AI model deleted!")


@ROUTER.post("/api/admin/aimodel/{id}/test", summary="Try an AI model", responses=failures(404, 409, 429))
async def test_ai_model(request: Request, caller: Editor, model_id: ModelId) -> ModelTried:
    """Ask the model for a word with its own key, to see whether key and address work. Needs no body.

    Costs no credits; its vendor may charge the key's owner for some tokens.
    """
    tried = await services_of(request).models.attempt(caller, model_id)
    return ModelTried(data=TryResult(ok=tried.ok, latency_ms=tried.latency_ms, code=tried.code, message=tried.message))


def _counted(number: int) -> str:
    return "1 AI model." if number == 1 else f"{number} AI models."


def _short(item: Listed) -> ShortModel:
    record = item.record
    return ShortModel(id=record.id, name=record.name, model_use=record.model_use, status=record.status)


def _whole(item: Listed) -> AdminModel:
    record, model, twin = item.record, item.model, item.institution
    sees, pdfs = bool(set(IMAGES) & set(model.reads)), PDF in model.reads
    known = {STREAM: True, TOOLS: model.takes_tools, VISION: sees}
    return AdminModel(
        id=record.id,
        name=record.name,
        model_use=record.model_use,
        status=record.status,
        institution=TwinName(
            id=record.institution_id,
            name=twin.name if twin else "",
            ainame=twin.ai_name if twin else "",
            picture=item.card.picture if item.card else "",
        ),
        model_id=record.asked_as,
        description=record.description,
        client_library=record.library,
        api_url=record.api_url,
        api_key=MASK if record.has_key else "",
        default_headers=dict.fromkeys(record.header_names, MASK),
        features=dict.fromkeys(FEATURES, False) | known | record.features,
        input_media=dict.fromkeys(INPUT_MEDIA, False) | {"text": True, IMAGE: sees, PDFS: pdfs} | record.input_media,
        output_media=dict.fromkeys(OUTPUT_MEDIA, False) | {"text": True} | record.output_media,
        max_input_tokens=model.context_window,
        max_output_tokens=model.max_output,
        reasoning_effort=record.reasoning_effort or None,
        extended_context=record.extended_context,
        picture_url=record.picture_url,
        created=iso(record.created),
        credits_per_10k_tokens=rates(model.price),
    )
