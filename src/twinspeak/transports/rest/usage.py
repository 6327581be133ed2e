"""How much one has used, and how close one is to a cap (reference: admin 4.7, 4.8, product 4)."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from twinspeak.domain.caps import NO_CAP, Cap, CapKind
from twinspeak.domain.clock import iso
from twinspeak.domain.errors import ValidationFailed
from twinspeak.domain.periods import Grain
from twinspeak.services.usage import Bucket, Gauges
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import Administrator, SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Usage", failures=(401, 403))
ADMIN_ROUTER = router("Administration: usage", failures=(401, 403))

Id = Annotated[str, Query(max_length=100, examples=[ID])]
_GRAINS = {"daily": Grain.DAY, "weekly": Grain.WEEK, "monthly": Grain.MONTH}
MICRO = 1_000_000


class GaugeShape(Shape):
    """One cap. `used` is paid or held by questions that run."""

    used: int
    cap: int | None = Field(description="null: none.")


class DayGauge(GaugeShape):
    """The cap of any 24 hours."""

    reset_at: str | None = Field(
        serialization_alias="resetAt", description="When something, or more, can be spent again."
    )


class CapStatus(Shape):
    """How you stand in your active twin, by the same rule that stops a question."""

    success: Literal[True] = True
    caps_enabled: bool = Field(serialization_alias="capsEnabled")
    blocked: bool = Field(description="Nothing more can be spent now; what costs nothing is still answered.")
    cap_type: CapKind | None = Field(serialization_alias="capType", description="What blocks.")
    source: Literal["account", "institution", "none"]
    per_institution: GaugeShape = Field(serialization_alias="perInstitution")
    h24: DayGauge
    account_wide: GaugeShape = Field(serialization_alias="accountWide")


class BucketShape(Shape):
    """What was used in a period of UTC."""

    start: str = Field(examples=["2026-11-21T00:00:00.000Z"])
    credits: int
    messages: int
    usage: int = Field(description="Tokens in and out.")
    cost: float = Field(description="What the vendors ask for it, where their prices are known.")


class Sums(Shape):
    """All of it."""

    credits: int
    messages: int
    usage: int
    cost: float


class UsageHistory(Shape):
    """Every period, also those in which nothing was used."""

    success: Literal[True] = True
    instance_id: str | None = Field(serialization_alias="instanceId", examples=[ID])
    window: int
    interval: str
    scope: str
    currency: Literal["usd"] = "usd"
    buckets: list[BucketShape]
    totals: Sums


class LimitShape(GaugeShape):
    """One cap of somebody's."""

    over: bool


class MemberLimits(Shape):
    """How a member of a twin stands."""

    success: Literal[True] = True
    caps_enabled: bool = Field(serialization_alias="capsEnabled")
    account_wide: LimitShape = Field(serialization_alias="accountWide")
    per_institution: LimitShape = Field(serialization_alias="perInstitution")
    h24: LimitShape
    buckets: list[BucketShape]
    totals: Sums


class AccountLimits(Shape):
    """How many of an account's people are at a cap."""

    success: Literal[True] = True
    caps_enabled: bool = Field(serialization_alias="capsEnabled")
    users: int
    users_at_cap: int = Field(serialization_alias="usersAtCap")
    memberships: int
    memberships_at_cap: int = Field(serialization_alias="membershipsAtCap")


@ROUTER.get("/api/user/credit-cap-status", summary="See how close you are to a cap")
async def credit_cap_status(request: Request, caller: SignedIn) -> CapStatus:
    """Return your gauges in the active twin. Where you pay for yourself, nothing is capped."""
    found = await services_of(request).usage.gauges(caller)
    blocking = found.standing.blocking
    day = _cap(found, CapKind.H24)
    return CapStatus(
        caps_enabled=found.enabled,
        blocked=blocking is not None,
        cap_type=None if blocking is None else blocking.kind,
        source=_source(found),
        per_institution=_gauge(_cap(found, CapKind.INSTITUTION)),
        h24=DayGauge(
            **_gauge(day).model_dump(),
            reset_at=None if day is None or day.reset_at is None else iso(day.reset_at),
        ),
        account_wide=_gauge(_cap(found, CapKind.ACCOUNT)),
    )


@ROUTER.get("/api/user/usage-history", summary="See what was used", responses=failures(404, 422))
async def usage_history(
    request: Request,
    response: Response,
    caller: SignedIn,
    window: Annotated[Literal["7", "14", "30", "90", "180"], Query()] = "30",
    interval: Annotated[Literal["daily", "weekly", "monthly"], Query()] = "daily",
    scope: Annotated[Literal["own", "all"], Query(description="`all` takes `histories.list`.")] = "own",
) -> UsageHistory:
    """Return what you used in the active twin, or outside of any; or what all members of it used."""
    found = await services_of(request).usage.history(
        caller, _GRAINS[interval], days=int(window), everybody=scope == "all"
    )
    response.headers[wire.CACHE_STATE] = "MISS"
    return UsageHistory(
        instance_id=caller.institution_id,
        window=int(window),
        interval=interval,
        scope=scope,
        buckets=[bucket(one) for one in found],
        totals=sums(found),
    )


def _member(
    user_id: Annotated[Id, Query(alias="userId")] = "",
    institution_id: Annotated[Id, Query(alias="institutionId")] = "",
    instance_id: Annotated[Id, Query(alias="instanceId", description="The same, by another name.")] = "",
) -> tuple[str, str]:
    """Return who, and in which twin; empty where it is not said."""
    return user_id, institution_id or instance_id


@ADMIN_ROUTER.get("/api/admin/usage-limits", summary="See who is at a cap", responses=failures(400, 404, 422))
async def usage_limits(
    request: Request,
    caller: Administrator,
    member: Annotated[tuple[str, str], Depends(_member)],
    account_id: Annotated[Id, Query(alias="accountId")] = "",
    window: Annotated[int, Query(ge=1, le=366, description="Days.")] = 30,
) -> MemberLimits | AccountLimits:
    """Return how one member of a twin stands, or how many of an account's people are at a cap."""
    usage, (user_id, twin) = services_of(request).usage, member
    if account_id and not user_id:
        counted = await usage.at_limit(caller, account_id)
        return AccountLimits(
            caps_enabled=counted.enabled,
            users=counted.users,
            users_at_cap=counted.users_at_cap,
            memberships=counted.memberships,
            memberships_at_cap=counted.memberships_at_cap,
        )
    if not user_id or not twin:
        missing = "institutionId" if user_id else "userId"
        raise ValidationFailed(param=missing, details={"fields": [{"field": missing, "message": "is required"}]})
    found = await usage.limits(caller, user_id, twin, days=window)
    return MemberLimits(
        caps_enabled=found.gauges.enabled,
        account_wide=_limit(_cap(found.gauges, CapKind.ACCOUNT)),
        per_institution=_limit(_cap(found.gauges, CapKind.INSTITUTION)),
        h24=_limit(_cap(found.gauges, CapKind.H24)),
        buckets=[bucket(one) for one in found.buckets],
        totals=sums(found.buckets),
    )


def bucket(one: Bucket) -> BucketShape:
    """Render a period."""
    return BucketShape(start=iso(one.start), **_values(one.values))


def sums(found: list[Bucket]) -> Sums:
    """Render all periods together."""
    names = ("credits", "turns", "usage", "cost")
    return Sums(**_values({name: sum(one.values[name] for one in found) for name in names}))


def _values(values: dict[str, int]) -> dict[str, Any]:
    return {
        "credits": values["credits"],
        "messages": values["turns"],
        "usage": values["usage"],
        "cost": values["cost"] / MICRO,
    }


def _cap(found: Gauges, kind: CapKind) -> Cap | None:
    return found.gauges.get(kind)


def _source(found: Gauges) -> Literal["account", "institution", "none"]:
    source = found.standing.source
    return "account" if source == "account" else "institution" if source == "institution" else "none"


def _gauge(cap: Cap | None) -> GaugeShape:
    if cap is None:
        return GaugeShape(used=0, cap=None)
    return GaugeShape(used=cap.used, cap=None if cap.limit == NO_CAP else cap.limit)


def _limit(cap: Cap | None) -> LimitShape:
    return LimitShape(**_gauge(cap).model_dump(), over=cap is not None and cap.limit != NO_CAP and cap.left == 0)
