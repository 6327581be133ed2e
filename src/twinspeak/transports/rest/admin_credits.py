"""Credits, as administrators book them (reference: admin 3.5, 4.3 to 4.6)."""

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.administration import AccountRow, Transfer, TwinRow
from twinspeak.domain.clock import iso
from twinspeak.services.credits import Booked, Order
from twinspeak.transports import idempotency
from twinspeak.transports.http.routes import AccountManager, SignedIn, SuperAdmin, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Listing, ListOf, Message, page_of
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: credits", failures=(401, 403))
OWN_ROUTER = router("Institution", failures=(401, 403))

MOST = 1_000_000_000
Id = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


def _not_0(sent: int) -> int:
    if not sent:
        raise ValueError("must not be 0")
    return sent


Signed = Annotated[int, Field(ge=-MOST, le=MOST, description="Not 0; negative takes away."), AfterValidator(_not_0)]
_ONCE: dict[str, Any] = {"parameters": [idempotency.PARAMETER]}


class Adjusting(BaseModel):
    """How many credits, and why."""

    model_config = ConfigDict(json_schema_extra={"example": {"credits": 100, "note": "Invoice 17"}})

    credits: Signed
    note: Note


class AdjustingTwin(Adjusting):
    """How many credits, and why; whether the account above is left aside."""

    model_config = ConfigDict(json_schema_extra={"example": {"credits": 100, "note": "Invoice 17"}})

    skip_parent_debit: bool = Field(
        default=False, validation_alias="skipParentDebit", description="True: the account gives and gets nothing."
    )


class Transferring(BaseModel):
    """How many credits to which twin of the account."""

    model_config = ConfigDict(json_schema_extra={"example": {"institutionId": ID, "credits": 100}})

    institution_id: Annotated[str, StringConstraints(max_length=100)] = Field(validation_alias="institutionId")
    credits: Signed
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""


class Pulling(BaseModel):
    """How many credits; without a number a thousand, or as many as there are."""

    model_config = ConfigDict(json_schema_extra={"example": {"credits": 500}})

    credits: int | None = Field(default=None, ge=1, le=MOST)


class Refunding(BaseModel):
    """Why."""

    model_config = ConfigDict(json_schema_extra={"example": {"note": "The answer was broken off."}})

    note: Note


class Refunded(Message):
    """It is given back."""

    credits: int


class TransferShape(Shape):
    """What was booked."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    institution: str | None = Field(examples=[ID])
    account: str | None = Field(examples=[ID], description="null: the system gave or took.")
    user: str | None = Field(examples=[ID], description="Who did it; null: it was done by itself.")
    credits: int = Field(description="As the twin sees it, or the account where there is no twin.")
    status: Literal["active"] = "active"
    created: str
    transfer_mode: int = Field(serialization_alias="transferMode", description="1 by somebody, 2 by itself.")
    note: str


class Side(Shape):
    """How one of the two stands now."""

    id: str = Field(examples=[ID])
    credits: int


class TwinSide(Side):
    """How the twin stands now."""

    credits_total: int = Field(serialization_alias="creditsTotal")
    credits_usage_pct: float = Field(serialization_alias="creditsUsagePct")


class Sides(Shape):
    """Both, and what was booked."""

    institution: TwinSide | None = None
    account: Side | None = None
    transfer: TransferShape


class Done(BaseModel):
    """It is booked."""

    success: Literal[True] = True
    data: Sides
    message: str = Field(examples=["Account Transfer recorded!"])


class Transfers(ListOf):
    """Newest first."""

    data: list[TransferShape]


@ROUTER.post(
    "/api/admin/institution/{id}/credits",
    summary="Adjust a twin's credits",
    responses=failures(402, 404, 409),
    openapi_extra=_ONCE,
)
async def adjust_institution(request: Request, caller: SuperAdmin, institution_id: Id, wanted: AdjustingTwin) -> Done:
    """Give a twin credits out of its account, or take some back into it.

    A twin without an account, and any with `skipParentDebit`, gets them from nowhere.
    """
    order = _order(request, wanted.credits, wanted.note)
    done = await services_of(request).credits.adjust_twin(
        actor_of(request, caller), institution_id, order, alone=wanted.skip_parent_debit
    )
    return _done(done, "Institution credits adjusted!")


@ROUTER.post(
    "/api/admin/account/{id}/credits",
    summary="Adjust an account's credits",
    responses=failures(402, 404, 409),
    openapi_extra=_ONCE,
)
async def adjust_account(request: Request, caller: SuperAdmin, account_id: Id, wanted: Adjusting) -> Done:
    """Give an account credits, or take some back."""
    order = _order(request, wanted.credits, wanted.note)
    done = await services_of(request).credits.adjust_account(actor_of(request, caller), account_id, order)
    return _done(done, "Account credits adjusted!")


@ROUTER.put(
    "/api/admin/accountInstitution/{id}",
    summary="Transfer credits",
    responses=failures(402, 404, 409),
    openapi_extra=_ONCE,
)
async def transfer_credits(request: Request, caller: AccountManager, account_id: Id, wanted: Transferring) -> Done:
    """Move credits from an account that you manage to one of its twins, or back with a negative number."""
    order = _order(request, wanted.credits, wanted.note)
    done = await services_of(request).credits.transfer(
        actor_of(request, caller), account_id, wanted.institution_id, order
    )
    return _done(done, "Account Transfer recorded!")


@ROUTER.post("/api/admin/accountTransfers", summary="List transfers", responses=failures(400))
async def list_transfers(
    request: Request, caller: AccountManager, wanted: Annotated[Listing | None, Body()] = None
) -> Transfers:
    """Return what was booked on the accounts that you manage and on their twins."""
    wanted = wanted or Listing()
    rows, total = await services_of(request).credits.transfers(
        caller, institution=wanted.institution, account=wanted.account, page=wanted.wanted
    )
    return page_of(Transfers, [_transfer(row) for row in rows], total, wanted)


@ROUTER.post("/api/admin/history/{id}/refund", summary="Give a question's credits back", responses=failures(404, 409))
async def refund(request: Request, caller: SuperAdmin, history_id: Id, wanted: Refunding) -> Refunded:
    """Give back what one question was charged, to whoever paid; once."""
    done = await services_of(request).credits.refund(actor_of(request, caller), history_id, wanted.note)
    return Refunded(credits=done, message="The credits are given back.")


@OWN_ROUTER.post(
    "/api/user/userInstitutionCredit/{id}",
    summary="Pull credits from the account",
    responses=failures(402, 404, 409),
    openapi_extra=_ONCE,
)
async def pull_credits(
    request: Request, caller: SignedIn, membership_id: Id, wanted: Annotated[Pulling | None, Body()] = None
) -> Done:
    """Move credits from the account to your active twin. Takes `institutions.edit` there.

    The id is that of your membership in it.
    """
    order = _order(request, (wanted or Pulling()).credits or 0, "")
    done = await services_of(request).credits.pull(actor_of(request, caller), membership_id, order)
    return _done(done, "Transfer successfuly executed and recorded!")


def _order(request: Request, credits: int, note: str) -> Order:
    return Order(credits=credits, note=note, key=idempotency.key_of(request) or "")


def _done(booked: Booked, message: str) -> Done:
    twin, account = booked.institution, booked.account
    sides = Sides(
        institution=None if twin is None else _twin(twin),
        account=None if account is None else _account(account),
        transfer=_transfer(booked.transfer),
    )
    return Done(data=sides, message=message)


def _twin(row: TwinRow) -> TwinSide:
    total = row.credits + row.used
    used = round(100 * row.used / total, 2) if total else 0.0
    return TwinSide(id=row.id, credits=row.credits, credits_total=total, credits_usage_pct=used)


def _account(row: AccountRow) -> Side:
    return Side(id=row.id, credits=row.credits)


def _transfer(one: Transfer) -> TransferShape:
    return TransferShape(
        id=one.id,
        institution=one.institution_id,
        account=one.account_id,
        user=one.user_id,
        credits=one.credits,
        created=iso(one.created),
        transfer_mode=one.transfer_mode,
        note=one.note,
    )
