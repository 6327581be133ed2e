"""POST /api/user/histories: one's own dialogues, again (reference 4.1, 4.2)."""

from typing import Annotated, Any, Literal, cast

from fastapi import Body, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.services.histories import HistoryFilter
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.shapes import ID, RecordShape

ROUTER = router("History", failures=(401, 403))

_LARGEST = 2**53 - 1
"""What a JavaScript client can count to."""


class Wanted(BaseModel):
    """Which dialogues. Everything may be left out; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"course_id": 1750532703472, "limit": 20}})

    limit: int = Field(default=100, ge=1, le=1_000)
    institution: str | None = Field(default=None, description="A twin's id. Absent: the active twin's, or personal.")
    course_id: int | None = Field(default=None, ge=0, le=_LARGEST, description="0: those of no conversation.")
    before: int | None = Field(default=None, ge=0, le=_LARGEST, description="Created before, epoch milliseconds.")
    after: int | None = Field(default=None, ge=0, le=_LARGEST, description="Created after, epoch milliseconds.")
    history_id: str | None = Field(
        default=None, validation_alias="historyId", examples=[ID], description="This one, with its texts whole."
    )
    search: Annotated[str, StringConstraints(max_length=500)] = Field(
        default="", description="In question or answer, whatever the letter case."
    )
    tools: bool = Field(default=False, description="Tool responses whole.")

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        members = cast("dict[str, Any]", value)
        return {name: member for name, member in members.items() if member not in (None, "")}

    def filter(self) -> HistoryFilter:
        """Return what the service takes."""
        return HistoryFilter(
            limit=self.limit,
            course_id=self.course_id,
            before=self.before,
            after=self.after,
            history_id=self.history_id,
            search=self.search,
        )


class Records(BaseModel):
    """Oldest first."""

    success: Literal[True] = True
    data: list[RecordShape]


@ROUTER.post("/api/user/histories", summary="List your dialogues", responses=failures(404))
async def list_histories(
    request: Request, caller: SignedIn, wanted: Annotated[Wanted | None, Body()] = None
) -> Records:
    """Return the newest dialogues that match, oldest first.

    Lists trim questions and answers to 200 characters and tool responses to 80; a record asked for by its id is whole.
    """
    wanted = wanted or Wanted()
    found = await services_of(request).histories.list(caller, wanted.filter(), institution_id=wanted.institution)
    whole = wanted.history_id is not None
    shown = [render.record(turn, whole_texts=whole, whole_tools=whole or wanted.tools) for turn in found]
    return Records(data=shown)
