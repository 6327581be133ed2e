"""Accounts, as administrators manage them (reference: admin 4.1, 4.2)."""

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.services.administered import Page
from twinspeak.transports.http.routes import AccountManager, SuperAdmin, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Listing, ListOf, Message, Text, page_of
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.twin_shapes import AccountShape, Cap, account

ROUTER = router("Administration: accounts", failures=(401, 403))

AccountName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=150, pattern=r"^[^\x00-\x1f]+$"),
]
Addresses = Annotated[list[Annotated[str, StringConstraints(max_length=320)]], Field(max_length=100)]
Domains = Annotated[list[Annotated[str, StringConstraints(max_length=2_048)]], Field(max_length=100)]
AccountId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]


class AccountsWanted(Listing):
    """Which accounts."""

    search: Text = Field(default="", alias="accountsearch", description="In names.")


class Accounts(ListOf):
    """By name."""

    data: list[AccountShape]


class OneAccount(BaseModel):
    """One account."""

    success: Literal[True] = True
    data: AccountShape


class _Fields(BaseModel):
    """What an account is; null leaves a field as it is."""

    manager_email: Annotated[str, StringConstraints(max_length=320)] | Addresses | None = Field(
        default=None, validation_alias="managerEmail", description="One address or several; the first is the main one."
    )
    domain_urls: Domains | None = Field(default=None, validation_alias="domainUrls")
    status: Literal["active", "inactive"] | None = None
    qualification: Annotated[str, StringConstraints(max_length=500)] | None = None
    transfer_mode: Annotated[int, Field(ge=0, le=2)] | None = Field(
        default=None,
        validation_alias="transferMode",
        description="0 managers move credits, 1 the twins' administrators may pull some, 2 twins are filled up too.",
    )
    cap_h24: Cap | None = Field(
        default=None,
        validation_alias="creditCapH24",
        description="Credits of all its twins together that one person may spend in any 24 hours; -1 any.",
    )
    cap_institution: Cap | None = Field(
        default=None, validation_alias="creditCapInstitution", description="Of any one of its twins, in all; -1 any."
    )
    cap_account: Cap | None = Field(
        default=None, validation_alias="creditCapAccount", description="Of all its twins together, in all; -1 any."
    )

    def fields(self) -> dict[str, Any]:
        """Return columns to set."""
        given = self.model_dump(include=set(_Fields.model_fields), exclude_none=True)
        if (managers := given.pop("manager_email", None)) is not None:
            given["managers"] = [managers] if isinstance(managers, str) else managers
        if given.get("status") == "inactive":
            given["status"] = "suspended"
        return given


class NewAccount(_Fields):
    """A name, its managers, and credits to begin with."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "example school", "managerEmail": "ada@example.org"}}
    )

    name: AccountName
    manager_email: Annotated[str, StringConstraints(min_length=1, max_length=320)] | Addresses | None = Field(
        default=..., validation_alias="managerEmail"
    )
    credits: int = Field(default=0, ge=0, le=1_000_000_000)


class AccountEdit(_Fields):
    """Any of these, and nothing else. Managers change managers and domains, super administrators the rest too."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"domainUrls": ["https://example.org"]}})

    name: AccountName | None = None


@ROUTER.post("/api/admin/accounts", summary="List accounts")
async def list_accounts(
    request: Request, caller: AccountManager, wanted: Annotated[AccountsWanted | None, Body()] = None
) -> Accounts:
    """Return a page of the accounts that you manage."""
    wanted = wanted or AccountsWanted()
    page = Page(page=wanted.page, size=wanted.page_size)
    rows, total = await services_of(request).accounts.search(caller, wanted.search, page)
    return page_of(Accounts, [account(row) for row in rows], total, wanted)


@ROUTER.post("/api/admin/account", summary="Add an account", responses=failures(409))
async def add_account(request: Request, caller: SuperAdmin, new: NewAccount) -> OneAccount:
    """Add an account."""
    row = await services_of(request).accounts.add(
        actor_of(request, caller), new.name, new.fields(), credits=new.credits
    )
    return OneAccount(data=account(row))


@ROUTER.get("/api/admin/account/{id}", summary="Read an account", responses=failures(400, 404))
async def read_account(request: Request, caller: AccountManager, account_id: AccountId) -> OneAccount:
    """Return an account that you manage."""
    return OneAccount(data=account(await services_of(request).accounts.get(caller, account_id)))


@ROUTER.put("/api/admin/account/{id}", summary="Change an account", responses=failures(404, 409))
async def edit_account(
    request: Request, caller: AccountManager, account_id: AccountId, edit: AccountEdit
) -> OneAccount:
    """Change an account that you manage."""
    fields = edit.fields()
    if edit.name is not None:
        fields["name"] = edit.name
    return OneAccount(
        data=account(await services_of(request).accounts.change(actor_of(request, caller), account_id, fields))
    )


@ROUTER.delete("/api/admin/account/{id}", summary="Delete an account", responses=failures(400, 404, 409))
async def delete_account(request: Request, caller: SuperAdmin, account_id: AccountId) -> Message:
    """Delete an account that has no digital twins any more."""
    await services_of(request).accounts.delete(actor_of(request, caller), account_id)
    return Message(message="The account is deleted.")
