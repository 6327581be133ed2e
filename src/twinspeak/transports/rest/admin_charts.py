"""Charts and extracts of what was used, for administrators (reference: admin 7.3)."""

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from fastapi import Body, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.errors import ValidationFailed
from twinspeak.domain.periods import DAY_MS, Grain
from twinspeak.services.usage import Chosen, PeopleFilter, PersonRow, Span, span_of
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.files import FILE, as_file
from twinspeak.transports.rest.lists import AccountType, Ids, Text
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: charts", failures=(401, 403))

Reads = Annotated[Caller, administers(Verb.HISTORIES_LIST)]
Dimension = Literal["count", "credits", "usage", "cached", "price"]
MICRO = 1_000_000
MOST_PERIODS = 1_000
MOST_HOURS_OF_PEOPLE = 168
DAYS = 30
_MEASURES = {"count": "turns", "credits": "credits", "usage": "usage", "cached": "cached", "price": "cost"}
_BY = {"institution": "place", "model": "model", wire.ROLE_ASSISTANT: wire.ROLE_ASSISTANT}


class _Chart(BaseModel):
    """Which twins; null and "" mean absent, unknown keys are tolerated."""

    institution: Ids = Field(default="", description="Twins' ids, parted by blanks.")
    account: Ids = Field(default="", description="Accounts' ids, parted by blanks.")

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        return {name: member for name, member in given.items() if member not in (None, "")}

    @property
    def chosen(self) -> Chosen:
        """Return the twins as the service takes them."""
        return Chosen(institution=self.institution, account=self.account)


class Timeline(_Chart):
    """What, in periods of which length, and how far back."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"granularity": "day", "range": -30, "dimension": "credits"}}
    )

    granularity: Grain
    range: int = Field(ge=-MOST_PERIODS, le=MOST_PERIODS, description="Periods before the present one.")
    dimension: Dimension
    aggregate: bool = Field(default=False, description="All twins together.")
    topsearch: int = Field(default=5, ge=-1, le=5_000, description="The twins with the most; -1 all.")


class Totals(_Chart):
    """What, and how far back."""

    model_config = ConfigDict(json_schema_extra={"example": {"range": -30, "dimension": "credits"}})

    granularity: Grain = Grain.DAY
    range: int = Field(ge=-MOST_PERIODS, le=MOST_PERIODS)
    dimension: Dimension


class UniqueUsers(_Chart):
    """In periods of which length, and how far back."""

    model_config = ConfigDict(json_schema_extra={"example": {"granularity": "week", "range": -8}})

    granularity: Grain
    range: int = Field(ge=-MOST_PERIODS, le=MOST_PERIODS)
    aggregate: bool = False
    topsearch: int = Field(default=5, ge=-1, le=5_000)


class Distribution(_Chart):
    """Between which days, both included; the last month without."""

    model_config = ConfigDict(json_schema_extra={"example": {"daterange": ["2026-11-01", "2026-11-30"]}})

    daterange: Annotated[list[date], Field(min_length=2, max_length=2)] | None = None


class Days(BaseModel):
    """Between which days, both included."""

    start: date
    end: date


class PersonStats(_Chart):
    """In periods of which length, how far back or between which days, and of whom."""

    model_config = ConfigDict(json_schema_extra={"example": {"granularity": "day", "range": -7}})

    granularity: Literal[Grain.DAY, Grain.WEEK, Grain.MONTH]
    range: int | None = Field(default=None, ge=-MOST_PERIODS, le=MOST_PERIODS)
    daterange: Days | None = Field(default=None, description="Beats `range`.")
    account_type: AccountType | None = Field(default=None, alias="accountType")
    usersearch: Text = Field(default="", description="In addresses and names.")

    @property
    def people(self) -> PeopleFilter:
        """Return whom."""
        return PeopleFilter(search=self.usersearch, account_type=self.account_type or "")

    def span(self) -> tuple[Span, int | None]:
        """Return from when to when, and the days that were taken because nothing was said."""
        grain = Grain(self.granularity)
        if self.daterange is not None:
            return between(self.daterange.start, self.daterange.end), None
        if self.range is not None:
            return span_of(grain, self.range), None
        return span_of(Grain.DAY, DAYS - 1), DAYS


class ExportedStats(PersonStats):
    """The same, as a file."""

    format: Literal["csv", "json"] = "csv"


class By(StrEnum):
    """What is told apart."""

    USER = wire.ROLE_USER
    INSTITUTION = "institution"
    MODEL = "model"
    ASSISTANT = wire.ROLE_ASSISTANT
    TOOL = "tool"


class Spending(_Chart):
    """By what, and between which days, both included; the last month without."""

    model_config = ConfigDict(json_schema_extra={"example": {"by": "model"}})

    by: By
    daterange: Annotated[list[date], Field(min_length=2, max_length=2)] | None = None


class Charted(BaseModel):
    """Values by period and twin, or by twin; only where there is anything."""

    success: Literal[True] = True
    data: list[dict[str, Any]]


class PersonShape(Shape):
    """What somebody used in a twin in a period."""

    user: str = Field(examples=[ID])
    email: str
    fname: str
    lname: str
    institution: str = Field(examples=[ID])
    instance_name: str = Field(serialization_alias="instanceName")
    ai_name: str = Field(serialization_alias="aiName")
    period_start: str = Field(serialization_alias="periodStart")
    query_count: int = Field(serialization_alias="queryCount")
    credits_used: int = Field(serialization_alias="creditsUsed")
    usage: int
    cost: float
    lifetime_used: int = Field(serialization_alias="lifetimeUsed", description="Of the twin's credits, ever.")
    cap_limit: int | None = Field(serialization_alias="capLimit", description="Of that; null: none.")
    cap_used_pct: float | None = Field(serialization_alias="capUsedPct")
    at_cap: bool = Field(serialization_alias="atCap")


class StatsSummary(Shape):
    """Over the whole span, also where rows were cut off."""

    mean_by_user: float = Field(serialization_alias="meanCreditsPerUserAccount")
    mean_by_membership: float = Field(serialization_alias="meanCreditsPerUserInstitution")
    at_cap: int = Field(serialization_alias="usersAtCap")


class Stats(Shape):
    """A row for each person, twin and period with anything in it."""

    success: Literal[True] = True
    granularity: str
    truncated: bool
    default_days: int | None = Field(serialization_alias="defaultDaysApplied")
    window_start: str = Field(serialization_alias="windowStart")
    window_end: str = Field(serialization_alias="windowEnd")
    data: list[PersonShape]
    summary: StatsSummary


@ROUTER.post("/api/admin/histories/charts/timeline", summary="Chart what was used", responses=failures(400))
async def chart_timeline(request: Request, caller: Reads, wanted: Timeline) -> Charted:
    """Return one value by period and twin."""
    found = await services_of(request).usage.timeline(
        caller,
        wanted.chosen,
        wanted.granularity,
        span_of(wanted.granularity, wanted.range),
        together=wanted.aggregate,
    )
    measure = _MEASURES[wanted.dimension]
    points = [(start, twin, values[measure]) for (start, twin), values in found.items()]
    shown = _top(points, wanted.topsearch)
    return Charted(
        data=[_point(wanted.granularity, start, twin, _named(wanted.dimension, value)) for start, twin, value in shown]
    )


@ROUTER.post("/api/admin/histories/charts/totals", summary="Chart totals of twins", responses=failures(400))
async def chart_totals(request: Request, caller: Reads, wanted: Totals) -> Charted:
    """Return one value by twin, the largest first."""
    span = span_of(wanted.granularity, wanted.range)
    found = await services_of(request).usage.totals(caller, wanted.chosen, wanted.granularity, span, "place")
    measure = _MEASURES[wanted.dimension]
    ranked = sorted(found, key=lambda one: -one[1][measure])
    return Charted(
        data=[{"_id": {"institution": twin}, **_named(wanted.dimension, values[measure])} for twin, values in ranked]
    )


@ROUTER.post("/api/admin/histories/charts/users", summary="Chart unique users", responses=failures(400))
async def chart_users(request: Request, caller: Reads, wanted: UniqueUsers) -> Charted:
    """Return how many people asked anything, by period and twin; by hours of a week at most."""
    if wanted.granularity is Grain.HOUR and abs(wanted.range) > MOST_HOURS_OF_PEOPLE:
        message = f"must be at most {MOST_HOURS_OF_PEOPLE} hours"
        raise ValidationFailed(param="range", details={"fields": [{"field": "range", "message": message}]})
    found = await services_of(request).usage.unique_people(
        caller,
        wanted.chosen,
        wanted.granularity,
        span_of(wanted.granularity, wanted.range),
        together=wanted.aggregate,
    )
    shown = _top(list(found), wanted.topsearch)
    return Charted(data=[_point(wanted.granularity, start, twin, {"count": people}) for start, twin, people in shown])


@ROUTER.post("/api/admin/histories/charts/model-distribution", summary="Chart models", responses=failures(400))
async def chart_models(
    request: Request, caller: Reads, wanted: Annotated[Distribution | None, Body()] = None
) -> Charted:
    """Return how many questions each model answered, the most asked first."""
    wanted = wanted or Distribution()
    found = await services_of(request).usage.totals(caller, wanted.chosen, Grain.DAY, _days(wanted.daterange), "model")
    ranked = sorted(found, key=lambda one: -one[1]["turns"])
    return Charted(data=[{"name": name, "count": values["turns"]} for name, values in ranked])


@ROUTER.post("/api/admin/histories/charts/user-stats", summary="Extract what people used", responses=failures(400))
async def user_stats(request: Request, caller: Reads, wanted: PersonStats) -> Stats:
    """Return who used how much by period: at most 5,000 rows. What was forgotten since was used all the same."""
    span, default = wanted.span()
    found = await services_of(request).usage.extract(
        caller, wanted.chosen, Grain(wanted.granularity), span, wanted.people
    )
    return Stats(
        granularity=wanted.granularity,
        truncated=found.truncated,
        default_days=default,
        window_start=iso(span.since),
        window_end=iso(span.until),
        data=[_person(row) for row in found.rows],
        summary=StatsSummary(
            mean_by_user=found.mean_by_user, mean_by_membership=found.mean_by_membership, at_cap=found.at_cap
        ),
    )


@ROUTER.post(
    "/api/admin/histories/charts/user-stats/export",
    summary="Export what people used",
    response_class=StreamingResponse,
    responses={**FILE, **failures(400)},
)
async def export_user_stats(request: Request, caller: Reads, wanted: ExportedStats) -> StreamingResponse:
    """Return the whole extract, however many rows, as CSV or JSON."""
    span, _ = wanted.span()
    pages = services_of(request).usage.extracted(caller, wanted.chosen, Grain(wanted.granularity), span, wanted.people)
    first = await anext(pages, None)

    async def rows() -> AsyncGenerator[list[dict[str, Any]]]:
        page = first
        while page is not None:
            yield [_person(row).model_dump(by_alias=True) for row in page]
            page = await anext(pages, None)

    names = [info.serialization_alias or name for name, info in PersonShape.model_fields.items()]
    return as_file(rows(), names, wanted.format, "usage")


@ROUTER.post("/api/admin/usage", summary="Break down what was used", responses=failures(400))
async def break_down(request: Request, caller: Reads, wanted: Spending) -> Charted:
    """Return what was used by person, twin, model, assistant or tool, the dearest first."""
    usage, span = services_of(request).usage, _days(wanted.daterange)
    if wanted.by is By.TOOL:
        called = await usage.tools(caller, wanted.chosen, span)
        ranked = sorted(called, key=lambda one: -one[1]["calls"])
        return Charted(data=[{"tool": name, **values} for name, values in ranked])
    if wanted.by is By.USER:
        found = await usage.by_person(caller, wanted.chosen, span)
    else:
        found = await usage.totals(caller, wanted.chosen, Grain.DAY, span, _BY[wanted.by])
    ranked = sorted(found, key=lambda one: -one[1]["credits"])
    return Charted(data=[{wanted.by: name or None, **_used(values)} for name, values in ranked])


def between(start: date, end: date) -> Span:
    """Return two days of UTC and all between. Raises ValidationFailed when the second is before the first."""
    first, last = (int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000 for day in (start, end))
    if last < first:
        message = "must not end before it begins"
        raise ValidationFailed(param="daterange", details={"fields": [{"field": "daterange", "message": message}]})
    return Span(first, last + DAY_MS)


def _days(given: list[date] | None) -> Span:
    if given is None:
        today = now_ms() // DAY_MS * DAY_MS
        return Span(today - (DAYS - 1) * DAY_MS, today + DAY_MS)
    return between(given[0], given[1])


def _top(points: list[tuple[int, str, int]], most: int) -> list[tuple[int, str, int]]:
    """Return the points of the twins with the most, in order of time."""
    sums: dict[str, int] = {}
    for _, twin, value in points:
        sums[twin] = sums.get(twin, 0) + value
    ranked = sorted(sums, key=lambda twin: (-sums[twin], twin))
    kept = set(ranked if most < 0 else ranked[:most])
    return sorted(point for point in points if point[1] in kept)


def _point(grain: Grain, start: int, twin: str, value: dict[str, Any]) -> dict[str, Any]:
    key = {str(grain): iso(start), "institution": twin} if twin else {str(grain): iso(start)}
    return {"_id": key, **value}


def _named(dimension: str, value: int) -> dict[str, float | int]:
    return {dimension: value / MICRO if dimension == "price" else value}


def _used(values: dict[str, int]) -> dict[str, Any]:
    shown: dict[str, Any] = {name: value for name, value in values.items() if name not in ("turns", "cost", "pooled")}
    return {"count": values["turns"], **shown, "creditsPooled": values["pooled"], "cost": values["cost"] / MICRO}


def _person(row: PersonRow) -> PersonShape:
    share = None if row.cap is None else round(100 * row.lifetime / row.cap, 2) if row.cap else 100.0
    return PersonShape(
        user=row.user_id,
        email=row.email,
        fname=row.fname,
        lname=row.lname,
        institution=row.institution_id,
        instance_name=row.institution_name,
        ai_name=row.ai_name,
        period_start=iso(row.start),
        query_count=row.queries,
        credits_used=row.credits,
        usage=row.usage,
        cost=row.cost / MICRO,
        lifetime_used=row.lifetime,
        cap_limit=row.cap,
        cap_used_pct=share,
        at_cap=row.cap is not None and row.lifetime >= row.cap,
    )
