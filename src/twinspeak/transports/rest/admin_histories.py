"""Everybody's conversations, for administrators: search, one record, export, summary (reference: admin 7.1, 7.2)."""

from collections.abc import AsyncGenerator
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.services.admin_histories import SUMMARIES, Cards, OneRecord, RecordFilter
from twinspeak.services.usage import Chosen
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.admin_charts import between
from twinspeak.transports.rest.files import FILE, as_file
from twinspeak.transports.rest.lists import AccountType, Listing, ListOf, Text, page_of
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, RecordShape, Shape

ROUTER = router("Administration: histories", failures=(401, 403))

Reads = Annotated[Caller, administers(Verb.HISTORIES_LIST)]
MICRO = 1_000_000


class HistoriesWanted(Listing):
    """Which records; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"usersearch": "ada", "pageSize": 50}})

    usersearch: Text = Field(default="", description="In addresses and names.")
    user: Annotated[str, StringConstraints(max_length=100)] = Field(default="", description="One person's id.")
    account_type: AccountType | None = Field(default=None, alias="accountType")
    course_name: Annotated[str, StringConstraints(max_length=500)] = Field(
        default="", description="A conversation's whole name."
    )
    model: Text = Field(default="", description="A model's id.")
    assistant: Annotated[str, StringConstraints(max_length=100)] = Field(default="", description="Its id.")
    keyword: Text = Field(default="", description="Words of question or answer, all of which must be there.")
    feedback: bool = Field(default=False, alias="hasFeedback", description="With a thumb or a comment.")
    daterange: Annotated[list[date], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Two days of UTC, both included."
    )

    @property
    def filter(self) -> RecordFilter:
        """Return what the service takes."""
        return RecordFilter(
            span=None if self.daterange is None else between(self.daterange[0], self.daterange[1]),
            people=self.usersearch,
            user_id=self.user.lower(),
            account_type=self.account_type or "",
            course_name=self.course_name,
            model=self.model,
            assistant_id=self.assistant.lower(),
            keyword=self.keyword,
            feedback=self.feedback,
        )

    @property
    def chosen(self) -> Chosen:
        """Return the twins as the service takes them."""
        return Chosen(institution=self.institution, account=self.account)


class HistoriesPage(HistoriesWanted):
    """Which records, and whether a model is to sum them up."""

    summary: bool = Field(default=False, description="The model of the one twin that is named sums them up.")
    summary_instruction: Annotated[str, StringConstraints(max_length=2_000)] = Field(
        default="", alias="summaryInstruction"
    )


class HistoriesExported(HistoriesWanted):
    """Which records, as what; pages do not matter."""

    format: Literal["csv", "json"] = "csv"


class WhoShape(Shape):
    """Who asked."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    email: str
    fname: str
    lname: str
    account_type: str = Field(serialization_alias="accountType")


class WhereShape(Shape):
    """Which twin answered."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    ainame: str
    picture: str


class AdminRecordShape(Shape):
    """A question and its answer, cut short in lists."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    created: str
    state: str
    success: bool
    user: WhoShape | None
    institution: WhereShape | None
    course_id: int
    course_name: str
    model: str = Field(serialization_alias="conversation_model")
    assistant: dict[str, str] | None
    credits: int
    credits_pooled: bool = Field(serialization_alias="creditsPooled", description="The twin paid.")
    price: float = Field(description="What the vendor asks for it in dollars, where its prices are known.")
    usage: int
    cached: int
    completion: int
    latency_ms: int | None = Field(serialization_alias="latencyMs")
    query_duration_ms: int
    input: str
    inputs: list[str]
    input_length: int = Field(serialization_alias="inputLength")
    output: str
    outputs: list[str]
    output_length: int = Field(serialization_alias="outputLength")
    api: str
    thumb_up_down: str = Field(serialization_alias="thumbUpDown")
    favorite: bool
    forgotten: bool = Field(description="The person has cleared it away.")
    moderated: bool


class SummaryShape(Shape):
    """What a model made of the newest records that match."""

    text: str
    model: str
    records: int = Field(description="How many it was shown.")


class Histories(ListOf):
    """Newest first. With `atLeast` there are more than `total`."""

    data: list[AdminRecordShape]
    at_least: bool = Field(default=False, serialization_alias="atLeast")
    summary: SummaryShape | None = None


class WholeRecordShape(AdminRecordShape):
    """A record whole, and as its owner sees it."""

    rag_duration_ms: int | None = Field(serialization_alias="ragDurationMs")
    n: int = Field(default=1, description="How many answers there are: one.")
    url: str = Field(default="", description="Empty, as the next two: for clients that read it.")
    code: str = ""
    code_language: str = ""
    record: RecordShape


class OneHistory(Shape):
    """One record."""

    success: Literal[True] = True
    data: WholeRecordShape


@ROUTER.post("/api/admin/histories", summary="Search everybody's history", responses=failures(400, 429, 502, 503, 504))
async def search_histories(
    request: Request, caller: Reads, wanted: Annotated[HistoriesPage | None, Body()] = None
) -> Histories:
    """Return records of the twins where you hold `histories.list`. That you looked is noted."""
    wanted = wanted or HistoriesPage()
    looking, by = services_of(request).admin_histories, actor_of(request, caller)
    found = await looking.search(by, wanted.chosen, wanted.filter, wanted.wanted)
    rows = [_shown(row, found.cards) for row in found.rows]
    page = page_of(Histories, rows, found.total, wanted)
    page.at_least = found.more_than
    if wanted.summary:
        rate.take(request, caller.user_id, SUMMARIES)
        made = await looking.summary(by, wanted.chosen, wanted.filter, wanted.summary_instruction)
        page.summary = SummaryShape(text=made.text, model=made.model, records=made.records)
    return page


@ROUTER.post(
    "/api/admin/histories/export",
    summary="Export everybody's history",
    response_class=StreamingResponse,
    responses={**FILE, **failures(400)},
)
async def export_histories(
    request: Request, caller: Reads, wanted: Annotated[HistoriesExported | None, Body()] = None
) -> StreamingResponse:
    """Return all records that match, whole, as CSV or JSON, however many. That you took them is noted."""
    wanted = wanted or HistoriesExported()
    pages = services_of(request).admin_histories.export(actor_of(request, caller), wanted.chosen, wanted.filter)
    first = await anext(pages, None)

    async def rows() -> AsyncGenerator[list[dict[str, Any]]]:
        page = first
        while page is not None:
            yield [flat(row, page[1]) for row in page[0]]
            page = await anext(pages, None)

    return as_file(rows(), list(COLUMNS), wanted.format, "histories")


@ROUTER.get("/api/admin/history/{historyId}", summary="Read a record", responses=failures(400, 404))
async def read_history(
    request: Request,
    caller: Reads,
    history_id: Annotated[str, Path(alias="historyId", description="24 hexadecimal digits.", examples=[ID])],
) -> OneHistory:
    """Return a record of one of your twins, whole. That you read it is noted."""
    found = await services_of(request).admin_histories.get(actor_of(request, caller), history_id)
    return OneHistory(data=_whole(found))


COLUMNS = (
    "_id", "created", "institution", "institutionName", wire.ROLE_USER, "email", "course_id", "course_name",
    "conversation_model", wire.ROLE_ASSISTANT, "state", "success", "input", "output", "usage", "cached", "completion",
    "credits", "creditsPooled", "price", "latencyMs", "query_duration_ms", "thumbUpDown", "forgotten", "moderated",
)  # fmt: skip
"""Of an export, in this order."""


def flat(row: Any, cards: Cards) -> dict[str, Any]:
    """Return a record as a line of an export."""
    user, twin = cards.users.get(row.user_id), cards.institutions.get(row.institution_id)
    values = (
        row.id, iso(row.created), row.institution_id, twin.name if twin else "", row.user_id,
        user.email if user else "", row.course_id, row.course_name, row.model, row.assistant_id, row.state, row.success,
        row.question, row.output, row.usage_input + row.usage_completion, row.usage_cached, row.usage_completion,
        row.credits, row.payer_wallet_id in cards.pools, row.cost / MICRO, row.first_token_ms, row.duration_ms,
        row.thumb, row.forgotten, row.moderated,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _shown(row: Any, cards: Cards) -> AdminRecordShape:
    return AdminRecordShape(**_fields(row, cards))


def _whole(found: OneRecord) -> WholeRecordShape:
    record = found.record
    fields = _fields(found.row, found.cards)
    fields |= {"input": record.question, "inputs": [record.question], "output": record.output}
    fields["outputs"] = [record.output]
    searched = [tool.duration_ms for tool in record.tools if tool.automatic]
    return WholeRecordShape(
        **fields,
        rag_duration_ms=sum(searched) if searched else None,
        record=render.record(record, whole_texts=True, whole_tools=True),
    )


def _fields(row: Any, cards: Cards) -> dict[str, Any]:
    user, twin = cards.users.get(row.user_id), cards.institutions.get(row.institution_id)
    return {
        "id": row.id,
        "created": iso(row.created),
        "state": row.state,
        "success": row.success,
        wire.ROLE_USER: None
        if user is None
        else WhoShape(id=user.id, email=user.email, fname=user.fname, lname=user.lname, account_type=user.account_type),
        "institution": None
        if twin is None
        else WhereShape(id=twin.id, name=twin.name, ainame=twin.ai_name, picture=twin.picture),
        "course_id": row.course_id,
        "course_name": row.course_name,
        "model": row.model,
        wire.ROLE_ASSISTANT: (
            {"_id": row.assistant_id, "name": cards.assistants.get(row.assistant_id, "")} if row.assistant_id else None
        ),
        "credits": row.credits,
        "credits_pooled": row.payer_wallet_id in cards.pools,
        "price": row.cost / MICRO,
        "usage": row.usage_input + row.usage_completion,
        "cached": row.usage_cached,
        "completion": row.usage_completion,
        "latency_ms": row.first_token_ms,
        "query_duration_ms": row.duration_ms,
        "input": row.question,
        "inputs": [row.question],
        "input_length": row.question_length,
        "output": row.output,
        "outputs": [row.output],
        "output_length": row.output_length,
        "api": render.APIS.get(row.face, ""),
        "thumb_up_down": row.thumb,
        "favorite": row.favorite,
        "forgotten": row.forgotten,
        "moderated": row.moderated,
    }
