"""What is remembered: one's own and what is shared, and the administrators' view (reference content 8.1)."""

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.domain.errors import CallerError
from twinspeak.domain.memory import DESCRIPTION_CHARS, NAME_CHARS, NAMESPACE_CHARS, VALUE_CHARS, Memory
from twinspeak.transports.http.routes import SignedIn, Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Listing, ListOf, page_of
from twinspeak.transports.rest.places import InPlace
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Memory", failures=(401, 403))
ADMIN_ROUTER = router("Administration: memory", failures=(401, 403))

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS)]
Value = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=VALUE_CHARS)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=DESCRIPTION_CHARS)]
Namespace = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAMESPACE_CHARS)]
MemoryId = Annotated[str, Path(alias="id", description="The memory's id.", examples=[ID])]


class Where(InPlace):
    """Whose memories."""


class NewMemory(InPlace):
    """What to remember, and where."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "language", "value": "Prefers French."}})

    name: Name
    value: Value
    description: Description = ""
    namespace: Namespace = "general"
    shared: bool = Field(default=False, description="Every member of the twin reads it, with your name.")


class MemoryChange(BaseModel):
    """What to change; a name never changes."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"value": "Prefers German.", "version": 1}})

    value: Value | None = None
    description: Description | None = None
    shared: bool | None = None
    version: int | None = Field(default=None, description="The one you saw: 409 if it has changed since.")


class MemoryShape(Shape):
    """One memory, with where it comes from."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    value: str
    description: str
    namespace: str
    scope: str = Field(description="`personal`, `twin` or `shared`.")
    institution: str | None = Field(examples=[ID])
    user: str = Field(description="Whose it is; of what is shared, its author.", examples=[ID])
    author: str = Field(description="The author's name, of what is shared.")
    source: str = Field(description="`user` or `model`.")
    history_id: str | None = Field(serialization_alias="historyId", description="The turn in which a model wrote it.")
    version: int
    created: str
    updated: str


class MemoryList(BaseModel):
    """What you may read there: personal, private to the twin, shared in it."""

    success: Literal[True] = True
    data: list[MemoryShape]


class MemoryPage(ListOf):
    """A page of them, the latest first."""

    data: list[MemoryShape]


class MadeMemory(BaseModel):
    """It is kept."""

    success: Literal[True] = True
    id: str = Field(examples=[ID])
    message: str = Field(examples=["Remembered."])


class ChangedMemory(BaseModel):
    """It is changed."""

    success: Literal[True] = True
    version: int
    message: str = Field(examples=["Memory updated!"])


class Forgotten(BaseModel):
    """It is gone."""

    success: Literal[True] = True
    count: int
    message: str = Field(examples=["Forgotten."])


@ROUTER.post("/api/user/memories", summary="List what is remembered", responses=failures(400))
async def list_memories(
    request: Request, caller: SignedIn, where: Annotated[Where | None, Body()] = None
) -> MemoryList:
    """Return what is remembered of you in a place, and what its members share."""
    found = await services_of(request).memories.list(caller, (where or Where()).place)
    return MemoryList(data=[_shown(one) for one in found])


@ROUTER.post("/api/user/memory", summary="Remember something", responses=failures(400, 409))
async def add_memory(request: Request, caller: SignedIn, new: NewMemory) -> MadeMemory:
    """Remember it: outside of any twin for all of them, inside of one there alone; shared, for all its members."""
    fields: dict[str, Any] = new.model_dump(exclude={"institution"})
    made = await services_of(request).memories.add(caller, new.place, fields)
    return MadeMemory(id=made, message="Remembered.")


@ROUTER.put("/api/user/memory/{id}", summary="Change a memory", responses=failures(400, 404, 409))
async def change_memory(request: Request, caller: SignedIn, memory_id: MemoryId, change: MemoryChange) -> ChangedMemory:
    """Change one of yours."""
    changes = change.model_dump(exclude={"version"}, exclude_none=True)
    if not changes:
        raise CallerError("Say what to change: value, description or shared.")
    version = await services_of(request).memories.change(caller, memory_id, changes, version=change.version)
    return ChangedMemory(version=version, message="Memory updated!")


@ROUTER.delete("/api/user/memory/personal", summary="Forget all that is personal")
async def forget_personal(request: Request, caller: SignedIn) -> Forgotten:
    """Delete everything that is remembered of you outside of twins."""
    return Forgotten(count=await services_of(request).memories.delete_personal(caller), message="Forgotten.")


@ROUTER.delete("/api/user/memory/{id}", summary="Forget a memory", responses=failures(400, 404))
async def forget_memory(request: Request, caller: SignedIn, memory_id: MemoryId) -> Forgotten:
    """Delete one of yours."""
    await services_of(request).memories.delete(caller, memory_id)
    return Forgotten(count=1, message="Forgotten.")


@ADMIN_ROUTER.post("/api/admin/memories", summary="List memories of twins", responses=failures(400))
async def administered_memories(
    request: Request,
    caller: Annotated[Caller, administers(Verb.USERS_LIST)],
    wanted: Annotated[Listing | None, Body()] = None,
) -> MemoryPage:
    """Return what is remembered in your twins; what is personal is no twin's."""
    wanted = wanted or Listing()
    page = await services_of(request).memories.administered(
        caller, institution=wanted.institution, limit=wanted.page_size, offset=wanted.wanted.skip
    )
    return page_of(MemoryPage, [_shown(one) for one in page.rows], page.total, wanted)


@ADMIN_ROUTER.delete("/api/admin/memory/{id}", summary="Delete a memory", responses=failures(400, 404))
async def remove_memory(
    request: Request, caller: Annotated[Caller, administers(Verb.USERS_EDIT)], memory_id: MemoryId
) -> Forgotten:
    """Delete a memory of one of your twins."""
    await services_of(request).memories.remove(caller, memory_id)
    return Forgotten(count=1, message="Forgotten.")


def _shown(one: Memory) -> MemoryShape:
    return MemoryShape(
        id=one.id,
        name=one.name,
        value=one.value,
        description=one.description,
        namespace=one.namespace,
        scope=str(one.scope),
        institution=one.institution_id,
        user=one.user_id,
        author=one.author,
        source=one.source,
        history_id=one.turn_id,
        version=one.version,
        created=iso(one.created),
        updated=iso(one.updated),
    )
