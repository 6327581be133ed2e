"""Assistants over REST: list, make, read, change, delete, like, copy; and the administration's list (content 2)."""

from typing import Annotated, Any, Literal, cast

from fastapi import Body, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.domain.assistant import ARGUMENTS, AssistantTool
from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import InvalidId
from twinspeak.domain.ids import parse_id
from twinspeak.services.assistants import KINDS, AdminFilter, Seen, Wish
from twinspeak.services.places import CURRENT
from twinspeak.transports.http.routes import SignedIn, Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.assistant_shapes import (
    AdminAssistant,
    LeanAssistant,
    ListedAssistant,
    WholeAssistant,
    shown,
)
from twinspeak.transports.rest.shapes import ID

ROUTER = router("Assistants", failures=(401, 403))
ADMIN_ROUTER = router("Administration: assistants", failures=(401, 403))

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Line = Annotated[str, StringConstraints(max_length=2_000)]
Long = Annotated[str, StringConstraints(max_length=100_000)]
Slot = Annotated[str, StringConstraints(max_length=10_000)]
Address = Annotated[str, StringConstraints(max_length=2_048, pattern=r"^(/|https?://|data:image/|$)")]
Model = Annotated[str, StringConstraints(max_length=200)]
AssistantId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]


def _kind(value: str) -> str:
    if value and value not in KINDS:
        raise ValueError(f"must be one of {', '.join(KINDS)}")
    return value


Kind = Annotated[str, AfterValidator(_kind)]

_SAME = (
    "name", "status", "description", "instructions", "picture_url", "admin_only", "remember_history", "editable_others",
)  # fmt: skip
"""Fields that the wire and `Assistant` call alike."""


class ChosenTool(BaseModel):
    """A tool of mode `selected`."""

    tool: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    instructions_override: Annotated[str, StringConstraints(max_length=4_000)] = Field(
        default="", alias="instructionsOverride", description="What the model is told of it in place of its own words."
    )


class _Fields(BaseModel):
    """What an assistant is; what is left out or null stays as it is."""

    status: Literal["active", "unpublished", "inactive", "deleted"] | None = None
    description: Line | None = None
    instructions: Long | None = None
    picture_url: Address | None = None
    admin_only: bool | None = None
    remember_history: Annotated[int, Field(ge=0, le=15)] | None = Field(
        default=None, description="Exchanges that go back into a prompt; null: as many as the person wants."
    )
    editable_others: bool | None = None
    institution_shared: bool | None = None
    account_shared: bool | None = None
    rag_enabled: bool | None = Field(default=None, alias="ragEnabled", description="False: no search of the vault.")
    bypass_system_context: bool | None = Field(
        default=None, alias="bypassSystemContext", description="Nothing but its instructions goes before the question."
    )
    conversation_model: Model | None = Field(default=None, alias="conversationModel", description="Empty: inherit.")
    sts_conversation_model: Model | None = Field(default=None, alias="stsConversationModel")
    rag_collections: Annotated[list[str], Field(max_length=100)] | None = Field(default=None, alias="ragCollections")
    tool_mode: Literal["all", "selected"] | None = Field(default=None, alias="assistantToolMode")
    tools: Annotated[list[ChosenTool], Field(max_length=100)] | None = Field(default=None, alias="assistantTools")
    argument_1: Slot | None = None
    argument_2: Slot | None = None
    argument_3: Slot | None = None
    argument_4: Slot | None = None
    argument_5: Slot | None = None

    def wish(self, before: tuple[str | None, ...] = (None,) * ARGUMENTS) -> Wish:
        """Return what the service takes; `before` are the free slots as they are. Raises InvalidId."""
        given = self.model_fields_set
        fields: dict[str, Any] = {name: value for name in _SAME if (value := getattr(self, name)) is not None}
        if "remember_history" in given:
            fields["remember_history"] = self.remember_history
        for name in ("bypass_system_context", "conversation_model", "sts_conversation_model", "tool_mode"):
            if (value := getattr(self, name)) is not None:
                fields[name] = value
        if self.rag_enabled is not None:
            fields["rag_ignore"] = not self.rag_enabled
        if self.rag_collections is not None:
            fields["rag_collections"] = tuple(_id(one) for one in self.rag_collections)
        if self.tools is not None:
            fields["tools"] = tuple(AssistantTool(one.tool, one.instructions_override) for one in self.tools)
        slots = [getattr(self, _slot(number)) for number in range(ARGUMENTS)]
        if any(_slot(number) in given for number in range(ARGUMENTS)):
            kept = (slots[number] if _slot(number) in given else before[number] for number in range(ARGUMENTS))
            fields["arguments"] = tuple(kept)
        return Wish(fields=fields, institution_shared=self.institution_shared, account_shared=self.account_shared)


class New(_Fields):
    """A new assistant; only the name is needed."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "Explainer", "instructions": "Explain step by step."}}
    )

    name: Name
    user: str | None = Field(default=None, description="You; empty, with an empty institution, for everybody's.")
    institution: str | None = Field(default=None, description="A twin of yours; left out: the active one; empty: none.")


class Change(_Fields):
    """Any of these; what is left out or null stays as it is. Older clients repeat whose it is: it stays theirs."""

    model_config = ConfigDict(json_schema_extra={"example": {"description": "Explains step by step."}})

    name: Name | None = None
    user: str | None = Field(default=None, description="As it is.")
    institution: str | None = Field(default=None, description="As it is.")


class Wanted(BaseModel):
    """Which; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"type": "instance", "name": "tutor"}})

    type: Kind = Field(default="", description="System assistants, your own, the twin's, the account's; left out: all.")
    name: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="", description="In name or description, whatever the letter case; no pattern."
    )
    limit: int = Field(default=1_000, ge=1, le=1_000)

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: member for name, member in cast("dict[str, Any]", value).items() if member not in (None, "")}


class Assistants(BaseModel):
    """Oldest first."""

    success: Literal[True] = True
    data: list[ListedAssistant]


class One(BaseModel):
    """One assistant."""

    success: Literal[True] = True
    data: WholeAssistant


class Made(BaseModel):
    """It is made."""

    success: Literal[True] = True
    id: str = Field(examples=[ID])
    message: str = Field(examples=["Assistant created!"])


class Done(BaseModel):
    """It is done."""

    success: Literal[True] = True
    message: str = Field(examples=["Assistant updated!"])


class Liking(BaseModel):
    """Whether you like it."""

    liked: bool = True


class Liked(BaseModel):
    """How many do."""

    success: Literal[True] = True
    liked_count: int


class Copying(BaseModel):
    """What the copy is to be called."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""


class AdminWanted(BaseModel):
    """Which page of which twins' assistants."""

    minimum: bool = Field(default=False, description="Ids, names and statuses alone.")
    institution: str = Field(default="", description="Twins' ids, parted by blanks.")
    account: str = Field(default="", description="Accounts' ids, parted by blanks.")
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    page: int = Field(default=1, ge=1, le=1_000_000)
    page_size: int = Field(default=100, ge=1, le=5_000, alias="pageSize")


class AdminAssistants(BaseModel):
    """A page, newest first."""

    success: Literal[True] = True
    data: list[AdminAssistant | LeanAssistant]
    total: int
    has_more: bool = Field(serialization_alias="hasMore")
    page: int
    page_size: int = Field(serialization_alias="pageSize")


@ROUTER.post("/api/user/assistants", summary="List assistants")
async def list_assistants(
    request: Request, caller: SignedIn, wanted: Annotated[Wanted | None, Body()] = None
) -> Assistants:
    """Return the assistants that you may use: system ones, your own, those of the twin, those of its account."""
    wanted = wanted or Wanted()
    found = await services_of(request).assistants.list(caller, kind=wanted.type, text=wanted.name, limit=wanted.limit)
    return Assistants(data=[shown(seen, ListedAssistant) for seen in found])


@ROUTER.post("/api/user/assistant", summary="Make an assistant", responses=failures(400, 409))
async def create_assistant(request: Request, caller: SignedIn, new: New) -> Made:
    """Make one of your own, in the active twin. Administrators may share it, super administrators with everybody."""
    place = CURRENT if new.institution is None else new.institution or None
    made = await services_of(request).assistants.create(caller, new.wish(), place, owner=new.user)
    return Made(id=made, message="Assistant created!")


@ROUTER.get("/api/user/assistant/{id}", summary="Read an assistant", responses=failures(400, 404))
async def read_assistant(request: Request, caller: SignedIn, assistant_id: AssistantId) -> One:
    """Return all of an assistant of yours, or of one that you administer or may edit."""
    seen = await services_of(request).assistants.get(caller, assistant_id)
    slots = seen.listed.assistant.arguments
    return One(data=shown(seen, WholeAssistant, **{_slot(number): slots[number] for number in range(4)}))


@ROUTER.put("/api/user/assistant/{id}", summary="Change an assistant", responses=failures(400, 404, 409))
async def edit_assistant(request: Request, caller: SignedIn, assistant_id: AssistantId, change: Change) -> Done:
    """Change what is sent, share it, publish it (status), or delete it (status `deleted`)."""
    service = services_of(request).assistants
    seen = await service.get(caller, assistant_id)
    wish = change.wish(seen.listed.assistant.arguments)
    await service.edit(caller, assistant_id, wish, whose=(change.user or "", change.institution or ""))
    return Done(message="Assistant updated!")


@ROUTER.delete("/api/user/assistant/{id}", summary="Delete an assistant", responses=failures(400, 404))
async def delete_assistant(request: Request, caller: SignedIn, assistant_id: AssistantId) -> Done:
    """Delete an assistant. For administrators; everybody else sets the status of one of their own."""
    await services_of(request).assistants.delete(caller, assistant_id)
    return Done(message="Assistant Deleted")


@ROUTER.post("/api/user/assistant/{id}/like", summary="Like an assistant", responses=failures(404))
async def like_assistant(
    request: Request, caller: SignedIn, assistant_id: AssistantId, liking: Annotated[Liking | None, Body()] = None
) -> Liked:
    """Like it, or with `liked: false` no more; twice is once."""
    liked = (liking or Liking()).liked
    return Liked(liked_count=await services_of(request).assistants.like(caller, assistant_id, liked=liked))


@ROUTER.post("/api/user/assistant/{id}/clone", summary="Copy an assistant", responses=failures(404))
async def clone_assistant(
    request: Request, caller: SignedIn, assistant_id: AssistantId, copying: Annotated[Copying | None, Body()] = None
) -> Made:
    """Make a copy of your own of an assistant that you may read."""
    made = await services_of(request).assistants.clone(caller, assistant_id, (copying or Copying()).name)
    return Made(id=made, message="Assistant created!")


@ADMIN_ROUTER.post("/api/admin/assistants", summary="List assistants of twins", responses=failures(400))
async def administered_assistants(
    request: Request,
    caller: Annotated[Caller, administers(Verb.ASSISTANTS_LIST)],
    wanted: Annotated[AdminWanted | None, Body()] = None,
) -> AdminAssistants:
    """Return a page of the assistants in the twins that you administer, whoever's; `name` as in your own list."""
    wanted = wanted or AdminWanted()
    chosen = AdminFilter(
        institution=wanted.institution,
        account=wanted.account,
        text=wanted.name,
        page=wanted.page,
        page_size=wanted.page_size,
    )
    found = await services_of(request).assistants.administered(caller, chosen)
    return AdminAssistants(
        data=[_administered(seen, minimum=wanted.minimum) for seen in found.rows],
        total=found.total,
        has_more=wanted.page * wanted.page_size < found.total,
        page=wanted.page,
        page_size=wanted.page_size,
    )


def _administered(seen: Seen, *, minimum: bool) -> AdminAssistant | LeanAssistant:
    assistant = seen.listed.assistant
    if minimum:
        return LeanAssistant(id=assistant.id, name=assistant.name, status=assistant.status)
    return shown(seen, AdminAssistant, history_count=seen.history_count)


def _slot(number: int) -> str:
    return f"argument_{number + 1}"


def _id(value: str) -> str:
    parsed = parse_id(value)
    if parsed is None:
        raise InvalidId(param="ragCollections")
    return parsed
