"""What a model was sent in a turn, for the administrators of its twin."""

from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, Field

from twinspeak.domain.caller import Caller
from twinspeak.domain.turn import Passage
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: histories", failures=(401, 403))


class FragmentShape(Shape):
    """A named piece of the system text."""

    name: str = Field(examples=["identity"])
    text: str


class PromptShape(Shape):
    """What the first round was sent; the conversation itself is in the records before it."""

    history_id: str = Field(serialization_alias="historyId", examples=[ID])
    model: str
    fragments: list[FragmentShape]
    passages: list[str] = Field(description="Names of the documents whose passages were sent, one for each passage.")
    messages: int = Field(description="Question and conversation, as messages of either role.")
    tokens: int = Field(description="Estimated.")
    compacted: bool = Field(description="Something had to be cut to fit the model's window.")


class PromptSeen(BaseModel):
    """The prompt of one turn."""

    success: Literal[True] = True
    data: PromptShape


@ROUTER.get("/api/admin/history/{id}/prompt", summary="See the prompt of a turn", responses=failures(400, 404))
async def read_prompt(
    request: Request,
    caller: Annotated[Caller, administers(Verb.HISTORIES_LIST)],
    history_id: Annotated[str, Path(alias="id", description="The record's id.", examples=[ID])],
) -> PromptSeen:
    """Return the pieces that the system text was built of, by name, in their order."""
    seen, record = await services_of(request).histories.prompt(actor_of(request, caller), history_id)
    return PromptSeen(
        data=PromptShape(
            history_id=record.id,
            model=record.model,
            fragments=[FragmentShape(name=name, text=text) for name, text in seen.fragments],
            passages=[_named(passage) for passage in record.passages],
            messages=seen.messages,
            tokens=seen.tokens,
            compacted=seen.compacted,
        )
    )


def _named(passage: Passage) -> str:
    return f"[{passage.number}] {'a confidential document' if passage.confidential else passage.document_name}"
