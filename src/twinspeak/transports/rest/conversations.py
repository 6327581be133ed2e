"""One's own conversations: list, rename, clear, favourites, thumbs, feedback (reference 4.3 to 4.6, 8.2)."""

from typing import Annotated, Literal

from fastapi import Body, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.clock import iso
from twinspeak.domain.errors import CallerError
from twinspeak.services.conversations import Feedback, Listed, Marks
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.places import LARGEST, Address, InPlace
from twinspeak.transports.rest.shapes import ID, AssistantShape, Shape

ROUTER = router("Conversations", failures=(401, 403))

NAME_MAX = 500
COMMENT_MAX = 10_000

Name = Annotated[str, StringConstraints(max_length=NAME_MAX)]


def _thumb(value: str | None) -> str | None:
    if value not in (None, "", *wire.THUMBS):
        raise ValueError(f"must be {', '.join(wire.THUMBS)} or empty")
    return value


Thumb = Annotated[str | None, AfterValidator(_thumb)]


class Which(InPlace):
    """Whose conversations."""

    api: Address = Field(default="", description="A part of the address that was asked, whatever the letter case.")


class CourseShape(Shape):
    """One conversation."""

    course_id: int = Field(examples=[1750532703472])
    course_name: str
    history_count: int
    last_dialogue_date: str = Field(examples=["2026-11-21T09:30:00.000Z"])
    assistant: AssistantShape | None = Field(description="The one used last, to go on with.")


class Courses(BaseModel):
    """The latest first."""

    success: Literal[True] = True
    data: list[CourseShape]


class Target(InPlace):
    """A whole conversation by `course_id` (and `institution`), or one record by `id`: never both."""

    course_id: int | None = Field(default=None, ge=0, le=LARGEST, description="0: those of no conversation.")
    id: str | None = Field(default=None, examples=[ID], description="One record, wherever it is.")
    all_institutions: bool = Field(
        default=False, validation_alias="allInstitutions", description="Not here: one place at a time."
    )

    def check(self) -> None:
        """Raise CallerError when it contradicts itself, or says too much to be undone."""
        if self.all_institutions:
            raise CallerError("This changes one place at a time: leave allInstitutions out.", param="allInstitutions")
        if (self.course_id is None) == (self.id is None):
            raise CallerError("Name either a conversation (course_id) or one dialogue (id).", param="course_id")


class Renaming(Target):
    """`course_id` and `course_name`, or `id` and `favorite_name`."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"course_id": 1750532703472, "course_name": "Plans for spring"}}
    )

    course_name: Name | None = None
    favorite_name: Name | None = Field(default=None, description="Left out, null or empty: no name any more.")


class Clearing(Target):
    """What to forget."""

    model_config = ConfigDict(json_schema_extra={"example": {"course_id": 1750532703472}})


class Changed(BaseModel):
    """It is done."""

    success: Literal[True] = True
    message: str = Field(examples=["History updated!"])
    count: int = Field(description="How many dialogues it concerned.")


class Marking(BaseModel):
    """What to set; the rest stays as it is."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"favorite": True, "thumbUpDown": "up"}})

    favorite: bool | None = None
    favorite_name: Name | None = Field(default=None, description="Empty: no name any more.")
    thumb: Thumb = Field(default=None, alias="thumbUpDown", description="`up`, `down`, or empty for neither.")


class Said(BaseModel):
    """A comment, a thumb, or both; on one dialogue or at large."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"text": "Well said.", "thumbUpDown": "up"}})

    text: Annotated[str, StringConstraints(max_length=COMMENT_MAX, strip_whitespace=True)] = ""
    thumb: Thumb = Field(default=None, alias="thumbUpDown", description="`up`, `down`, or empty for neither.")
    history_id: str | None = Field(default=None, alias="historyId", examples=[ID])


class Kept(BaseModel):
    """It is kept."""

    success: Literal[True] = True
    id: str = Field(examples=[ID])
    message: str = Field(examples=["Thank you for your feedback!"])


@ROUTER.post("/api/user/courses", summary="List your conversations")
async def list_courses(request: Request, caller: SignedIn, which: Annotated[Which | None, Body()] = None) -> Courses:
    """Return conversations by their last dialogue, the latest first. The unassigned bucket is none.

    With `api`, only dialogues that came in at such an address are looked at.
    """
    which = which or Which()
    found = await services_of(request).conversations.list(caller, which.place, faces=render.faces_at(which.api))
    return Courses(data=[_course(one) for one in found])


@ROUTER.post("/api/user/renameHistory", summary="Rename a conversation or a favourite", responses=failures(400, 404))
async def rename_history(request: Request, caller: SignedIn, renaming: Renaming) -> Changed:
    """Rename all dialogues of a conversation, or one favourite. A number that is no conversation of yours changes 0."""
    renaming.check()
    conversations = services_of(request).conversations
    if renaming.id is not None:
        await conversations.mark(caller, renaming.id, Marks(favorite_name=renaming.favorite_name or ""))
        return Changed(message="Favorite renamed!", count=1)
    name = (renaming.course_name or "").strip()
    if renaming.course_id is None or not name:
        raise CallerError("A conversation needs a name.", param="course_name")
    count = await conversations.rename(caller, renaming.place, renaming.course_id, name)
    return Changed(message="Conversation renamed!", count=count)


@ROUTER.post("/api/user/clearHistory", summary="Forget a conversation or a dialogue", responses=failures(400, 404))
async def clear_history(request: Request, caller: SignedIn, clearing: Clearing) -> Changed:
    """Forget them: they are not shown or remembered any more. Favourites of a conversation stay, outside of it."""
    clearing.check()
    conversations = services_of(request).conversations
    count = 1
    if clearing.id is not None:
        await conversations.forget(caller, clearing.id)
    elif clearing.course_id is not None:
        count = await conversations.clear(caller, clearing.place, clearing.course_id)
    return Changed(message="History updated!", count=count)


@ROUTER.put("/api/user/history/{id}", summary="Mark a dialogue", responses=failures(400, 404))
async def mark_history(
    request: Request, caller: SignedIn, history_id: Annotated[str, Path(alias="id")], marking: Marking
) -> Changed:
    """Make a dialogue a favourite or not, name it, say what the answer was worth. A lost favourite loses its name."""
    marks = Marks(favorite=marking.favorite, favorite_name=marking.favorite_name, thumb=marking.thumb)
    if marks == Marks():
        raise CallerError("Say what to set: favorite, favorite_name or thumbUpDown.")
    await services_of(request).conversations.mark(caller, history_id, marks)
    return Changed(message="History updated!", count=1)


@ROUTER.post("/api/user/feedback", summary="Say what you think", responses=failures(400, 404))
async def give_feedback(request: Request, caller: SignedIn, said: Said) -> Kept:
    """Tell the twin's administrators; of a dialogue, its question and model are kept with it."""
    if not said.text and not said.thumb:
        raise CallerError("Say something, or give a thumb.", param="text")
    feedback = Feedback(comment=said.text, thumb=said.thumb or "", history_id=said.history_id or None)
    kept = await services_of(request).conversations.say(caller, feedback)
    return Kept(id=kept, message="Thank you for your feedback!")


def _course(one: Listed) -> CourseShape:
    return CourseShape(
        course_id=one.course_id,
        course_name=one.course_name,
        history_count=one.count,
        last_dialogue_date=iso(one.last),
        assistant=render.assistant(one.assistant) if one.assistant else None,
    )
